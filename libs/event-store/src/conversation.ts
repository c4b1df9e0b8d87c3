import { Query, type ClientBase, type Connection, type QueryResult, type QueryResultRow } from 'pg';
import { copyChunks, type Cell } from './copy.js';

/** Message types of PostgreSQL's protocol ("Message Formats"), and the length of a message's length, which counts itself. */
const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const LENGTH_BYTES = 4;

const copyData = ({ length }: Buffer): Buffer => {
  const head = Buffer.alloc(1 + LENGTH_BYTES);
  head.writeUInt8(COPY_DATA);
  head.writeUInt32BE(LENGTH_BYTES + length, 1);
  return head;
};

type Copy = readonly Buffer[];

/**
 * Statements, and behind them at once what they copy: the server reads one after the other. When one of them fails it reads over what is left
 * ("Message Flow", "COPY Operations"), so there is no need to wait until it asks for the data.
 */
class Trip extends Query {
  readonly #statements: string;
  readonly #copies: readonly Copy[];

  constructor(statements: string, copies: readonly Copy[], callback: (error: Error | undefined, answer: QueryResult) => void) {
    super(statements, callback);
    this.#statements = statements;
    this.#copies = copies;
  }

  override submit = (connection: Connection): void => {
    const { stream } = connection;
    stream.cork();
    connection.query(this.#statements);
    for (const chunks of this.#copies) {
      for (const chunk of chunks) {
        stream.write(copyData(chunk));
        stream.write(chunk);
      }
      stream.write(COPY_DONE);
    }
    stream.uncork();
  };

  handleCopyInResponse(): void {
    // It is on its way.
  }
}

/**
 * What is said to a server, without waiting for the answer of each statement: all goes out with the first question, in order. A round trip costs
 * both sides as much as some tens of rows.
 */
export class Conversation {
  readonly #client: ClientBase;
  #statements: string[] = [];
  #copies: Copy[] = [];

  constructor(client: ClientBase) {
    this.#client = client;
  }

  /** Without parameters. */
  tell(statement: string): void {
    this.#statements.push(statement);
  }

  /** Adds rows to a table, in the quickest way there is. @throws {TypeError} when a row lacks a column, or has what no column takes */
  copy<Column extends string>(table: string, names: readonly Column[], rows: readonly Readonly<Record<Column, Cell>>[]): void {
    if (rows.length === 0) return;
    this.#statements.push(`copy ${table} (${names.join(', ')}) from stdin`);
    this.#copies.push(copyChunks(names, rows));
  }

  /** Sends what was told with this, and answers this. @throws what the first of them failed of; those behind it have not been executed */
  ask<Row extends QueryResultRow>(statement: string): Promise<QueryResult<Row>> {
    const statements = [...this.#statements, statement].join(';\n');
    const copies = this.#copies;
    this.#statements = [];
    this.#copies = [];
    return new Promise((resolve, reject) => {
      const trip = new Trip(statements, copies, (error, answer) => {
        if (error) return reject(error);
        // Of several statements there are several, which the declared type leaves out.
        const answers = [answer].flat() as unknown as readonly QueryResult<Row>[];
        const last = answers.at(-1);
        if (last) resolve(last);
      });
      this.#client.query(trip);
    });
  }
}
