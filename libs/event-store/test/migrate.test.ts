import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { eventStoreMigrations, migrate } from '../src/index.js';
import { createDatabase, type TestDatabase } from './database.js';

let database: TestDatabase;
beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.drop());

const tables = async (schema: string): Promise<readonly string[]> => {
  const { rows } = await database.pool.query<{ name: string }>('select tablename as name from pg_tables where schemaname = $1 order by 1', [schema]);
  return rows.map(({ name }) => name);
};

it('makes the schema, and what has been added since', async () => {
  const [first, ...rest] = eventStoreMigrations('growing');
  await migrate({ url: database.url, schema: 'growing', migrations: first ? [first] : [] });
  const { rowCount } = await database.pool.query('select from growing.migrations');
  expect(rowCount).toBe(1);
  await migrate({ url: database.url, schema: 'growing', migrations: first ? [first, ...rest] : [] });
  expect(await tables('growing')).toEqual(['events', 'migrations', 'relay_checkpoint']);
  expect((await database.pool.query('select cause from growing.events')).rowCount).toBe(0);
});

/** Loses the connection that holds the lock, as when PostgreSQL restarts. */
class CutsTheSession1795255300000 implements MigrationInterface {
  readonly name = 'CutsTheSession1795255300000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      `select pg_terminate_backend(pid, 10000) from pg_stat_activity where application_name = 'posthorn cut migrations' and datname = current_database()`,
    );
    // Its last words were on their way when it was gone: they are read no later than the answer to this.
    await runner.query('select');
  }

  async down(): Promise<void> {}
}

it('survives the loss of the connection that keeps other replicas waiting', async () => {
  await migrate({ url: database.url, schema: 'cut', migrations: [CutsTheSession1795255300000] });
  expect((await database.pool.query('select from cut.migrations')).rowCount).toBe(1);
});

/** Whether a process that migrates has TypeORM in memory afterwards. */
const loadsTypeOrm = async (schema: string): Promise<boolean> => {
  const program = `
    import module from 'node:module';
    import { eventStoreMigrations, migrate } from '@posthorn/event-store';
    await migrate({ url: ${JSON.stringify(database.url)}, schema: '${schema}', migrations: eventStoreMigrations('${schema}') });
    console.log(Object.keys(module._cache).some((file) => file.includes('/node_modules/typeorm/')));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { cwd: import.meta.dirname });
  return stdout.trim() === 'true';
};

it('loads TypeORM only when there is something to do', async () => {
  expect(await loadsTypeOrm('fresh')).toBe(true);
  expect(await loadsTypeOrm('fresh')).toBe(false);
});
