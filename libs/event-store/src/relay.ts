import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { Bell } from './bell.js';
import { EVENT_COLUMNS, recordedEvent, type EventRow, type RecordedEvent } from './events.js';
import { holdingSettings, signsOfLife, type Holding } from './holding.js';
import { PositionGate } from './position-gate.js';
import { storeNames, type StoreNames } from './schema.js';

export type RelayLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
};

export type RelayOptions = {
  /** Several relays of one store have a name each; all processes that run the same relay give the same name. */
  readonly name: string;
  readonly connectionString: string;
  readonly schema: string;
  /** Resolves when the batch is where it is meant to go. Called in order, one at a time; after a failure or a crash again. */
  readonly publish: (batch: readonly RecordedEvent[]) => Promise<void>;
  readonly log: RelayLog;
  readonly batchSize?: number;
  /** How often to look without being woken: for appends whose notification got lost, and for a leader that died. */
  readonly pollMs?: number;
  /** How long `close` lets a publication finish. */
  readonly drainMs?: number;
} & Holding;

export type RelayRole = 'leader' | 'follower' | 'disconnected';

type Outcome = { readonly kind: 'done' } | { readonly kind: 'failed'; readonly error: unknown };

const settled = (work: Promise<void>): Promise<Outcome> =>
  work.then(
    () => ({ kind: 'done' }),
    (error: unknown) => ({ kind: 'failed', error }),
  );

/** Not longer than a moment: a connection whose other end has vanished never ends by itself. */
const end = async (client: Client): Promise<void> => {
  await Promise.race([client.end().catch(() => undefined), delay(1_000, undefined, { ref: false })]);
};

/** Of the session's connection: no waiting for the disk. A checkpoint that a crash of the server takes back is an event published twice, and every flush delays the writers'. */
const SESSION_SETTINGS = 'set synchronous_commit = off';
const QUERY_TIMEOUT_MS = 30_000;

/**
 * Carries events from the store to somewhere else: at least once, in order. Every process runs one; an advisory lock on the
 * relay's own connection makes one of them the leader, which alone publishes:
 *
 *     disconnected ──connect──▶ follower ──lock granted──▶ leader
 *          ▲                        │                        │
 *          └────────── connection lost ◀─────────────────────┘   (the lock falls with the connection)
 *
 * The leader reads what lies after the checkpoint, publishes it, then moves the checkpoint from where it read: both on the
 * connection that holds the lock, so that one who has lost the lock cannot move it.
 *
 * A publication may outlive the leadership it began under and put something old behind what the next leader has published since.
 * Whoever notices that sets the checkpoint back, and the leader of that moment publishes the events again, newest state last.
 */
export class Relay {
  readonly #options: Required<Omit<RelayOptions, keyof Holding>> & Holding;
  readonly #names: StoreNames;
  readonly #gate = new PositionGate();
  readonly #bell = new Bell();
  #role: RelayRole = 'disconnected';
  #client: Client | undefined;
  /** The checkpoint under a publication that is under way, or whose outcome the checkpoint does not show yet. */
  #unsettledFrom: number | undefined;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;

  constructor(options: RelayOptions) {
    this.#options = { batchSize: 500, pollMs: 1_000, drainMs: 5_000, ...options };
    this.#names = storeNames(options.schema);
    this.#running = this.#run();
  }

  get #isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  get role(): RelayRole {
    return this.#role;
  }

  /** Everything up to here has been published, by whichever process. */
  get position(): number {
    return this.#gate.position;
  }

  /** True as soon as everything up to the position is published, by whichever process; false after `timeoutMs`. */
  waitUntilRelayed(position: number, timeoutMs: number): Promise<boolean> {
    return this.#gate.waitFor(position, timeoutMs);
  }

  /** Age of the oldest event that is not published yet; 0 when there is none. Rejects while disconnected. */
  async behindMs(): Promise<number> {
    if (!this.#client || this.#role === 'disconnected') throw new Error('the relay is not connected');
    const { rows } = await this.#client.query<{ at: Date }>(
      `select at from ${this.#names.events} where position > ${this.#checkpoint()} order by position limit 1`,
      [this.#options.name],
    );
    const [oldest] = rows;
    return oldest ? Math.max(0, Date.now() - oldest.at.getTime()) : 0;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#bell.ring();
    const drained = new AbortController();
    await Promise.race([
      this.#running,
      delay(this.#options.drainMs, undefined, { signal: drained.signal }).catch(() => undefined),
    ]);
    drained.abort();
    this.#gate.close();
    if (this.#client) await end(this.#client);
  }

  async #run(): Promise<void> {
    const { log, name } = this.#options;
    while (!this.#isClosed) {
      try {
        await this.#session();
      } catch (error) {
        log.warn({ err: error, relay: name }, 'relay lost PostgreSQL; connecting again');
        await this.#pause();
      }
    }
  }

  /**
   * Before what has failed is tried again. The bell does not cut it short: the end of a session rings it, and so does every append, and
   * the same events would be published dozens of times a second.
   */
  async #pause(): Promise<void> {
    await delay(this.#options.pollMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
  }

  /** One connection's life. Rejects when the connection is lost, resolves when the relay is closed. */
  async #session(): Promise<void> {
    const client = new Client({
      connectionString: this.#options.connectionString,
      application_name: `relay ${this.#options.name}`,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: QUERY_TIMEOUT_MS,
    });
    const lost = new Promise<never>((_, reject) => {
      client.on('error', reject);
      client.on('end', () => reject(new Error('connection ended')));
    });
    lost.catch(() => this.#bell.ring());
    client.on('notification', ({ channel, payload }) => {
      if (channel === this.#names.relayedChannel) this.#gate.reached(Number(payload));
      else this.#bell.ring();
    });
    const noMoreSigns = signsOfLife(client, this.#options.signOfLifeMs);
    try {
      await client.connect();
      this.#client = client;
      await this.#begin(client);
      while (!this.#isClosed) {
        await this.#takeTurn(client, lost);
        if (!this.#isClosed) await this.#bell.sleep(this.#options.pollMs);
      }
    } finally {
      this.#role = 'disconnected';
      this.#client = undefined;
      noMoreSigns();
      await end(client);
    }
  }

  async #begin(client: Client): Promise<void> {
    const { relayedChannel, appendedChannel, checkpoints } = this.#names;
    await client.query(`${holdingSettings(this.#options.silenceMs)}; ${SESSION_SETTINGS}; listen ${relayedChannel}; listen ${appendedChannel}`);
    await client.query(`insert into ${checkpoints} (relay, position) values ($1, 0) on conflict do nothing`, [this.#options.name]);
    if (this.#unsettledFrom !== undefined) {
      await client.query(`update ${checkpoints} set position = least(position, $2) where relay = $1`, [
        this.#options.name,
        this.#unsettledFrom,
      ]);
      this.#unsettledFrom = undefined;
    }
    this.#role = 'follower';
  }

  /** What there is to do when woken: for a follower, to see whether it leads by now; for the leader, to publish. */
  async #takeTurn(client: Client, lost: Promise<never>): Promise<void> {
    if (this.#role !== 'leader' && (await this.#tryToLead(client))) {
      this.#role = 'leader';
      this.#options.log.info({ relay: this.#options.name }, 'relay leads');
    }
    if (this.#role !== 'leader') {
      this.#gate.reached(await this.#readCheckpoint(client));
      return;
    }
    while (!this.#isClosed && (await this.#relayBatch(client, lost)));
  }

  /** Publishes the events after the checkpoint, if they can be published now. False when there were none. */
  async #relayBatch(client: Client, lost: Promise<never>): Promise<boolean> {
    const { from, batch } = await this.#readBatch(client);
    this.#gate.reached(from);
    const last = batch.at(-1);
    if (!last) return false;
    this.#unsettledFrom = from;
    const publication = this.#options.publish(batch);
    const outcome = await Promise.race([settled(publication), lost]).catch(async (error: unknown) => {
      // However it ends, it must have ended before this process publishes again.
      await settled(publication);
      throw error;
    });
    if (outcome.kind === 'failed') {
      const { name, log } = this.#options;
      log.warn({ err: outcome.error, relay: name, position: from }, 'relay could not publish; trying again');
      await this.#pause();
      return true;
    }
    this.#gate.reached(last.position);
    await this.#moveCheckpoint(client, from, last.position);
    this.#unsettledFrom = undefined;
    return true;
  }

  /** The checkpoint with what lies after it, in one statement: whoever waits for an append waits for each of them. */
  async #readBatch(client: Client): Promise<{ readonly from: number; readonly batch: readonly RecordedEvent[] }> {
    const { rows } = await client.query<{ checkpoint: string } & (EventRow | { position: null })>(
      `select reached.position as checkpoint, event.*
         from ${this.#names.checkpoints} reached
         left join lateral (
           select ${EVENT_COLUMNS} from ${this.#names.events} events where events.position > reached.position order by events.position limit $2
         ) event on true
        where relay = $1
        order by event.position`,
      [this.#options.name, this.#options.batchSize],
    );
    const batch = rows.flatMap((row) => (row.position === null ? [] : recordedEvent(row)));
    return { from: Number(rows[0]?.checkpoint ?? 0), batch };
  }

  async #tryToLead(client: Client): Promise<boolean> {
    const { rows } = await client.query<{ leads: boolean }>(
      `select pg_try_advisory_lock(${this.#names.relayLock(this.#options.name)}) as leads`,
    );
    return rows[0]?.leads === true;
  }

  async #readCheckpoint(client: Client): Promise<number> {
    const { rows } = await client.query<{ position: string }>(`select ${this.#checkpoint()} as position`, [
      this.#options.name,
    ]);
    return Number(rows[0]?.position ?? 0);
  }

  /** Only from where it was read: when it has been set back meanwhile, it stays back. */
  async #moveCheckpoint(client: Client, from: number, to: number): Promise<void> {
    await client.query(
      `with moved as (
         update ${this.#names.checkpoints} set position = $3 where relay = $1 and position = $2 returning position
       )
       select pg_notify('${this.#names.relayedChannel}', position::text) from moved`,
      [this.#options.name, from, to],
    );
  }

  #checkpoint(): string {
    return `(select position from ${this.#names.checkpoints} where relay = $1)`;
  }
}
