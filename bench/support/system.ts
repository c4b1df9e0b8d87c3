import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually } from '@posthorn/testkit';

const root = fileURLToPath(new URL('../..', import.meta.url));
const DIR = `${root}.posthorn/bench`;
const START_TIMEOUT_MS = 120_000;

/** Clock ticks per second in /proc: fixed at 100 in Linux' ABI. */
const TICKS = 100;

export type SystemOptions = {
  /** Holds data, logs and keys. */
  readonly dir?: string;
  /** On top of our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly startTimeoutMs?: number;
};

export type System = {
  readonly brokers: string;
  readonly databaseUrl: string;
  readonly apiKey: string;
  /** Every process, by name: the services, the launcher that watches them, Kafka and PostgreSQL where they are ours. A service that was started again has another number. */
  processes(): Readonly<Record<string, number>>;
  /** Of a service, by the middle of its variable in the env file: `EVENT_INGESTION`. */
  urlOf(service: string): string;
  /** CPU seconds that each service has used so far. Only on Linux. */
  cpuSeconds(): Readonly<Record<string, number>>;
  rest<T>(method: string, path: string, body?: unknown): Promise<T>;
  metrics(service: string): Promise<string>;
  stop(): Promise<void>;
};

/** The whole of Posthorn as `npm start` runs it, with data of its own, for the length of a benchmark. */
export const startSystem = async ({ dir = DIR, env: more = {}, startTimeoutMs = START_TIMEOUT_MS }: SystemOptions = {}): Promise<System> => {
  const cli: ChildProcess = spawn(process.execPath, [`${root}scripts/lib/start.mjs`, '--no-show', '--dir', dir], {
    // The fourth is its leash: it ends when we do, however that comes about.
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: { ...process.env, ...more, POSTHORN_LAUNCHED: '1' },
  });
  cli.stdio[3]?.on('error', () => undefined);
  const stop = async (): Promise<void> => {
    cli.kill('SIGTERM');
    if (cli.exitCode === null) await once(cli, 'exit');
  };
  let env: ReadonlyMap<string, string>;
  try {
    const ready = eventually(() => readyEnv(dir), { timeoutMs: startTimeoutMs, describe: () => `Posthorn did not start; its logs are in ${dir}/logs` });
    const ended = once(cli, 'exit').then(() => {
      throw new Error(`Posthorn ended with ${cli.exitCode ?? cli.signalCode}; its logs are in ${dir}/logs`);
    });
    // Whichever comes second is of no interest, and not an error that nobody has heard.
    for (const promise of [ready, ended]) promise.catch(() => undefined);
    env = await Promise.race([ready, ended]);
  } catch (error) {
    await stop();
    throw error;
  }
  const value = (name: string): string => env.get(name) ?? '';
  const services = [...env.keys()].flatMap((name) => /^POSTHORN_(.+)_PID$/.exec(name)?.[1] ?? []);
  const authorization = `Bearer ${value('POSTHORN_ADMIN_API_KEY')}`;
  return {
    brokers: value('POSTHORN_KAFKA_BROKERS'),
    databaseUrl: value('POSTHORN_DATABASE_URL'),
    apiKey: value('POSTHORN_ADMIN_API_KEY'),
    processes: () => {
      const now = envIn(dir);
      return Object.fromEntries([
        ...services.map((name) => [name.toLowerCase().replaceAll('_', '-'), Number(now.get(`POSTHORN_${name}_PID`) ?? 0)] as const),
        ['launcher', cli.pid ?? 0],
        ...['kafka', 'postgres'].flatMap((name) => {
          const pid = Number(read(`${dir}/local/${name}/pid`));
          return pid > 0 ? [[name, pid] as const] : [];
        }),
      ]);
    },
    urlOf: (service) => value(`POSTHORN_${service}_URL`),
    cpuSeconds: () =>
      Object.fromEntries(services.map((name) => [name.toLowerCase().replaceAll('_', '-'), cpuSecondsOf(value(`POSTHORN_${name}_PID`))])),
    rest: async <T>(method: string, path: string, body?: unknown) => {
      const response = await fetch(value('POSTHORN_URL') + path, {
        method,
        headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
      return (response.status === 204 ? undefined : await response.json()) as T;
    },
    metrics: async (service) => (await fetch(`${value(`POSTHORN_${service}_URL`)}/metrics`)).text(),
    stop,
  };
};

/** The env file of this run, once every service is ready. */
const readyEnv = async (dir: string): Promise<ReadonlyMap<string, string> | undefined> => {
  const env = envIn(dir);
  const urls = [...env.keys()].filter((name) => /^POSTHORN_.+_URL$/.test(name) && name !== 'POSTHORN_DATABASE_URL');
  const ready = await Promise.all(urls.map((name) => isReady(env.get(name) ?? '')));
  return urls.length > 1 && ready.every(Boolean) ? env : undefined;
};

const envIn = (dir: string): ReadonlyMap<string, string> =>
  new Map(read(`${dir}/env`).split('\n').map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)] as const));

const isReady = async (url: string): Promise<boolean> => {
  try {
    return (await fetch(`${url}/readyz`)).ok;
  } catch {
    return false;
  }
};

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** Fields 14 and 15 of /proc/<pid>/stat, counted after the parenthesised name. */
const cpuSecondsOf = (pid: string): number => {
  const fields = read(`/proc/${pid}/stat`).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS;
};
