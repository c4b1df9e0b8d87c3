import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DeliveryView } from '@posthorn/contracts';
import { eventually, posthornDir, repositoryRoot } from '@posthorn/testkit';
import { Api } from '../support/api.js';
import { familyOf, survivorsOf, type ProcessId } from '../support/processes.js';
import { serviceNames } from '../support/service.js';

jest.setTimeout(180_000);

const UP = { timeoutMs: 120_000, everyMs: 100 } as const;
/** A service may drain for 25 s, the servers end after it. */
const GONE = { timeoutMs: 45_000, everyMs: 100 } as const;

const dir = join(posthornDir, 'test', 'start');
const envFile = join(dir, 'env');

/** As in a shell of a user's: nothing of what the tests were given. */
const environment = (): NodeJS.ProcessEnv => Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(?:POSTHORN|npm)_/.test(name)));

/** A command that starts Posthorn, what it says, and every process that has been seen below it. */
class Start {
  output = '';
  readonly seen = new Map<number, ProcessId & { readonly command: string }>();
  readonly exit: Promise<number | null>;
  readonly #child: ChildProcess;

  constructor(command: string, ...args: readonly string[]) {
    const child = spawn(command, args, { cwd: repositoryRoot, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
    this.#child = child;
    const watch = setInterval(() => this.family(), 100);
    this.exit = once(child, 'close').then(([status]) => {
      clearInterval(watch);
      return status as number | null;
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  family(): ReturnType<typeof familyOf> {
    const family = this.hasEnded ? [] : familyOf(this.pid);
    for (const entry of family) this.seen.set(entry.pid, entry);
    return family;
  }

  /** Waits for something it says. */
  async says(text: string | RegExp): Promise<void> {
    const isSaid = (): boolean => (typeof text === 'string' ? this.output.includes(text) : text.test(this.output));
    await eventually(() => this.hasEnded || isSaid(), { ...UP, describe: () => `${String(text)} to be said; it said\n${this.output}` });
    if (!isSaid()) throw new Error(`it ended before it said ${String(text)}; it said\n${this.output}`);
  }

  /** Resolves when no process of it runs any more. */
  async isGone(): Promise<void> {
    await eventually(() => survivorsOf(this.seen.values()).length === 0, {
      ...GONE,
      describe: () => `these processes to end:\n${survivorsOf(this.seen.values()).map(({ pid, command }) => `${pid} ${command}`).join('\n')}`,
    });
  }
}

const settings = (): ReadonlyMap<string, string> =>
  new Map(
    readFileSync(envFile, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
const setting = (name: string): string => settings().get(name) ?? '';
const variable = (service: string, what: 'URL' | 'PID'): string => `POSTHORN_${service.replaceAll('-', '_').toUpperCase()}_${what}`;

const running: Start[] = [];
const start = (command: string, ...args: readonly string[]): Start => {
  const started = new Start(command, ...args);
  running.push(started);
  return started;
};

beforeAll(() => rmSync(dir, { recursive: true, force: true }));

afterEach(async () => {
  for (const started of running.splice(0)) {
    for (const { pid } of survivorsOf(started.seen.values())) process.kill(pid, 'SIGKILL');
    await started.exit;
  }
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('npm start -- --once', () => {
  it('shows a verified and audited delivery, ends with 0, and leaves nothing behind', async () => {
    const command = start('npm', 'start', '--', '--once', '--dir', dir);
    expect([await command.exit, command.output]).toEqual([0, expect.stringContaining('The main job')]);
    expect(command.output).toMatch(/Delivery +signature verified, [\d.]+ ms after the event was produced/);
    expect(command.output).toMatch(/Audit +dlv_[\da-f]{32} delivered, attempt 1 answered 200/);

    const commands = [...command.seen.values()].map((entry) => entry.command);
    expect(serviceNames.filter((name) => !commands.some((each) => each.includes(join('apps', name, 'dist', 'main.js'))))).toEqual([]);
    await eventually(() => survivorsOf(command.seen.values()).length === 0, { timeoutMs: 2_000, describe: () => JSON.stringify(survivorsOf(command.seen.values())) });
    expect(existsSync(envFile)).toBe(false);
  });
});

describe('npm start', () => {
  it('tells in its env file where everything is, starts again what dies, and takes all with it when it is killed', async () => {
    const command = start(process.execPath, 'scripts/run.mjs', 'start', '--dir', dir);
    await command.says('Posthorn is up');

    const names = [
      'POSTHORN_URL',
      'POSTHORN_ADMIN_API_KEY',
      'POSTHORN_KAFKA_BROKERS',
      'POSTHORN_DATABASE_URL',
      'POSTHORN_SUBSCRIPTION_REGISTRY_GRPC_ADDRESS',
      'POSTHORN_EVENT_INGESTION_GRPC_ADDRESS',
      'POSTHORN_DELIVERY_AUDIT_GRPC_ADDRESS',
      ...serviceNames.flatMap((name) => [variable(name, 'URL'), variable(name, 'PID')]),
    ];
    expect([...settings().keys()].toSorted()).toEqual(names.toSorted());
    expect(setting('POSTHORN_URL')).toBe(setting('POSTHORN_GATEWAY_URL'));
    const pids = new Set(command.family().map(({ pid }) => pid));
    for (const name of serviceNames) {
      expect((await fetch(`${setting(variable(name, 'URL'))}/readyz`)).status).toBe(200);
      expect(pids).toContain(Number(setting(variable(name, 'PID'))));
    }

    const before = setting('POSTHORN_DISPATCHER_PID');
    process.kill(Number(before), 'SIGKILL');
    await command.says(/dispatcher ended \(SIGKILL\); starting it again/);
    await command.says(/dispatcher is back after [\d.]+ s/);
    const after = setting('POSTHORN_DISPATCHER_PID');
    expect(after).not.toBe(before);
    expect(command.family().map(({ pid }) => pid)).toContain(Number(after));

    const api = new Api(setting('POSTHORN_URL'), setting('POSTHORN_ADMIN_API_KEY'));
    const { id } = await api.ask<{ id: string }>('POST', '/v1/tenants/default/events', { type: 'demo.after_the_crash', data: 1 });
    await eventually(async () => (await api.list<DeliveryView>(`/v1/tenants/default/deliveries?event_id=${id}`))[0]?.status === 'delivered', UP);

    // The one that does the work, below the one that was called.
    const worker = command.family().find(({ parent }) => parent === command.pid);
    expect(worker?.command).toContain('start.mjs');
    process.kill(worker?.pid ?? 0, 'SIGKILL');
    expect(await command.exit).not.toBe(0);
    await command.isGone();
  });

  it('ends everything also when the command that was called is killed, and says that it is running before that', async () => {
    const command = start(process.execPath, 'scripts/run.mjs', 'start', '--no-show', '--dir', dir);
    await command.says('Posthorn is up');
    const second = start(process.execPath, 'scripts/run.mjs', 'start', '--dir', dir);
    expect([await second.exit, second.output]).toEqual([1, expect.stringContaining(`Posthorn is running here already`)]);

    command.family();
    process.kill(command.pid, 'SIGKILL');
    await command.isGone();
    expect(existsSync(envFile)).toBe(false);
  });
});
