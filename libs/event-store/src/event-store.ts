import type { ClientBase, Pool } from 'pg';
import { EVENT_COLUMNS, recordedEvent, type EventRow, type NewEvent, type RecordedEvent } from './events.js';
import { storeNames, type StoreNames } from './schema.js';

export type Append = {
  readonly stream: string;
  /** The stream's version as the decision saw it; 0 for a stream that does not exist. */
  readonly expectedVersion: number;
  /** At least one. */
  readonly events: readonly NewEvent[];
  readonly actor: string;
};

export type Appended = { readonly kind: 'appended'; readonly events: readonly RecordedEvent[] };
/** Somebody else was faster; nothing was written. */
export type VersionMismatch = { readonly kind: 'version_mismatch'; readonly actual: number };

/** Brings the read model up to date, inside the transaction that appends. */
export type Project = (client: ClientBase, events: readonly RecordedEvent[]) => Promise<void>;

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

  /** Appends and projects in one transaction, and wakes the relays at its commit. */
  async append(append: Append, project: Project): Promise<Appended | VersionMismatch> {
    const client = await this.#pool.connect();
    client.on('error', ignore);
    let broken: Error | undefined;
    try {
      await client.query(this.#beginSerialised());
      const events = await this.#insert(client, append);
      if (events.length === 0) {
        const actual = await this.#versionOf(client, append.stream);
        await client.query('rollback');
        return { kind: 'version_mismatch', actual };
      }
      await project(client, events);
      await client.query('commit');
      return { kind: 'appended', events };
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

  /** A stream's events from `fromVersion` on, in order. Empty when there is no such stream. */
  async read(stream: string, fromVersion = 1): Promise<readonly RecordedEvent[]> {
    const { rows } = await this.#pool.query<EventRow>(
      `select ${EVENT_COLUMNS} from ${this.#names.events} where stream = $1 and version >= $2 order by version`,
      [stream, fromVersion],
    );
    return rows.map(recordedEvent);
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
   * Statements in one round trip. The lock has a statement of its own: the insert must take its snapshot after the lock was
   * granted, or it would not see what the append before it has committed.
   */
  #beginSerialised(): string {
    return `begin isolation level read committed;
      set local lock_timeout = '${APPEND_PATIENCE}';
      set local idle_in_transaction_session_timeout = '${APPEND_PATIENCE}';
      select pg_advisory_xact_lock(${this.#names.appendLock})`;
  }

  /** The inserted events; none when the stream is not at the expected version. */
  async #insert(client: ClientBase, { stream, expectedVersion, events, actor }: Append): Promise<readonly RecordedEvent[]> {
    if (events.length === 0) throw new RangeError('nothing to append');
    const data = events.map((event) => JSON.stringify(event.data));
    const { rows } = await client.query<EventRow>(
      `with inserted as (
         insert into ${this.#names.events} (stream, version, type, data, actor, at)
         select $1, $2::integer + new.number, new.type, new.data, $3, new.at
         from unnest($4::text[], $5::jsonb[], $6::timestamptz[]) with ordinality as new (type, data, at, number)
         where $2::integer = (select coalesce(max(version), 0) from ${this.#names.events} where stream = $1)
         order by new.number
         returning ${EVENT_COLUMNS}
       )
       select ${EVENT_COLUMNS}, pg_notify('${this.#names.appendedChannel}', '') as rung from inserted order by position`,
      [stream, expectedVersion, actor, events.map(({ type }) => type), data, events.map(({ at }) => at)],
    );
    return rows.map(recordedEvent);
  }

  async #versionOf(client: ClientBase, stream: string): Promise<number> {
    const { rows } = await client.query<{ version: number }>(
      `select coalesce(max(version), 0) as version from ${this.#names.events} where stream = $1`,
      [stream],
    );
    return rows[0]?.version ?? 0;
  }
}
