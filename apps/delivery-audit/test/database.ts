import { randomBytes } from 'node:crypto';
import { migrate } from '@posthorn/event-store';
import { Client, type QueryResultRow } from 'pg';
import { partitionedTables, statisticsTables } from '../src/loading/partitions.js';
import { migrations, SCHEMA } from '../src/migrations/migrations.js';

/** A database of the test's own in the server that the tests were given, with the schema of the audit. */
export type TestDatabase = {
  readonly url: string;
  query<Row extends QueryResultRow>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** Everything in the tables, in the order of their keys. */
  dump(): Promise<Readonly<Record<string, readonly unknown[]>>>;
  empty(): Promise<void>;
  /** Nobody gets in, and whoever is in is thrown out, but for the test itself; or everybody again. */
  allowConnections(allow: boolean): Promise<void>;
  drop(): Promise<void>;
};

/** @param upTo the migrations that it has had */
export const createDatabase = async (upTo: typeof migrations = migrations): Promise<TestDatabase> => {
  const name = `audit_test_${randomBytes(6).toString('hex')}`;
  const server = new URL(process.env['POSTHORN_DATABASE_URL'] ?? 'postgres://127.0.0.1:5432/postgres');
  await withClient(server.href, (client) => client.query(`create database ${name}`));
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  await migrate({ url, schema: SCHEMA, migrations: upTo });
  const client = new Client({ connectionString: url });
  await client.connect();
  const query = async <Row extends QueryResultRow>(sql: string, parameters: unknown[] = []): Promise<Row[]> =>
    (await client.query<Row>(sql, parameters)).rows;
  return {
    url,
    query,
    dump: async () => ({
      events: await query('select * from audit.events order by tenant, id, day'),
      decisions: await query('select * from audit.decisions order by tenant, event_id, day'),
      deliveries: await query('select * from audit.deliveries order by id, day'),
      attempts: await query('select * from audit.attempts order by delivery_id, round, number, day'),
      rounds: await query('select * from audit.rounds order by delivery_id, round, day'),
      cancellations: await query('select * from audit.cancellations order by delivery_id, round, day'),
      rejected_events: await query('select * from audit.rejected_events order by id, day'),
      duplicates: await query('select * from audit.duplicates order by tenant, event_id, writer, day'),
      configuration: await query('select * from audit.configuration order by position'),
    }),
    empty: async () => {
      await query(`truncate ${[...partitionedTables, ...statisticsTables, 'statistics_deltas'].map((table) => `audit.${table}`).join(', ')}`);
    },
    allowConnections: async (allow) => {
      await withClient(server.href, (client) => client.query(`alter database ${name} allow_connections ${allow}`));
      if (!allow) {
        await query('select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()');
      }
    },
    drop: async () => {
      await client.end();
      await withClient(server.href, (client) => client.query(`drop database ${name} with (force)`));
    },
  };
};

const withClient = async (url: string, use: (client: Client) => Promise<unknown>): Promise<void> => {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
};
