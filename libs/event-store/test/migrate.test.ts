import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { promisify } from 'node:util';
import { Way } from '@posthorn/testkit';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { eventStoreMigrations, isDatabaseAway, migrate } from '../src/index.js';
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

it('takes nobody\'s turn who is frozen amid a migration', async () => {
  const { hostname, port } = new URL(database.url);
  const way = new Way({ host: hostname, port: Number(port) });
  const url = Object.assign(new URL(database.url), { host: `127.0.0.1:${await way.open()}` }).href;
  let isFirst = true;
  const frozen = Promise.withResolvers<void>();
  class Freezes1795255300001 implements MigrationInterface {
    readonly name = 'Freezes1795255300001';

    async up(runner: QueryRunner): Promise<void> {
      await runner.query('create table frozen.half (id integer)');
      if (isFirst) {
        isFirst = false;
        way.stop();
        frozen.resolve();
      }
      await runner.query('select');
    }

    async down(): Promise<void> {}
  }
  const migrations = [Freezes1795255300001];
  const gone = migrate({ url, schema: 'frozen', migrations, silenceMs: 500 }).catch((error: unknown) => error);
  await frozen.promise;
  await migrate({ url: database.url, schema: 'frozen', migrations });
  expect(await tables('frozen')).toEqual(['half', 'migrations']);
  await way.cut();
  expect(await gone).toBeInstanceOf(Error);
}, 20_000);

it('keeps the others waiting for as long as a migration takes', async () => {
  let runs = 0;
  class TakesLong1795255300002 implements MigrationInterface {
    readonly name = 'TakesLong1795255300002';

    async up(runner: QueryRunner): Promise<void> {
      runs += 1;
      await runner.query('select pg_sleep(1.5)');
    }

    async down(): Promise<void> {}
  }
  const options = { url: database.url, schema: 'long', migrations: [TakesLong1795255300002], silenceMs: 500, signOfLifeMs: 100 };
  await Promise.all([migrate(options), migrate(options)]);
  expect(runs).toBe(1);
}, 20_000);

it('calls a database away that can be reached and says nothing', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const url = `postgres://127.0.0.1:${(silent.address() as AddressInfo).port}/posthorn`;
  const error = await migrate({ url, schema: 'silent', migrations: [] }).catch((reason: unknown) => reason);
  expect([isDatabaseAway(error), String(error)]).toEqual([true, expect.stringContaining('timeout')]);
  for (const socket of sockets) socket.destroy();
  silent.close();
}, 20_000);

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
