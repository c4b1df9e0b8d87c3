import { randomBytes } from 'node:crypto';
import { migrate } from '@posthorn/event-store';
import { createDatabase as createEmpty, type Database } from '@posthorn/testkit';
import { Client, type QueryResultRow } from 'pg';
import { migrations, SCHEMA } from '../src/sender/ordering/migrations.js';

/** A database of the test's own, with the backlog's tables. */
export type TestDatabase = {
  readonly url: string;
  query<Row extends QueryResultRow>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  drop(): Promise<void>;
};

export const createDatabase = async (): Promise<TestDatabase> => {
  const database: Database = await createEmpty(process.env['POSTHORN_DATABASE_URL'] ?? '', `dispatcher${randomBytes(6).toString('hex')}`);
  await migrate({ url: database.url, schema: SCHEMA, migrations });
  const client = new Client({ connectionString: database.url });
  await client.connect();
  return {
    url: database.url,
    query: async <Row extends QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> => (await client.query<Row>(sql, parameters)).rows,
    drop: async () => {
      await client.end();
      await database.drop();
    },
  };
};
