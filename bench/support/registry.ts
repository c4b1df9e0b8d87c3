import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually, freePort, posthornDir, repositoryRoot, startStack, type Stack } from '@posthorn/testkit';
import { Agent } from 'undici';

const DIR = join(posthornDir, 'bench-registry');
const APP = join(repositoryRoot, 'apps', 'subscription-registry');
const READY_TIMEOUT_MS = 600_000;

export type Answer<T> = { readonly status: number; readonly body: T; readonly ms: number };

export type RegistryAlone = {
  readonly stack: Stack;
  call<T>(method: string, path: string, body?: unknown): Promise<Answer<T>>;
  /** Runs one of the registry's commands; resolves with its seconds. */
  command(...args: readonly string[]): { readonly seconds: number; readonly lastLine: string };
  /** Of the service's process, since its start. */
  usage(): { readonly cpuSeconds: number; readonly rssBytes: number };
  restart(): Promise<number>;
  stop(): Promise<void>;
};

/** The registry alone over a new Kafka and PostgreSQL of its own; they wait for the disk, as in real life. */
export const startRegistry = async (): Promise<RegistryAlone> => {
  rmSync(DIR, { recursive: true, force: true });
  const stack = await startStack({ dir: DIR, env: {} });
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
  };
  const agent = new Agent({ connections: 64, pipelining: 1, bodyTimeout: 120_000, headersTimeout: 120_000 });

  const start = async (): Promise<ChildProcess> => {
    const log = openSync(join(DIR, 'registry.log'), 'a');
    const child = spawn(process.execPath, [join(APP, 'dist', 'main.js')], { env, stdio: ['pipe', log, log] });
    closeSync(log);
    process.once('exit', () => child.kill('SIGTERM'));
    await eventually(() => isReady(child, origin), { timeoutMs: READY_TIMEOUT_MS, everyMs: 20, describe: () => `the registry did not start; its log is in ${DIR}` });
    return child;
  };
  let registry = await start();

  return {
    stack,
    call: async <T>(method: string, path: string, body?: unknown) => {
      const startedMs = performance.now();
      const { statusCode, body: answer } = await agent.request({
        origin,
        path,
        method: method as 'GET',
        headers: { authorization: `Bearer ${key}`, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      const text = await answer.text();
      const ms = performance.now() - startedMs;
      if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${text.slice(0, 500)}`);
      return { status: statusCode, body: JSON.parse(text) as T, ms };
    },
    command: (...args) => {
      const startedMs = performance.now();
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(APP, 'bin', 'posthorn-registry.mjs'), ...args], { env, encoding: 'utf8' });
      if (status !== 0) throw new Error(`posthorn-registry ${args.join(' ')} ended with ${status}: ${stderr}`);
      return { seconds: (performance.now() - startedMs) / 1_000, lastLine: `${stderr}${stdout}`.trim().split('\n').at(-1) ?? '' };
    },
    usage: () => usageOf(registry.pid ?? 0),
    restart: async () => {
      await end(registry);
      const startedMs = performance.now();
      registry = await start();
      return (performance.now() - startedMs) / 1_000;
    },
    stop: async () => {
      await agent.close();
      await end(registry);
      await stack.stop();
      rmSync(DIR, { recursive: true, force: true });
    },
  };
};

const end = async (child: ChildProcess): Promise<void> => {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
};

const isReady = async (child: ChildProcess, origin: string): Promise<boolean> => {
  if (child.exitCode !== null) throw new Error(`the registry ended with ${child.exitCode}; its log is in ${DIR}`);
  try {
    return (await fetch(`${origin}/readyz`)).ok;
  } catch {
    return false;
  }
};

/** From /proc: fields 14 and 15 of stat, counted after the parenthesised name, in hundredths; VmRSS in kilobytes. */
const usageOf = (pid: number) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  const [, kilobytes] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / 100, rssBytes: Number(kilobytes) * 1024 };
};
