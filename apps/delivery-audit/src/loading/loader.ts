import { Conversation, stateOf } from '@posthorn/event-store';
import { Client } from 'pg';
import { columns } from './columns.js';
import { DeliveryWriter } from './delivery-writer.js';
import { daysOf } from './fold.js';
import { replacedTables, statementsFor, type ReplacedTable, type Statements } from './merge.js';
import { Newcomers } from './newcomers.js';
import { inOrder } from './order.js';
import { createPartitions } from './partitions.js';
import { countOf, type Rows, type TableName } from './rows.js';
import { IDLE_TIMEOUT_MS, KEEP_ALIVE } from './vanished.js';
import { shareWriteLock } from './write-lock.js';

/** Rows inserted or changed; what was there already is not counted. */
export type Written = { readonly [Table in TableName]: number };

/** What is written of a batch that is known already. */
export const NOTHING: Written = {
  events: 0,
  decisions: 0,
  deliveries: 0,
  attempts: 0,
  rounds: 0,
  cancellations: 0,
  rejected_events: 0,
  duplicates: 0,
  configuration: 0,
};

const CONNECT_TIMEOUT_MS = 10_000;
const STATEMENT_TIMEOUT_MS = 60_000;

/** PostgreSQL has taken back one of two transactions that waited for each other. */
const DEADLOCK_DETECTED = '40P01';

export type LoaderOptions = {
  /** Whose tables are written: those that are read, or, in a rebuild, those that will be. */
  readonly schema?: string;
  /** A statement that takes longer hangs: the connection is given up, and the batch tried again on a new one. Default a minute. */
  readonly statementTimeoutMs?: number;
  /** PostgreSQL ends the session when a transaction waits for its next statement for longer. Default ten seconds. */
  readonly idleTimeoutMs?: number;
};

/** The writing session: one connection, one transaction at a time. After any error the next load starts on a new connection. */
export class Loader {
  readonly #databaseUrl: string;
  readonly #schema: string;
  readonly #statementTimeoutMs: number;
  readonly #idleTimeoutMs: number;
  readonly #statements: Statements;
  readonly #newcomers = new Newcomers();
  readonly #deliveries: DeliveryWriter;
  #client: Client | undefined;
  /** Days whose partitions are known to exist. */
  readonly #days = new Set<string>();

  constructor(databaseUrl: string, { schema = 'audit', statementTimeoutMs = STATEMENT_TIMEOUT_MS, idleTimeoutMs = IDLE_TIMEOUT_MS }: LoaderOptions = {}) {
    this.#databaseUrl = databaseUrl;
    this.#schema = schema;
    this.#statementTimeoutMs = statementTimeoutMs;
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#statements = statementsFor(schema);
    this.#deliveries = new DeliveryWriter(schema, this.#statements, this.#newcomers);
  }

  /**
   * Writes rows, each key at most once (`foldRows`), in one transaction. When it resolves they are on disk; when it rejects, none
   * is, or, if the connection was lost or fell silent meanwhile, perhaps all, perhaps later, for commit and rows are on their way together:
   * loading them again is harmless, whichever comes first. Who comes second finds rows that are known.
   */
  async load(rows: Rows): Promise<Written> {
    if (countOf(rows) === 0) return NOTHING;
    const client = (this.#client ??= await this.#connect());
    try {
      for (const day of daysOf(rows)) {
        if (this.#days.has(day)) continue;
        await createPartitions(client, this.#schema, day);
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
      query_timeout: this.#statementTimeoutMs,
      idle_in_transaction_session_timeout: this.#idleTimeoutMs,
      keepAlive: true,
    });
    // A connection that breaks while idle says so here only; unheard, it would end the process. Left open, its session could hold rows that the next waits for.
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined;
      client.end().catch(() => undefined);
    });
    await client.connect();
    await client.query(`${KEEP_ALIVE}; ${this.#statements.createStaging}`);
    return client;
  }

  /**
   * Again when rows were taken for new that are not, and when two replicas wrote the same deliveries in a circle, each having taken for new what
   * the other knew: the other goes on, and this one takes none of them for new the second time.
   */
  async #write(client: Client, rows: Rows): Promise<Written> {
    for (;;) {
      try {
        const written = await this.#tryToWrite(new Conversation(client), rows);
        this.#newcomers.batchWritten();
        return written;
      } catch (error) {
        if (stateOf(error) !== DEADLOCK_DETECTED && !this.#newcomers.wereWrong(error)) throw error;
        await client.query('rollback');
      }
    }
  }

  /** In one round trip, when all of it is new. */
  async #tryToWrite(conversation: Conversation, rows: Rows): Promise<Written> {
    const written = { ...NOTHING };
    conversation.tell(`begin; ${shareWriteLock(this.#schema)}`);
    if (rows.deliveries.length > 0) Object.assign(written, await this.#deliveries.write(conversation, rows));
    for (const table of replacedTables) written[table] = await this.#replace(conversation, table, rows);
    await conversation.ask('commit');
    return written;
  }

  async #replace(conversation: Conversation, table: ReplacedTable, rows: Rows): Promise<number> {
    if (rows[table].length === 0) return 0;
    const isNew = this.#newcomers.areExpected(table);
    if (isNew && table === 'events') conversation.copy(`${this.#schema}.events`, columns.events, inOrder.events(rows.events));
    else if (isNew && table === 'decisions') conversation.copy(`${this.#schema}.decisions`, columns.decisions, inOrder.decisions(rows.decisions));
    else return this.#merge(conversation, table, rows);
    return rows[table].length;
  }

  async #merge(conversation: Conversation, table: ReplacedTable, rows: Rows): Promise<number> {
    // Which rows and which columns belong together is lost on the compiler where the table is one of several.
    conversation.copy(`staged_${table}`, columns[table] as readonly string[] as readonly never[], rows[table]);
    return (await conversation.ask(this.#statements.replace[table])).rowCount ?? 0;
  }
}
