import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from './eventually.js';
import { StackError, reasonOf } from './stack/errors.js';
import { startLeashed } from './stack/leash.js';

const run = promisify(execFile);

const DOWNLOAD_TIMEOUT_MS = 300_000;
const START_TIMEOUT_MS = 30_000;
const GRACE_MS = 5_000;

/** Paths of the two programs. */
export type PrometheusPrograms = { readonly prometheus: string; readonly promtool: string };

const programsIn = (bin: string): PrometheusPrograms => ({ prometheus: join(bin, 'prometheus'), promtool: join(bin, 'promtool') });

const doRun = async ({ prometheus, promtool }: PrometheusPrograms): Promise<boolean> => {
  try {
    await Promise.all([run(prometheus, ['--version']), run(promtool, ['--version'])]);
    return true;
  } catch {
    return false;
  }
};

/** apt with lists of its own below `dir`: neither root nor what the machine has (bare images have none) is needed to look a package up. */
const ownLists = (dir: string): readonly string[] => {
  const lists = join(dir, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  return ['-o', `Dir::State::lists=${lists}`, '-o', 'Dir::Cache::pkgcache=', '-o', 'Dir::Cache::srcpkgcache=', '-o', 'Debug::NoLocking=1'];
};

const downloadPackage = async (dir: string): Promise<void> => {
  const within = { cwd: dir, timeout: DOWNLOAD_TIMEOUT_MS };
  try {
    await run('apt-get', ['-q', 'download', 'prometheus'], within);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
    const options = ownLists(dir);
    await run('apt-get', ['-q', ...options, 'update'], within);
    await run('apt-get', ['-q', ...options, 'download', 'prometheus'], within);
  }
};

/** Unpacked aside and renamed: the folder is whole or not there, also when two processes fetch at once. Nothing is installed. */
const fetchPackage = async (folder: string): Promise<void> => {
  const draft = `${folder}.${process.pid}`;
  mkdirSync(draft, { recursive: true });
  try {
    await downloadPackage(draft);
    const archive = readdirSync(draft).find((name) => name.endsWith('.deb'));
    if (archive === undefined) throw new Error('apt-get said that it had downloaded it, and did not');
    const unpacked = join(draft, 'unpacked');
    await run('dpkg-deb', ['-x', join(draft, archive), unpacked]);
    if (!existsSync(folder)) renameSync(unpacked, folder);
  } catch (cause) {
    throw new StackError(
      'unavailable',
      `No Prometheus to be had: neither prometheus and promtool on the PATH, nor Debian's package by apt-get (${reasonOf(cause).trim().split('\n').at(-1)}). Install Prometheus 2.42 or newer.`,
      { cause },
    );
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
};

/**
 * prometheus and promtool: those on the PATH, else Debian's, fetched once and kept.
 * @param downloads where; `posthornDir` as a rule
 * @throws {StackError} 'unavailable'
 */
export const prometheusPrograms = async (downloads: string): Promise<PrometheusPrograms> => {
  const installed = { prometheus: 'prometheus', promtool: 'promtool' };
  if (await doRun(installed)) return installed;
  const folder = join(downloads, 'prometheus-debian');
  if (!existsSync(folder)) await fetchPackage(folder);
  const fetched = programsIn(join(folder, 'usr', 'bin'));
  if (!(await doRun(fetched))) throw new StackError('unavailable', `The Prometheus in ${folder} does not run on this machine; install one, or remove that folder`);
  return fetched;
};

export type Promtool = (args: readonly string[], input?: string) => Promise<{ readonly exit: number; readonly said: string }>;

/** Runs promtool and tells what it said, be it pleased or not. */
export const promtoolOf =
  ({ promtool }: PrometheusPrograms): Promtool =>
  async (args, input) => {
    const running = run(promtool, [...args], { maxBuffer: 64 * 1024 * 1024 });
    running.child.stdin?.end(input ?? '');
    try {
      const { stdout, stderr } = await running;
      return { exit: 0, said: `${stdout}${stderr}` };
    } catch (error) {
      const { code, stdout = '', stderr = '' } = error as { code?: unknown; stdout?: string; stderr?: string };
      if (typeof code !== 'number') throw error;
      return { exit: code, said: `${stdout}${stderr}` };
    }
  };

export type Series = { readonly metric: Readonly<Record<string, string>>; readonly value: number };

export type Prometheus = {
  readonly url: string;
  /** What a PromQL expression is now. @throws when Prometheus refuses it, with its words */
  query(expression: string): Promise<readonly Series[]>;
  stop(): Promise<void>;
};

export type PrometheusOptions = {
  readonly programs: PrometheusPrograms;
  /** Holds its configuration, data, log and pid. What was there is removed. */
  readonly dir: string;
  readonly port: number;
  /** YAML or, which is the same, JSON. */
  readonly config: string;
};

type Answer = { readonly status: string; readonly error?: string; readonly data: { readonly resultType: string; readonly result: unknown } };
type Vector = readonly { readonly metric: Readonly<Record<string, string>>; readonly value: readonly [number, string] }[];

/** A Prometheus of our own on a loopback port, ready; it ends with us. */
export const startPrometheus = async ({ programs, dir, port, config }: PrometheusOptions): Promise<Prometheus> => {
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true });
  const configFile = join(dir, 'prometheus.yml');
  writeFileSync(configFile, config);
  const url = `http://127.0.0.1:${port}`;
  const logFile = join(dir, 'log');
  const server = startLeashed({
    command: [programs.prometheus, `--config.file=${configFile}`, `--storage.tsdb.path=${join(dir, 'data')}`, `--web.listen-address=127.0.0.1:${port}`],
    logFile,
    pidFile: join(dir, 'pid'),
    signal: 'TERM',
    graceMs: GRACE_MS,
  });
  let running = true;
  void server.ended.then(() => (running = false));
  try {
    await eventually(async () => !running || (await fetch(`${url}/-/ready`)).ok, { timeoutMs: START_TIMEOUT_MS, everyMs: 100, describe: 'Prometheus to be ready' });
    if (!running) throw new Error('it ended');
  } catch (cause) {
    await server.stop();
    throw new StackError('failed', `Prometheus did not start: ${server.lastWords()} (log: ${logFile})`, { cause });
  }
  return { url, query: (expression) => query(url, expression), stop: () => server.stop() };
};

const query = async (url: string, expression: string): Promise<readonly Series[]> => {
  const response = await fetch(`${url}/api/v1/query`, { method: 'POST', body: new URLSearchParams({ query: expression }) });
  const { status, error, data } = (await response.json()) as Answer; // the shape that its HTTP API promises
  if (status !== 'success') throw new Error(`${error}: ${expression}`);
  if (data.resultType === 'scalar') return [{ metric: {}, value: Number((data.result as readonly [number, string])[1]) }];
  return (data.result as Vector).map(({ metric, value }) => ({ metric, value: Number(value[1]) }));
};
