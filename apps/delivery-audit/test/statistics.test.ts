import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import * as fc from 'fast-check';
import { Client } from 'pg';
import { ask } from '../src/asking/ask.js';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfRejected, rowsOfRounds, rowsOfRouted } from '../src/loading/records.js';
import type { Rows } from '../src/loading/rows.js';
import { histories, readings, type HistoryRecord } from '../src/spec-support/histories.js';
import { Folder, HOUR_MS } from '../src/statistics/folder.js';
import { readStatistics, spanOfQuery, type StatisticsQuery } from '../src/statistics/statistics.js';
import { isSubscriptionOf } from '../src/statistics/subscriptions.js';
import { MINUTE_MS } from '../src/statistics/tally.js';
import { createDatabase, type TestDatabase } from './database.js';
import { countedAnew, kept } from './figures.js';
import { attempted, envelopeOf, outcomeOf } from './records.js';

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

const load = (batch: readonly HistoryRecord[]) => loader.load(foldRows(batch.map(rowsOf)));

const NOW = Date.parse('2026-11-20T12:30:00.000Z');
const ofTenant = (subscription?: string, query: StatisticsQuery = {}) =>
  readStatistics({ query: (sql, parameters = []) => database.query(sql, [...parameters]) as Promise<never[]> }, { tenant: 'default', ...(subscription && { subscription }) }, spanOfQuery(query, NOW));
const facts = (count: number, subscription: string, at: string, took = 250): HistoryRecord[] =>
  Array.from({ length: count }, (_, i) => {
    const envelope = envelopeOf(`${subscription}-${at}-${i}`, at);
    const { topic, value } = attempted(outcomeOf(envelope, subscription, { at: new Date(Date.parse(at) + took).toISOString() }));
    return { topic, text: value.toString() };
  });
const waiting = async (): Promise<number> => (await database.query<{ rows: number }>('select count(*)::integer as rows from audit.statistics_deltas'))[0]?.rows ?? 0;

const times = async (table: string): Promise<readonly string[]> =>
  (await database.query<{ at: Date }>(`select at from audit.${table} where subscription_id = 'sub_1' order by 1`)).map(({ at }) => at.toISOString());

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
        expect((await kept(database, 'statistics_minutes', MINUTE_MS)).all).toEqual((await countedAnew(database, MINUTE_MS)).all);
        expect((await kept(database, 'statistics_hours', HOUR_MS)).all).toEqual((await countedAnew(database, HOUR_MS)).all);
      }),
      { numRuns: 10 },
    );
  }, 60_000);

  it('are told of a tenant and of its subscriptions, the same before and after they are folded', async () => {
    await load([...facts(3, 'sub_1', '2026-11-20T10:10:00.000Z'), ...facts(1, 'sub_2', '2026-11-20T10:50:00.000Z', 2_000)]);
    await load(facts(2, 'sub_1', '2026-11-20T12:00:00.000Z'));
    const before = [await ofTenant(), await ofTenant('sub_1'), await ofTenant('sub_2', { step: '5m', from: '2026-11-20T10:00:00Z' })];
    expect(await waiting()).toBe(2);
    await folder.foldAll();
    expect(await waiting()).toBe(0);
    expect([await ofTenant(), await ofTenant('sub_1'), await ofTenant('sub_2', { step: '5m', from: '2026-11-20T10:00:00Z' })]).toEqual(before);
    const [all, one, two] = before;
    expect([all, one, two].map((told) => told?.totals.deliveries)).toEqual([6, 5, 1].map((delivered) => ({ delivered, failed: 0, cancelled: 0, success_rate: 1 })));
    expect(all?.series.filter(({ attempts }) => attempts.total > 0).map(({ at, attempts }) => [at, attempts.total])).toEqual([
      ['2026-11-20T10:00:00.000Z', 4],
      ['2026-11-20T12:00:00.000Z', 2],
    ]);
    expect(all?.series).toHaveLength(25);
    expect(two?.series.find(({ attempts }) => attempts.total > 0)?.at).toBe('2026-11-20T10:50:00.000Z');
    expect((all?.totals.latency_ms?.p50 ?? 0) / 250).toBeCloseTo(1, 1);
    expect((all?.totals.latency_ms?.p99 ?? 0) / 2_000).toBeCloseTo(1, 1);
    expect((await ofTenant('sub_3')).totals.attempts.total).toBe(0);
  });

  it('follow a delivery that is asked for again: it has not ended any more', async () => {
    await load(facts(1, 'sub_1', '2026-11-20T10:10:00.000Z'));
    const [row] = await database.query<{ day: string; id: string; event_id: string; event_type: string }>('select day::text, id, event_id, event_type from audit.deliveries');
    const client = new Client({ connectionString: database.url });
    await client.connect();
    const candidate = { ...row, day: row?.day ?? '', delivery_id: row?.id ?? '', event_id: row?.event_id ?? '', event_type: '', subject: null, accepted_at: '2026-11-20T10:10:00.000Z', subscription_id: 'sub_1', spread: 1 };
    expect(await ask(client, [candidate], { tenant: 'default', trigger: 'redeliver', at: '2026-11-20T11:00:00.000Z', actor: 'key_1', force: false })).toBe(1);
    await client.end();
    expect((await ofTenant()).totals.deliveries.delivered).toBe(0);
    expect((await kept(database, 'statistics_hours', HOUR_MS)).all).toEqual((await countedAnew(database, HOUR_MS)).all);
  });

  it('count everything once, though folders of several replicas take turns and one of them is killed in the middle', async () => {
    const others = [1, 2].map(() => new Folder({ databaseUrl: database.url, log: silent, now: () => NOW }));
    for (let batch = 0; batch < 6; batch++) await load(facts(5, `sub_${batch % 2}`, `2026-11-20T1${batch}:00:00.000Z`));
    // Folds, and then waits for whoever holds the table.
    const holder = new Client({ connectionString: database.url });
    await holder.connect();
    await holder.query('begin; lock table audit.statistics_hours in share row exclusive mode');
    const killed = folder.foldAll();
    const failure = killed.catch((error: unknown) => error);
    const blocked = "select pid from pg_stat_activity where application_name = 'posthorn delivery-audit statistics' and wait_event_type = 'Lock' and datname = current_database()";
    await eventually(async () => (await database.query(blocked)).length > 0);
    await database.query(`select pg_terminate_backend(pid) from (${blocked}) one`);
    expect(await failure).toBeInstanceOf(Error);
    expect(await waiting()).toBe(6);
    await holder.query('commit');
    await holder.end();
    await Promise.all([folder.foldAll(), ...others.map((other) => other.foldAll())]);
    expect(await waiting()).toBe(0);
    expect((await kept(database, 'statistics_hours', HOUR_MS)).all).toEqual((await countedAnew(database, HOUR_MS)).all);
    await Promise.all(others.map((other) => other.close()));
  });

  it('are folded each time that somebody is woken', async () => {
    const waking = new Folder({ databaseUrl: database.url, log: silent, gatherMs: 1 });
    await load(facts(1, 'sub_1', '2026-11-20T10:00:00.000Z'));
    waking.wake();
    await eventually(async () => (await waiting()) === 0);
    await load(facts(1, 'sub_1', '2026-11-20T10:01:00.000Z'));
    waking.wake();
    await eventually(async () => (await waiting()) === 0);
    expect(await times('statistics_hours')).toEqual(['2026-11-20T10:00:00.000Z']);
    await waking.close();
  });

  it('are kept by the minute only as long as minutes are', async () => {
    await load([...facts(1, 'sub_1', '2026-11-17T21:59:00.000Z'), ...facts(1, 'sub_1', '2026-11-20T10:00:00.000Z')]);
    await folder.foldAll();
    expect(await times('statistics_minutes')).toEqual(['2026-11-20T10:00:00.000Z']);
    expect(await times('statistics_hours')).toEqual(['2026-11-17T21:00:00.000Z', '2026-11-20T10:00:00.000Z']);
  });

  it('are of subscriptions that the registry has told of, or that there are deliveries to', async () => {
    const query = <Row>(sql: string, parameters: readonly unknown[] = []) => database.query(sql, [...parameters]) as unknown as Promise<Row[]>;
    await database.query(`insert into audit.configuration values ('subscription/sub_known', 1, 7, 'SubscriptionCreated', '{"tenant":"default"}', 'key_1', now())`);
    await load(facts(1, 'sub_1', '2026-11-20T10:00:00.000Z'));
    await folder.foldAll();
    const asked = ['default sub_known', 'default sub_1', 'other sub_known', 'other sub_1', 'default '];
    const known: string[] = [];
    for (const one of asked) {
      const [tenant = '', id = ''] = one.split(' ');
      if (await isSubscriptionOf({ query }, tenant, id)) known.push(one);
    }
    expect(known).toEqual(['default sub_known', 'default sub_1']);
  });
});
