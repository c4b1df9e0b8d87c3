import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { eventually } from '@posthorn/testkit';

const root = fileURLToPath(new URL('../..', import.meta.url));
const DIR = `${root}.posthorn/bench`;

/** Clock ticks per second in /proc: fixed at 100 in Linux' ABI. */
const TICKS = 100;

export type System = {
  readonly brokers: string;
  /** CPU seconds that each service has used so far. Only on Linux. */
  cpuSeconds(): Readonly<Record<string, number>>;
  rest<T>(method: string, path: string, body?: unknown): Promise<T>;
  metrics(service: string): Promise<string>;
  stop(): Promise<void>;
};

/** The whole of Posthorn as `npm start` runs it, with data of its own, for the length of a benchmark. */
export const startSystem = async (): Promise<System> => {
  const cli: ChildProcess = spawn(process.execPath, [`${root}apps/cli/dist/main.js`, 'start', '--no-show', '--dir', DIR], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  process.once('exit', () => cli.kill('SIGTERM'));
  const env = await eventually(() => readyEnv(cli), { timeoutMs: 120_000, describe: () => `Posthorn did not start; its logs are in ${DIR}/logs` });
  const value = (name: string): string => env.get(name) ?? '';
  const services = [...env.keys()].flatMap((name) => /^POSTHORN_(.+)_PID$/.exec(name)?.[1] ?? []);
  const authorization = `Bearer ${value('POSTHORN_ADMIN_API_KEY')}`;
  return {
    brokers: value('POSTHORN_KAFKA_BROKERS'),
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
    stop: async () => {
      cli.kill('SIGTERM');
      if (cli.exitCode === null) await once(cli, 'exit');
    },
  };
};

/** The env file of this run, once every service is ready. */
const readyEnv = async (cli: ChildProcess): Promise<Map<string, string> | undefined> => {
  if (cli.exitCode !== null) throw new Error(`Posthorn ended with ${cli.exitCode}; its logs are in ${DIR}/logs`);
  const text = read(`${DIR}/env`);
  const env = new Map(text.split('\n').map((line) => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)] as const));
  const urls = [...env.keys()].filter((name) => /^POSTHORN_.+_URL$/.test(name) && name !== 'POSTHORN_DATABASE_URL');
  const ready = await Promise.all(urls.map((name) => isReady(env.get(name) ?? '')));
  return urls.length > 1 && ready.every(Boolean) ? env : undefined;
};

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
