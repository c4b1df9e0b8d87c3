import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { DeliveryStatus } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfRejected, rowsOfRounds, rowsOfRouted } from '../src/loading/records.js';
import type { Rows } from '../src/loading/rows.js';
import { histories, readings, type HistoryRecord } from '../src/spec-support/histories.js';
import { Figures } from '../src/statistics/figures.js';
import { Folder, HOUR_MS } from '../src/statistics/folder.js';
import { MINUTE_MS, readDelta } from '../src/statistics/tally.js';
import { createDatabase, type TestDatabase } from './database.js';

const FROM = '2026-11-20T22:00:00.000Z';
const SPAN_MS = 3 * HOUR_MS;
const ignore = (): void => undefined;
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore };

const folds: ReadonlyMap<string, (value: Buffer) => Rows> = new Map([
  ['events.accepted', rowsOfAccepted],
  ['deliveries.routed', rowsOfRouted],
  ['deliveries.attempted', rowsOfAttempted],
  ['deliveries.cancelled', rowsOfCancelled],
  ['deliveries.rounds', rowsOfRounds],
  ['events.rejected', rowsOfRejected],
]);
const CODES = ['timeout', 'bad_status', 'a code of a later version'];

/** Rows whose attempts differ in how long they took and what they failed of. */
const rowsOf = ({ topic, text }: HistoryRecord): Rows => {
  const rows = folds.get(topic)?.(Buffer.from(text));
  if (rows === undefined) throw new TypeError(`nothing is folded from ${topic}`);
  const varied = rows.attempts.map((attempt) => {
    const ms = Date.parse(attempt.started_at);
    return { ...attempt, duration_ms: 0.25 + (ms % 9_973), error_code: attempt.error_code === null ? null : (CODES[ms % CODES.length] ?? null) };
  });
  return { ...rows, attempts: varied };
};

let database: TestDatabase;
let loader: Loader;
let folder: Folder;

beforeAll(async () => {
  database = await createDatabase();
  loader = new Loader(database.url);
  folder = new Folder({ databaseUrl: database.url, log: silent, now: () => Date.parse(FROM) + SPAN_MS });
});
afterEach(() => database.empty());
afterAll(async () => {
  await Promise.all([loader.close(), folder.close()]);
  await database.drop();
});

/** Figures by whose and of when, in their only form. */
class Told {
  readonly #figures = new Map<string, Figures>();

  of(tenant: string, subscription: string, atMs: number): Figures {
    const key = `${tenant} ${subscription} ${new Date(atMs).toISOString()}`;
    const figures = this.#figures.get(key) ?? new Figures();
    this.#figures.set(key, figures);
    return figures;
  }

  get all(): Readonly<Record<string, string>> {
    const told = [...this.#figures].filter(([, figures]) => !figures.isEmpty);
    return Object.fromEntries(told.map(([key, figures]) => [key, figures.encode().toString('hex')] as const).sort());
  }
}

/** What the history itself says, row by row. */
const countedAnew = async (stepMs: number): Promise<Told> => {
  const told = new Told();
  const places = (tenant: string, subscription: string, ms: number) =>
    [subscription, ''].map((owner) => told.of(tenant, owner, Math.floor(ms / stepMs) * stepMs));
  const attempts = await database.query<{ tenant: string; subscription_id: string; status: DeliveryStatus; started_at: Date; duration_ms: number; error_code: string | null }>(
    `select d.tenant, d.subscription_id, a.status, a.started_at, a.duration_ms, a.error_code
       from audit.attempts a join audit.deliveries d on d.id = a.delivery_id and d.day = a.day`,
  );
  for (const row of attempts) for (const figures of places(row.tenant, row.subscription_id, row.started_at.getTime())) figures.addAttempt(row, 1);
  const deliveries = await database.query<{ tenant: string; subscription_id: string; status: DeliveryStatus; round: number; created_at: Date; finished_at: Date }>(
    'select * from audit.deliveries where finished_at is not null',
  );
  for (const { created_at, finished_at, ...row } of deliveries) {
    const delivery = { ...row, createdMs: created_at.getTime(), finishedMs: finished_at.getTime() };
    for (const figures of places(row.tenant, row.subscription_id, delivery.finishedMs)) figures.addDelivery(delivery, 1);
  }
  return told;
};

/** What the statistics say: what is folded and what is not yet. */
const kept = async (table: 'statistics_minutes' | 'statistics_hours', stepMs: number): Promise<Told> => {
  const told = new Told();
  const rows = await database.query<{ tenant: string; subscription_id: string; at: Date; figures: Buffer }>(`select * from audit.${table}`);
  for (const { tenant, subscription_id, at, figures } of rows) told.of(tenant, subscription_id, at.getTime()).add(Figures.decode(figures));
  const deltas = await database.query<{ tenant: string; figures: Buffer }>('select tenant, figures from audit.statistics_deltas');
  for (const { tenant, figures: bytes } of deltas) {
    readDelta(bytes, undefined, (subscription, minute, figures) => {
      const atMs = Math.floor((minute * MINUTE_MS) / stepMs) * stepMs;
      for (const owner of [subscription, '']) told.of(tenant, owner, atMs).add(figures);
    });
  }
  return told;
};

const load = (batch: readonly HistoryRecord[]) => loader.load(foldRows(batch.map(rowsOf)));

describe('statistics', () => {
  it('are what the history would say if it were counted, in whatever order and batches it is read, folded or not', async () => {
    const reading = histories({ from: FROM, spanMs: SPAN_MS, events: 5 }).chain((history) => fc.tuple(readings(history), fc.infiniteStream(fc.boolean())));
    await fc.assert(
      fc.asyncProperty(reading, async ([batches, isFolded]) => {
        await database.empty();
        for (const batch of batches) {
          await load(batch);
          if (isFolded.next().value === true) await folder.foldAll();
        }
        expect((await kept('statistics_minutes', MINUTE_MS)).all).toEqual((await countedAnew(MINUTE_MS)).all);
        expect((await kept('statistics_hours', HOUR_MS)).all).toEqual((await countedAnew(HOUR_MS)).all);
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});
