import { Client } from 'pg';

export type SessionOptions = {
  readonly url: string;
  /** As PostgreSQL shows it beside the connection. */
  readonly name: string;
  /** Statements that each new connection begins with. */
  readonly setup: string;
  /** A statement that takes longer has failed, and its connection with it. Default 5 s. */
  readonly statementTimeoutMs?: number;
  /** What our own functions raise says nothing against the connection, which is kept. */
  readonly raised?: readonly string[];
};

const CONNECT_TIMEOUT_MS = 2_000;
const STATEMENT_TIMEOUT_MS = 5_000;

const ignore = (): void => undefined;

/** The SQLSTATE of an error, if it has one. */
export const stateOf = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;

/** One connection, one statement at a time, in the order of the calls; after any failure of the connection, the next statement has a new one. */
export class Session {
  /** Made so far: after a new one, what was written last without waiting for the disk may be gone. */
  connections = 0;
  readonly #options: SessionOptions;
  #client: Promise<Client> | undefined;
  #last: Promise<void> = Promise.resolve();
  /** What `#client` has become. */
  #current: Client | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** @param name of the statement, which is prepared once a connection */
  query<R extends object>(name: string, text: string, values: readonly unknown[]): Promise<readonly R[]> {
    const answer = this.#last.then(() => this.#query<R>(name, text, values));
    this.#last = answer.then(ignore, ignore);
    return answer;
  }

  async #query<R extends object>(name: string, text: string, values: readonly unknown[]): Promise<readonly R[]> {
    const client = await (this.#client ??= this.#connect());
    try {
      const { rows } = await client.query<R>({ name, text, values: [...values] });
      return rows;
    } catch (error) {
      if (this.#options.raised?.includes(stateOf(error) ?? '')) throw error;
      this.#forget(client);
      await client.end().catch(ignore);
      throw error;
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.then((open) => open.end()).catch(ignore);
  }

  #forget(client: Client | undefined): void {
    if (client !== this.#current) return;
    this.#client = undefined;
    this.#current = undefined;
  }

  async #connect(): Promise<Client> {
    const { statementTimeoutMs = STATEMENT_TIMEOUT_MS } = this.#options;
    const client = new Client({
      connectionString: this.#options.url,
      application_name: this.#options.name,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: statementTimeoutMs,
      statement_timeout: statementTimeoutMs,
      keepAlive: true,
    });
    // A connection that breaks while idle says so here only; unheard, it would end the process.
    client.on('error', () => this.#forget(client));
    try {
      await client.connect();
      await client.query(this.#options.setup);
    } catch (error) {
      this.#client = undefined;
      // One that is connected, and could not be set up, would stay.
      client.end().catch(ignore);
      throw error;
    }
    this.connections++;
    this.#current = client;
    return client;
  }
}
