import type { ClientBase, Pool } from 'pg';
import { EVENT_COLUMNS, recordedEvent, type EventRow, type NewEvent, type RecordedEvent } from './events.js';
import { storeNames, type StoreNames } from './schema.js';

export type StreamAppend = {
  readonly stream: string;
  /** The stream's version as the decision saw it; 0 for a stream that does not exist. */
  readonly expectedVersion: number;
  /** None: the stream is only to be still where the decision saw it. */
  readonly events: readonly NewEvent[];
};

/** Who appends, and in answer to what. */
export type By = { readonly actor: string; readonly cause?: string | undefined };

export type Appended = { readonly kind: 'appended'; readonly events: readonly RecordedEvent[] };
/** Somebody else was faster with this stream, the first of such; nothing was written. */
export type VersionMismatch = { readonly kind: 'version_mismatch'; readonly stream: string; readonly actual: number };

/** Brings the read model up to date, inside the transaction that appends. */
export type Project = (client: ClientBase, events: readonly RecordedEvent[]) => Promise<void>;

/** A place in the order of streams: after this version of this stream. */
export type StreamPlace = { readonly stream: string; readonly version: number };

/** How long one append may hold up, or wait for, the others before PostgreSQL ends it: a frozen writer must not freeze all. */
const APPEND_PATIENCE = '10s';

/** A lost connection also fails the query under way, which is where it is handled; unheard, the event would end the process. */
const ignore = (): void => {};

/**
 * The log of domain events. Appends take turns: the advisory lock is held from before positions are drawn until the commit, so
 * positions become visible in their order, and a reader that has seen position n has seen everything below n. (Reading below
 * `pg_snapshot_xmin` would let appends overlap, but then any long transaction in the database holds up every reader.)
 */
export class EventStore {
  readonly #pool: Pool;
  readonly #names: StoreNames;

  constructor(pool: Pool, schema: string) {
    this.#pool = pool;
    this.#names = storeNames(schema);
  }

  /**
   * Appends to all of these streams or to none, projects in the same transaction, and wakes the relays at its commit.
   * @param appends each stream once, and at least one event among them
   */
  async append(appends: readonly StreamAppend[], by: By, project: Project): Promise<Appended | VersionMismatch> {
    if (appends.every(({ events }) => events.length === 0)) throw new RangeError('nothing to append');
    return this.betweenAppends(async (client) => {
      const events = await this.#insert(client, appends, by);
      if (events.length === 0) return this.#mismatchOf(client, appends);
      await project(client, events);
      return { kind: 'appended', events };
    });
  }

  /** Works in a transaction that no append overlaps: whatever it reads of the events is all there is until it commits. */
  async betweenAppends<T>(work: (client: ClientBase) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      await client.query(this.#beginSerialised());
      const result = await work(client);
      await client.query('commit');
      return result;
    } catch (error) {
      broken = await client.query('rollback').then(
        () => undefined,
        (rollbackError: Error) => rollbackError,
      );
      throw error;
    } finally {
      // A connection that cannot even roll back is closed rather than lent out again.
      client.off('error', ignore);
      client.release(broken);
    }
  }

  /** A stream's events from `fromVersion` on, in order; all of them, or the first so many. Empty when there is no such stream. */
  async read(stream: string, fromVersion = 1, limit?: number): Promise<readonly RecordedEvent[]> {
    const { rows } = await this.#pool.query<EventRow>(
      `select ${EVENT_COLUMNS} from ${this.#names.events} where stream = $1 and version >= $2 order by version limit $3`,
      [stream, fromVersion, limit],
    );
    return rows.map(recordedEvent);
  }

  /** The events of each of these streams, in order; an empty list where there is no such stream. */
  async readMany(streams: readonly string[], client: ClientBase | Pool = this.#pool): Promise<ReadonlyMap<string, readonly RecordedEvent[]>> {
    const histories = new Map<string, RecordedEvent[]>(streams.map((stream) => [stream, []]));
    const { rows } = await client.query<EventRow>(
      `select ${EVENT_COLUMNS} from ${this.#names.events} where stream = any($1) order by stream, version`,
      [streams],
    );
    for (const row of rows) histories.get(row.stream)?.push(recordedEvent(row));
    return histories;
  }

  /** Events of all streams after a position, in order. */
  async readAll(afterPosition: number, limit: number): Promise<readonly RecordedEvent[]> {
    const { rows } = await this.#pool.query<EventRow>(
      `select ${EVENT_COLUMNS} from ${this.#names.events} where position > $1 order by position limit $2`,
      [afterPosition, limit],
    );
    return rows.map(recordedEvent);
  }

  /**
   * Events of all streams, stream by stream, each in its order: what is needed to fold every stream while holding one. What is
   * appended while somebody pages through here may be met or missed.
   */
  async readByStream(after: StreamPlace, limit: number): Promise<readonly RecordedEvent[]> {
    const { rows } = await this.#pool.query<EventRow>(
      `select ${EVENT_COLUMNS} from ${this.#names.events} where (stream, version) > ($1, $2) order by stream, version limit $3`,
      [after.stream, after.version, limit],
    );
    return rows.map(recordedEvent);
  }

  /** Streams that have events after a position. */
  async streamsAfter(position: number, client: ClientBase | Pool = this.#pool): Promise<readonly string[]> {
    const { rows } = await client.query<{ stream: string }>(
      `select distinct stream from ${this.#names.events} where position > $1`,
      [position],
    );
    return rows.map(({ stream }) => stream);
  }

  /** Of the last event; 0 when there is none. */
  async lastPosition(): Promise<number> {
    const { rows } = await this.#pool.query<{ position: string | null }>(`select max(position) as position from ${this.#names.events}`);
    return Number(rows[0]?.position ?? 0);
  }

  /**
   * Statements in one round trip. The lock has a statement of its own: the insert must take its snapshot after the lock was
   * granted, or it would not see what the append before it has committed.
   */
  #beginSerialised(): string {
    return `begin isolation level read committed;
      set local lock_timeout = '${APPEND_PATIENCE}';
      set local idle_in_transaction_session_timeout = '${APPEND_PATIENCE}';
      select pg_advisory_xact_lock(${this.#names.appendLock})`;
  }

  /**
   * The inserted events; none when a stream is not at the expected version. They go over as one JSON text, and only their positions
   * come back: for a thousand events about a quarter less time than columns as arrays, and whole rows back, would take.
   */
  async #insert(client: ClientBase, appends: readonly StreamAppend[], { actor, cause }: By): Promise<readonly RecordedEvent[]> {
    const events = appends.flatMap(({ stream, expectedVersion, events: added }) =>
      added.map(({ type, data, at }, index) => ({ stream, version: expectedVersion + index + 1, type, data, at })),
    );
    const text = JSON.stringify(events);
    const { rows } = await client.query<{ position: string }>(
      `with mismatch as (${this.#mismatches()}),
       inserted as (
         insert into ${this.#names.events} (stream, version, type, data, actor, cause, at)
         select new.stream, new.version, new.type, new.data, $4, $5, new.at
         from rows from (
           jsonb_to_recordset($3::jsonb) as (stream text, version integer, type text, data jsonb, at timestamptz)
         ) with ordinality as new (stream, version, type, data, at, number)
         where not exists (select from mismatch)
         order by new.number
         returning position
       )
       select position, pg_notify('${this.#names.appendedChannel}', '') as rung from inserted order by position`,
      [...expectations(appends), text, actor, cause],
    );
    if (rows.length === 0) return [];
    // As they would be read: what JSON does not carry is not in them.
    const stored = JSON.parse(text) as readonly Omit<RecordedEvent, 'position' | 'actor' | 'cause'>[];
    const by = cause === undefined ? { actor } : { actor, cause };
    return stored.map((event, index) => ({ position: Number(rows[index]?.position), ...event, ...by }));
  }

  async #mismatchOf(client: ClientBase, appends: readonly StreamAppend[]): Promise<VersionMismatch> {
    const { rows } = await client.query<{ stream: string; actual: number }>(`${this.#mismatches()} limit 1`, expectations(appends));
    const [mismatch] = rows;
    if (!mismatch) throw new Error('nothing was inserted although every stream is at the expected version');
    return { kind: 'version_mismatch', ...mismatch };
  }

  /** Those of the streams $1 that are not at their versions $2, in this order. */
  #mismatches(): string {
    return `select expected.stream, actual.version as actual
      from unnest($1::text[], $2::integer[]) with ordinality as expected (stream, version, number)
      cross join lateral (
        select coalesce(max(version), 0) as version from ${this.#names.events} where stream = expected.stream
      ) as actual
      where actual.version <> expected.version order by expected.number`;
  }
}

const expectations = (appends: readonly StreamAppend[]): [streams: string[], versions: number[]] => [
  appends.map(({ stream }) => stream),
  appends.map(({ expectedVersion }) => expectedVersion),
];
