import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, startStack, type Stack } from '@posthorn/testkit';
import { Client } from 'pg';
import { answersMetadata } from '../src/stack/kafka-probe.js';
import { isAlive } from '../src/stack/processes.js';

const built = resolve(import.meta.dirname, '..', 'dist', 'index.js');
const START_MS = 120_000;

const query = async (stack: Pick<Stack, 'databaseUrl'>, sql: string): Promise<unknown[]> => {
  const client = new Client({ connectionString: stack.databaseUrl });
  await client.connect();
  try {
    return (await client.query(sql)).rows as unknown[];
  } finally {
    await client.end();
  }
};

const portOf = (brokers: string): number => Number(brokers.split(':')[1]);

/** A pair of its own beside the one that the other tests use; no container, so that it is the local one that is tested. */
describe('the local pair', () => {
  let dir = '';
  const options = () => ({ dir, env: {} });

  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'posthorn-stack-'));
    // Closed to everybody else, as `mktemp -d` makes it: PostgreSQL runs as another user when we are root.
    chmodSync(dir, 0o700);
  });

  afterAll(() => {
    rmSync(dir, { recursive: true, force: true });
  });

  it(
    'comes up, keeps data and addresses over a stop, and leaves nothing behind',
    async () => {
      const first = await startStack(options());
      await query(first, 'create table kept as select 42 as answer');
      const pids = ['kafka', 'postgres'].map((part) => Number(readFileSync(join(dir, part, 'pid'), 'utf8')));
      await first.stop();
      expect(pids.map(isAlive)).toEqual([false, false]);

      const second = await startStack(options());
      try {
        expect(second).toMatchObject({ brokers: first.brokers, databaseUrl: first.databaseUrl, kind: { kafka: 'local', postgres: 'local' } });
        expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }]);
        expect(await answersMetadata('127.0.0.1', portOf(second.brokers))).toBe(true);
        await expect(startStack(options())).rejects.toMatchObject({ code: 'busy', message: expect.stringContaining(`process ${process.pid}`) });
      } finally {
        await second.stop();
      }
    },
    START_MS,
  );

  it(
    'goes down with a parent that is killed by force, and comes up again on the same data',
    async () => {
      const script = `import { startStack } from ${JSON.stringify(built)}; await startStack({ dir: ${JSON.stringify(dir)}, env: {} }); process.stdout.write('up');`;
      const parent = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(parent.stdout, 'data');
      const pids = ['kafka', 'postgres'].map((part) => Number(readFileSync(join(dir, part, 'pid'), 'utf8')));
      expect(pids.map(isAlive)).toEqual([true, true]);
      const killed = once(parent, 'exit');
      parent.kill('SIGKILL');
      await killed;

      // At once, while the two are still going down: the next start waits for them.
      const next = await startStack(options());
      try {
        await eventually(() => !pids.some(isAlive), { describe: 'the end of the servers of the killed process' });
        expect(await query(next, 'select answer from kept')).toEqual([{ answer: 42 }]);
      } finally {
        await next.stop();
      }
    },
    START_MS,
  );

  it('says at once when the address in the environment leads nowhere', async () => {
    await expect(startStack({ ...options(), env: { POSTHORN_KAFKA_BROKERS: '127.0.0.1:1', POSTHORN_DATABASE_URL: 'postgres://127.0.0.1:1/x' } })).rejects.toMatchObject({
      code: 'failed',
      message: expect.stringMatching(/POSTHORN_KAFKA_BROKERS is set[^]*POSTHORN_DATABASE_URL is set/),
    });
  });
});
