import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePort, NODE_FLAGS, posthornDir, repositoryRoot, startStack, type Stack } from '@posthorn/testkit';
import { Agent, type Dispatcher } from 'undici';

const READY_TIMEOUT_MS = 600_000;

export type Answer<T> = { readonly status: number; readonly body: T; readonly ms: number };

export type Usage = { readonly cpuSeconds: number; readonly rssBytes: number };

export type Alone = {
  readonly stack: Stack;
  /** Where its data and its log are. */
  readonly dir: string;
  /** The folder of the service. */
  readonly app: string;
  /** What it was started with. */
  readonly env: NodeJS.ProcessEnv;
  /** With the admin key; throws unless it is a success. */
  call<T>(method: Dispatcher.HttpMethod, path: string, body?: unknown): Promise<Answer<T>>;
  metrics(): Promise<string>;
  /** Of the service's process, since its start. */
  usage(): Usage;
  /** Stops the process where it stands, and lets it go on. */
  hold(): void;
  release(): void;
  /** Resolves with the seconds until it was ready. */
  restart(): Promise<number>;
  stop(): Promise<void>;
};

/** One service over a new Kafka and PostgreSQL of its own; they wait for the disk, as in real life. */
export const startAlone = async (
  service: 'subscription-registry' | 'event-ingestion' | 'dispatcher' | 'delivery-audit',
  settings: Readonly<Record<string, string>> = {},
): Promise<Alone> => {
  const dir = join(posthornDir, `bench-${service}`);
  const app = join(repositoryRoot, 'apps', service);
  rmSync(dir, { recursive: true, force: true });
  const stack = await startStack({ dir, env: {} });
  const key = `phk_${randomBytes(32).toString('base64url')}`;
  const port = await freePort('127.0.0.1');
  const origin = `http://127.0.0.1:${port}`;
  const env = {
    ...process.env,
    PORT: String(port),
    HOST: '127.0.0.1',
    GRPC_PORT: '0',
    LOG_LEVEL: 'warn',
    POSTHORN_KAFKA_BROKERS: stack.brokers,
    POSTHORN_DATABASE_URL: stack.databaseUrl,
    POSTHORN_ADMIN_API_KEY: key,
    POSTHORN_ENCRYPTION_KEYS: `k1:${randomBytes(32).toString('base64')}`,
    POSTHORN_EXIT_WITH_PARENT: 'true',
    ...settings,
  };
  const agent = new Agent({ connections: 64, pipelining: 1, bodyTimeout: 120_000, headersTimeout: 120_000 });

  const isReady = async (child: ChildProcess): Promise<boolean> => {
    if (child.exitCode !== null) throw new Error(`${service} ended with ${child.exitCode}; its log is in ${dir}`);
    try {
      return (await fetch(`${origin}/readyz`)).ok;
    } catch {
      return false;
    }
  };
  const start = async (): Promise<ChildProcess> => {
    const log = openSync(join(dir, `${service}.log`), 'a');
    const child = spawn(process.execPath, [...NODE_FLAGS, join(app, 'dist', 'main.js')], { env, stdio: ['pipe', log, log] });
    closeSync(log);
    process.once('exit', () => child.kill('SIGTERM'));
    await eventually(() => isReady(child), { timeoutMs: READY_TIMEOUT_MS, everyMs: 20, describe: () => `${service} did not start; its log is in ${dir}` });
    return child;
  };
  let child = await start();

  return {
    stack,
    dir,
    app,
    env,
    call: async <T>(method: Dispatcher.HttpMethod, path: string, body?: unknown) => {
      const startedMs = performance.now();
      const { statusCode, body: answer } = await agent.request({
        origin,
        path,
        method,
        headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await answer.text();
      const ms = performance.now() - startedMs;
      if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${text.slice(0, 500)}`);
      return { status: statusCode, body: JSON.parse(text) as T, ms };
    },
    metrics: async () => (await fetch(`${origin}/metrics`)).text(),
    usage: () => usageOf(child.pid ?? 0),
    hold: () => void child.kill('SIGSTOP'),
    release: () => void child.kill('SIGCONT'),
    restart: async () => {
      await end(child);
      const startedMs = performance.now();
      child = await start();
      return (performance.now() - startedMs) / 1_000;
    },
    stop: async () => {
      await agent.close();
      await end(child);
      await stack.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
};

const end = async (child: ChildProcess): Promise<void> => {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
};

/** From /proc: fields 14 and 15 of stat, counted after the parenthesised name, in hundredths; VmRSS in kilobytes. */
const usageOf = (pid: number): Usage => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, rssBytes: Number(kilobytes) * 1024 };
};
