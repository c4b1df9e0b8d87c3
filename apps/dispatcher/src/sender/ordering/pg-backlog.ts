import { Session, stateOf } from '@posthorn/event-store';
import type { Round } from '../cancelling/cancelled-rounds.js';
import {
  HoldingLost,
  placeKey,
  type Advance,
  type Backlog,
  type DueCursor,
  type Holding,
  type Holdings,
  type Place,
  type Postponement,
  type Row,
  type StoredRecord,
  type StoredRow,
} from './backlog.js';
import { HOLDING_LOST, SCHEMA } from './migrations.js';

/** Rows of a key that are read at once when none of them is to be attempted. */
const MANY = 50;
/** Of heads that are read at once, where there is more than one. */
const MOST_BYTES = 4 * 1024 * 1024;

type DbPlace = { readonly record: string; readonly index: number };
type DbRow = DbPlace & {
  readonly record_offset: string;
  readonly number: number;
  readonly reserved: boolean;
  readonly due_ms: string;
  readonly value: Buffer;
};
type DbNext = DbRow & { readonly chain: string };
type DbHead = DbRow & { readonly subscription: string; readonly key: string };
type DbKey = { readonly subscription: string; readonly key: string; readonly rows: string; readonly delivery: string; readonly round: number };

const FORGET = `select ${SCHEMA}.forget($1, $2, $3) as left`;
const AFTER = '(b.due_ms, b.record_offset, b.index) > ($3::bigint, $4::bigint, $5::integer)';
/** What has ended has no due time. */
const DUE = 'b.partition = $1 and b.due_ms is not null';

/**
 * As long as Kafka waits for a process. What is due has megabytes: whoever is frozen as they come, or gone, leaves PostgreSQL writing, no statement's time
 * ends that, and the holder's lock keeps the next one from the partition.
 */
const UNREAD_TIMEOUT_MS = 10_000;

/** For who takes a partition, with all that waits in it. */
const TAKING_TIMEOUT_MS = 120_000;

/**
 * The backlog in PostgreSQL, over one connection: one statement at a time, in order, each fenced by its holder's epoch. The taking of
 * partitions has another one: it may take longer, and nobody who holds one already is to wait for it.
 */
export class PgBacklog implements Backlog {
  readonly #session: Session;
  readonly #taking: Session;

  /** @param unreadTimeoutMs how long PostgreSQL waits for who does not read its answer. Default ten seconds. */
  constructor(url: string, { unreadTimeoutMs = UNREAD_TIMEOUT_MS }: { readonly unreadTimeoutMs?: number } = {}) {
    const options = {
      url,
      name: 'posthorn dispatcher ordering',
      // Every row by an index, in its order: the tables' statistics are of another moment.
      setup: `set enable_seqscan = off; set enable_bitmapscan = off; set tcp_user_timeout = ${unreadTimeoutMs}`,
      raised: [HOLDING_LOST],
    };
    this.#session = new Session(options);
    this.#taking = new Session({ ...options, statementTimeoutMs: TAKING_TIMEOUT_MS });
  }

  async take(partition: number, committed: number): Promise<Holdings> {
    const [taken] = await this.#taken<{ epoch: string }>('take', `select ${SCHEMA}.take($1) as epoch`, [partition]);
    const holding = { partition, epoch: Number(taken?.epoch) };
    await this.#taken('forget', FORGET, [partition, holding.epoch, committed]);
    const keys = await this.#taken<DbKey>(
      'keys',
      `select k.*, h.delivery, h.round from (
         select subscription, key, count(*) as rows from ${SCHEMA}.backlog where partition = $1 and not ended group by subscription, key) k
         cross join lateral (
           select delivery, round from ${SCHEMA}.backlog b
             where b.partition = $1 and b.subscription = k.subscription and b.key = k.key and not b.ended
             order by b.record_offset, b.index limit 1) h`,
      [partition],
    );
    const known = await this.#taken<DbPlace>(
      'known',
      `select r.id as record, b.index from ${SCHEMA}.records r
         cross join lateral (select index, ended from ${SCHEMA}.backlog where record = r.id offset 0) b
         where r.partition = $1 and r.record_offset >= $2 and not b.ended
       union all
       select record, index from ${SCHEMA}.backlog where partition = $1 and record_offset >= $2 and ended`,
      [partition, committed],
    );
    const [last] = await this.#taken<{ position: string }>(
      'position',
      `select coalesce(max(position), 0) as position from ${SCHEMA}.records where partition = $1`,
      [partition],
    );
    return {
      ...holding,
      keys: keys.map(({ subscription, key, rows, ...head }) => ({ subscription, key, rows: Number(rows), head })),
      known: new Set(known.map(placeKey)),
      position: Number(last?.position ?? 0),
    };
  }

  async park({ partition, epoch }: Holding, records: readonly StoredRecord[], rows: readonly Row[]): Promise<readonly Place[]> {
    const missing = await this.#query<DbPlace>(
      'park',
      `select record, index from ${SCHEMA}.park($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`,
      [
        partition,
        epoch,
        ...columns(records, ['id', 'offset', 'position', 'value']),
        ...columns(rows, ['record', 'index', 'offset', 'subscription', 'key', 'delivery', 'round', 'number', 'isReserved', 'dueAtMs', 'isEnded']),
      ],
    );
    if (missing.length === 0) return [];
    const keys = new Set(missing.map(placeKey));
    return rows.filter((row) => keys.has(placeKey(row)));
  }

  async postpone({ partition, epoch }: Holding, changes: readonly Postponement[]): Promise<void> {
    await this.#query('postpone', `select ${SCHEMA}.postpone($1, $2, $3, $4, $5, $6, $7)`, [
      partition,
      epoch,
      ...columns(changes, ['record', 'index', 'dueAtMs', 'number', 'isReserved']),
    ]);
  }

  async advance({ partition, epoch }: Holding, advances: readonly Advance[]): Promise<readonly (readonly StoredRow[])[]> {
    const ended = advances.flatMap((advance) => advance.ended);
    const limits = advances.map(({ wants }) => (wants === 'head' ? 1 : MANY));
    const rows = await this.#query<DbNext>('advance', `select * from ${SCHEMA}.advance($1, $2, $3, $4, $5, $6, $7)`, [
      partition,
      epoch,
      ...columns(ended, ['record', 'index']),
      ...columns(advances, ['subscription', 'key']),
      limits,
    ]);
    const next = advances.map((): StoredRow[] => []);
    for (const row of rows) {
      const place = Number(row.chain) - 1;
      const advance = advances[place];
      if (advance !== undefined) next[place]?.push(storedRow(row, advance));
    }
    return next;
  }

  async due({ partition, epoch }: Holding, nowMs: number, after: DueCursor, limit: number): Promise<readonly StoredRow[]> {
    const rows = await this.#query<DbHead>(
      'due',
      `select * from (
         select m.*, r.value, sum(octet_length(r.value)) over (order by m.due_ms, m.record_offset, m.index) as bytes,
             row_number() over (order by m.due_ms, m.record_offset, m.index) as nth
           from (
             select b.* from ${SCHEMA}.backlog b where (select ${SCHEMA}.hold($1, $2)) and ${DUE} and ${AFTER} and b.due_ms <= $6
               order by b.due_ms, b.record_offset, b.index limit $7) m
           cross join lateral (select value from ${SCHEMA}.records where id = m.record offset 0) r) n
         where nth = 1 or bytes <= ${MOST_BYTES}
         order by due_ms, record_offset, index`,
      [partition, epoch, after.dueAtMs, after.offset, after.index, nowMs, limit],
    );
    return rows.map((row) => storedRow(row, row));
  }

  async nextDueMs({ partition, epoch }: Holding, after: DueCursor): Promise<number | undefined> {
    const [first] = await this.#query<{ due_ms: string }>(
      'next due',
      `select b.due_ms from ${SCHEMA}.backlog b where (select ${SCHEMA}.hold($1, $2)) and ${DUE} and ${AFTER}
         order by b.due_ms, b.record_offset, b.index limit 1`,
      [partition, epoch, after.dueAtMs, after.offset, after.index],
    );
    return first && Number(first.due_ms);
  }

  async hasten({ partition, epoch }: Holding, subscription: string, nowMs: number): Promise<void> {
    await this.#query(
      'hasten',
      `update ${SCHEMA}.backlog b set due_ms = $4 where (select ${SCHEMA}.hold($1, $2)) and ${DUE} and b.subscription = $3 and b.due_ms > $4`,
      [partition, epoch, subscription, nowMs],
    );
  }

  async hastenRounds({ partition, epoch }: Holding, rounds: readonly Round[], nowMs: number): Promise<void> {
    await this.#query('hasten rounds', `select ${SCHEMA}.hasten_rounds($1, $2, $3, $4, $5)`, [partition, epoch, ...columns(rounds, ['delivery', 'round']), nowMs]);
  }

  async forget({ partition, epoch }: Holding, committed: number): Promise<number> {
    const [left] = await this.#query<{ left: string }>('forget', FORGET, [partition, epoch, committed]);
    return Number(left?.left ?? 0);
  }

  async close(): Promise<void> {
    await Promise.all([this.#session.close(), this.#taking.close()]);
  }

  #query<R extends object>(name: string, text: string, values: readonly unknown[]): Promise<readonly R[]> {
    return this.#session.query<R>(name, text, values).catch(fenced);
  }

  #taken<R extends object>(name: string, text: string, values: readonly unknown[]): Promise<readonly R[]> {
    return this.#taking.query<R>(name, text, values).catch(fenced);
  }
}

const fenced = (error: unknown): never => {
  if (stateOf(error) === HOLDING_LOST) throw new HoldingLost('another sender has taken the partition', { cause: error });
  throw error;
};

/** The columns of rows, as parameters for `unnest`. */
const columns = <R extends object, Name extends keyof R>(rows: readonly R[], names: readonly Name[]): readonly unknown[] =>
  names.map((name) => rows.map((row) => row[name] ?? null));

const storedRow = (
  { record, index, record_offset, number, reserved, due_ms, value }: DbRow,
  { subscription, key }: { readonly subscription: string; readonly key: string },
): StoredRow => ({ subscription, key, record, index, offset: Number(record_offset), number, isReserved: reserved, dueAtMs: Number(due_ms), value });
