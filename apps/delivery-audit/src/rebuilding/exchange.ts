import { setTimeout as delay } from 'node:timers/promises';
import type { AskedRound, Rounds } from '@posthorn/contracts';
import type { Client } from 'pg';
import { shownDeliveryId } from '../delivery-id.js';
import { foldRows } from '../loading/fold.js';
import { partitionLock } from '../loading/partitions.js';
import { rowsOfRounds } from '../loading/records.js';
import { takeWriteLock } from '../loading/write-lock.js';
import { SCHEMA } from '../migrations/migrations.js';
import { writeDeltas } from '../statistics/deltas.js';
import { MINUTE_MS, readDelta, Tally } from '../statistics/tally.js';
import { daysFrom, exchange, FRESH, rebuiltTables } from './fresh-tables.js';
import type { Work } from './rebuild.js';

/** Readers wait behind us for as long as we wait for a table: not long, and less than it takes PostgreSQL to suspect a deadlock and end somebody. */
const LOCK_TIMEOUT = '300ms';
const TRIES = 100;
const BETWEEN_TRIES_MS = 500;

/** SQLSTATE of a lock that was not to be had in time, and of a circle of those who wait. */
const IN_USE: ReadonlySet<string> = new Set(['55P03', '40P01']);

const isInUse = (error: unknown): boolean => error instanceof Error && 'code' in error && typeof error.code === 'string' && IN_USE.has(error.code);

/**
 * Puts the fresh days in the place of those in use, in one transaction: nothing is written from when the last records are folded until it is done.
 * While somebody reads a table for long it is tried again, and everything goes on in between.
 */
export const exchangeTables = async (work: Work, firstDay: string): Promise<void> => {
  for (let left = TRIES; ; left -= 1) {
    try {
      return await tryExchange(work, firstDay);
    } catch (error) {
      await work.client.query('rollback');
      if (!isInUse(error) || left <= 1) throw error;
      await delay(BETWEEN_TRIES_MS);
      await work.catchUp();
    }
  }
};

const tryExchange = async ({ client, loader, catchUp }: Work, firstDay: string): Promise<void> => {
  await client.query('begin');
  await client.query(takeWriteLock(SCHEMA));
  // Before the ends of the topics are looked for: what leaves the outbox is in Kafka.
  const rounds = await roundsNotSent(client);
  if (rounds.length > 0) await loader.load(foldRows([rowsOfRounds(Buffer.from(JSON.stringify({ rounds: [...rounds] } satisfies Rounds)))]));
  await catchUp();
  await client.query(partitionLock);
  await client.query(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
  for (const table of [...rebuiltTables, 'configuration', 'statistics_deltas']) await client.query(`lock table only ${SCHEMA}.${table} in access exclusive mode`);
  await keepWhatNoTopicSays(client, firstDay);
  await keepFiguresBefore(client, firstDay);
  for (const table of rebuiltTables) {
    const inUse = new Set(await daysFrom(client, SCHEMA, table, firstDay));
    for (const day of await daysFrom(client, FRESH, table, firstDay)) await client.query(exchange(table, day, inUse.has(day)));
  }
  await client.query(`drop table ${SCHEMA}.configuration; alter table ${FRESH}.configuration set schema ${SCHEMA}`);
  await client.query('commit');
};

/** What became of a refused event. */
const keepWhatNoTopicSays = async (client: Client, firstDay: string): Promise<void> => {
  await client.query(
    `update ${FRESH}.rejected_events as fresh set published_as = known.published_as, published_at = known.published_at
     from ${SCHEMA}.rejected_events as known
     where known.day >= $1::date and known.published_as is not null and fresh.id = known.id and fresh.day = known.day`,
    [firstDay],
  );
};

/** Of what is not yet in its place, only what tells of the days that stay: ours is in its place. */
const keepFiguresBefore = async (client: Client, firstDay: string): Promise<void> => {
  const { rows } = await client.query<{ tenant: string; figures: Buffer }>(`delete from ${SCHEMA}.statistics_deltas returning tenant, figures`);
  const kept = new Tally();
  for (const { tenant, figures } of rows) {
    readDelta(figures, undefined, (subscription_id, minute, figuresOfMinute) => {
      if (minute * MINUTE_MS < Date.parse(firstDay)) kept.addFigures({ tenant, subscription_id }, minute, figuresOfMinute);
    });
  }
  await writeDeltas(client, SCHEMA, kept);
};

type Waiting = Omit<AskedRound, 'at' | 'accepted_at' | 'replay_id' | 'forced' | 'subject'> & {
  readonly at: Date;
  readonly accepted_at: Date;
  readonly subject: string | null;
  readonly replay_id: string | null;
  readonly forced: boolean;
};

/** Rounds that were asked for are in the tables, and wait in the outbox until they are in Kafka. */
const roundsNotSent = async (client: Client): Promise<readonly AskedRound[]> => {
  const { rows } = await client.query<Waiting>(
    `select delivery_id, delivery.tenant, delivery.event_id, event_type, subject, created_at as accepted_at, delivery.subscription_id,
       waiting.round, trigger, at, actor, replay_id, forced
     from replays.outbox as waiting join ${SCHEMA}.deliveries as delivery on delivery.id = waiting.delivery_id and delivery.day = waiting.day`,
  );
  return rows.map(({ delivery_id, at, accepted_at, subject, replay_id, forced, ...row }) => ({
    ...row,
    delivery_id: shownDeliveryId(delivery_id),
    at: at.toISOString(),
    accepted_at: accepted_at.toISOString(),
    ...(subject !== null && { subject }),
    ...(replay_id !== null && { replay_id }),
    ...(forced && { forced }),
  }));
};
