import { deepStrictEqual as deepEqual } from 'node:assert';
import type { DeliveryStatus } from '@posthorn/contracts';
import { Figures } from '../src/statistics/figures.js';
import { HOUR_MS } from '../src/statistics/folder.js';
import { MINUTE_MS, readDelta } from '../src/statistics/tally.js';
import type { TestDatabase } from './database.js';

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
export const countedAnew = async (database: TestDatabase, stepMs: number): Promise<Told> => {
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
export const kept = async (database: TestDatabase, table: 'statistics_minutes' | 'statistics_hours', stepMs: number): Promise<Told> => {
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

/** @throws {AssertionError} when the statistics by the hour are not what the history says */
export const statisticsAreTrue = async (database: TestDatabase): Promise<void> => {
  deepEqual((await kept(database, 'statistics_hours', HOUR_MS)).all, (await countedAnew(database, HOUR_MS)).all);
};
