import { copyRows } from '@posthorn/event-store';
import { Client } from 'pg';
import { columns } from './columns.js';
import { daysOf } from './fold.js';
import { createStaging, mergeDecisions, mergeDeliveriesAndAttempts, mergeEvents, mergeRejectedEvents, strengthenAttempts } from './merge.js';
import { createPartitions } from './partitions.js';
import { countOf, type Rows } from './rows.js';

/** Rows inserted or changed; what was there already is not counted. */
export type Written = { readonly [Table in keyof Rows]: number };

const NOTHING: Written = { events: 0, decisions: 0, deliveries: 0, attempts: 0, rejectedEvents: 0 };

const CONNECT_TIMEOUT_MS = 10_000;
/** A statement that takes longer hangs: the connection is given up, and the batch tried again on a new one. */
const STATEMENT_TIMEOUT_MS = 60_000;

/** The writing session: one connection, one transaction at a time. After any error the next load starts on a new connection. */
export class Loader {
  readonly #databaseUrl: string;
  #client: Client | undefined;
  /** Days whose partitions are known to exist. */
  readonly #days = new Set<string>();

  constructor(databaseUrl: string) {
    this.#databaseUrl = databaseUrl;
  }

  /**
   * Writes rows, each key at most once (`foldRows`), in one transaction. When it resolves they are on disk; when it rejects, none
   * is, or, if the connection was lost during the commit, perhaps all: loading them again is harmless.
   */
  async load(rows: Rows): Promise<Written> {
    if (countOf(rows) === 0) return NOTHING;
    const client = (this.#client ??= await this.#connect());
    try {
      for (const day of daysOf(rows)) {
        if (this.#days.has(day)) continue;
        await createPartitions(client, day);
        this.#days.add(day);
      }
      return await this.#write(client, rows);
    } catch (error) {
      // Forgotten too: a partition may have been dropped meanwhile.
      this.#days.clear();
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => undefined);
  }

  async #connect(): Promise<Client> {
    const client = new Client({
      connectionString: this.#databaseUrl,
      application_name: 'posthorn delivery-audit loader',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: STATEMENT_TIMEOUT_MS,
      keepAlive: true,
    });
    // A connection that breaks while idle says so here only; unheard, it would end the process.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
    });
    await client.connect();
    await client.query(createStaging);
    return client;
  }

  async #write(client: Client, rows: Rows): Promise<Written> {
    await client.query('begin');
    const events = rows.events.length > 0 ? await this.#writeEvents(client, rows) : 0;
    const decisions = rows.decisions.length > 0 ? await this.#writeDecisions(client, rows) : 0;
    const { deliveries, attempts } = rows.deliveries.length > 0 ? await this.#writeDeliveries(client, rows) : NOTHING;
    const rejectedEvents = rows.rejectedEvents.length > 0 ? await this.#writeRejectedEvents(client, rows) : 0;
    await client.query('commit');
    return { events, decisions, deliveries, attempts, rejectedEvents };
  }

  async #writeEvents(client: Client, { events }: Rows): Promise<number> {
    await copyRows(client, 'staged_events', columns.events, events);
    return (await client.query(mergeEvents)).rowCount ?? 0;
  }

  async #writeDecisions(client: Client, { decisions }: Rows): Promise<number> {
    await copyRows(client, 'staged_decisions', columns.decisions, decisions);
    return (await client.query(mergeDecisions)).rowCount ?? 0;
  }

  /** No attempt comes without its delivery. */
  async #writeDeliveries(client: Client, { deliveries, attempts }: Rows): Promise<Pick<Written, 'deliveries' | 'attempts'>> {
    await copyRows(client, 'staged_deliveries', columns.deliveries, deliveries);
    await copyRows(client, 'staged_attempts', columns.attempts, attempts);
    const { rows } = await client.query<Pick<Written, 'deliveries' | 'attempts'>>(mergeDeliveriesAndAttempts);
    const written = rows[0] ?? { deliveries: 0, attempts: 0 };
    if (written.attempts < attempts.length) await client.query(strengthenAttempts);
    return written;
  }

  async #writeRejectedEvents(client: Client, { rejectedEvents }: Rows): Promise<number> {
    await copyRows(client, 'staged_rejected_events', columns.rejected_events, rejectedEvents);
    return (await client.query(mergeRejectedEvents)).rowCount ?? 0;
  }
}
