import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { Bell } from './bell.js';
import { holdingSettings, signsOfLife, type Holding } from './holding.js';
import { advisoryLock } from './schema.js';

export type LeaderLog = {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
};

export type LeaderOptions = {
  /** All processes that may lead in this give the same; names the lock. Written by us, never by a user. */
  readonly name: string;
  readonly connectionString: string;
  /** Channels that say that there may be something to do. */
  readonly wakenBy: readonly string[];
  /**
   * Does what there is to do, and resolves when there is no more, with the milliseconds after which there is, woken or not. Called by the leader, one at a
   * time, with the connection that holds its lock: what is committed there is committed by the leader.
   */
  readonly work: (client: Client, signal: AbortSignal) => Promise<number>;
  readonly log: LeaderLog;
  /** How often to look without being woken: for notifications that got lost, and for a leader that died. */
  readonly pollMs?: number;
  /** How long `close` lets the work finish. */
  readonly drainMs?: number;
} & Holding;

export type LeaderRole = 'leader' | 'follower' | 'disconnected';

/** Not longer than a moment: a connection whose other end has vanished never ends by itself. */
const end = async (client: Client): Promise<void> => {
  await Promise.race([client.end().catch(() => undefined), delay(1_000, undefined, { ref: false })]);
};

const QUERY_TIMEOUT_MS = 60_000;

/**
 * Lets one of several processes do what only one is to do. The lock is on a connection of its own:
 *
 *     disconnected ──connect──▶ follower ──lock granted──▶ leader
 *          ▲                        │                        │
 *          └───── connection lost, or work rejected ◀────────┘   (the lock falls with the connection)
 *
 * Whoever has lost it finishes what it has begun before it tries to lead again; what that does outside of PostgreSQL may overlap with the next leader.
 */
export class Leader {
  readonly #options: Required<Omit<LeaderOptions, keyof Holding>> & Holding;
  readonly #bell = new Bell();
  readonly #stop = new AbortController();
  #role: LeaderRole = 'disconnected';
  #client: Client | undefined;
  readonly #running: Promise<void>;

  constructor(options: LeaderOptions) {
    this.#options = { pollMs: 1_000, drainMs: 5_000, ...options };
    this.#running = this.#run();
  }

  get role(): LeaderRole {
    return this.#role;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#bell.ring();
    await Promise.race([this.#running, delay(this.#options.drainMs, undefined, { ref: false })]);
    if (this.#client) await end(this.#client);
  }

  get #isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    const { log, name, pollMs } = this.#options;
    while (!this.#isClosed) {
      try {
        await this.#session();
      } catch (err) {
        if (this.#isClosed) return;
        log.warn({ err, leader: name }, 'could not go on; connecting again');
        // Nothing cuts it short: what fails at once would be tried dozens of times a second.
        await delay(pollMs, undefined, { signal: this.#stop.signal }).catch(() => undefined);
      }
    }
  }

  async #session(): Promise<void> {
    const { name, connectionString, wakenBy, work, pollMs, silenceMs, signOfLifeMs, log } = this.#options;
    const client = new Client({
      connectionString,
      application_name: `posthorn ${name}`,
      keepAlive: true,
      connectionTimeoutMillis: 5_000,
      query_timeout: QUERY_TIMEOUT_MS,
    });
    let lost: Error | undefined;
    const lose = (error: Error): void => {
      lost ??= error;
      this.#bell.ring();
    };
    client.on('error', lose);
    client.on('end', () => lose(new Error('connection ended')));
    client.on('notification', () => this.#bell.ring());
    const noMoreSigns = signsOfLife(client, signOfLifeMs);
    try {
      await client.connect();
      this.#client = client;
      await client.query([holdingSettings(silenceMs), ...wakenBy.map((channel) => `listen ${channel}`)].join('; '));
      this.#role = 'follower';
      while (!this.#isClosed) {
        if (this.#role !== 'leader' && (await this.#tryToLead(client))) {
          this.#role = 'leader';
          log.info({ leader: name }, 'leads');
        }
        const restMs = this.#role === 'leader' ? await work(client, this.#stop.signal) : pollMs;
        if (lost) throw lost;
        if (!this.#isClosed) await this.#bell.sleep(Math.min(restMs, pollMs));
        if (lost) throw lost;
      }
    } finally {
      this.#role = 'disconnected';
      this.#client = undefined;
      noMoreSigns();
      await end(client);
    }
  }

  async #tryToLead(client: Client): Promise<boolean> {
    const { rows } = await client.query<{ leads: boolean }>(`select pg_try_advisory_lock(${advisoryLock(this.#options.name)}) as leads`);
    return rows[0]?.leads === true;
  }
}
