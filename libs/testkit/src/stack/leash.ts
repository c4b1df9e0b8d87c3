import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { eventually } from '../eventually.js';
import { commandOf, isAlive } from './processes.js';

/**
 * Runs a server for as long as its standard input stays open. The other end is held by our process alone, so the system closes
 * it when we end, however we end; then the server gets its signal, and KILL when that did not help. The server runs beside the
 * watcher, not under it: whichever of the two is killed, the other still ends.
 */
const LEASH = `
signal=$1 tenths=$2 pidfile=$3; shift 3
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
echo $server >"$pidfile"
(
  read -r _ <&3
  kill -s "$signal" $server
  while [ $tenths -gt 0 ] && kill -0 $server; do sleep 0.1; tenths=$((tenths - 1)); done
  kill -s KILL $server
) >/dev/null 2>&1 &
watcher=$!
exec 3<&-
wait $server
status=$?
kill $watcher 2>/dev/null
rm -f "$pidfile"
exit $status
`;

export type LeashOptions = {
  readonly command: readonly [string, ...string[]];
  readonly env?: NodeJS.ProcessEnv;
  /** Takes what the server prints; emptied first. */
  readonly logFile: string;
  /** Holds the server's process number while it runs. */
  readonly pidFile: string;
  /** What asks the server to stop. */
  readonly signal: 'TERM' | 'INT';
  /** How long it may take over that. */
  readonly graceMs: number;
};

export type Leashed = {
  /** Resolves with the exit status once the server has ended. */
  readonly ended: Promise<number>;
  /** The last line the server printed that says anything. */
  lastWords(): string;
  stop(): Promise<void>;
};

const lastLine = (file: string): string => {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').at(-1)?.trim() ?? '';
  } catch {
    return '';
  }
};

export const startLeashed = ({ command, env = process.env, logFile, pidFile, signal, graceMs }: LeashOptions): Leashed => {
  mkdirSync(dirname(logFile), { recursive: true });
  mkdirSync(dirname(pidFile), { recursive: true });
  const log = openSync(logFile, 'w');
  const leash = spawn('sh', ['-c', LEASH, 'leash', signal, String(Math.ceil(graceMs / 100)), pidFile, ...command], {
    stdio: ['pipe', log, log],
    env,
    // A session of its own: Ctrl-C at the terminal is for us, and we stop our servers in order.
    detached: true,
  });
  closeSync(log);
  leash.stdin?.on('error', () => {});
  const ended = new Promise<number>((resolve) => {
    leash.once('error', () => resolve(127));
    leash.once('exit', (status) => resolve(status ?? 1));
  });
  return {
    ended,
    lastWords: () => lastLine(logFile),
    stop: async () => {
      leash.stdin?.end();
      await ended;
    },
  };
};

/**
 * After a crash of the process that held the leash its servers may take some seconds to end. Waits for the one that wrote the
 * pid file; ends it by force when it outlives that, provided that it is still the program whose command line holds `mark`.
 */
export const outwait = async (pidFile: string, mark: string, graceMs: number): Promise<void> => {
  const pid = Number(lastLine(pidFile));
  const runs = () => pid > 0 && isAlive(pid) && (commandOf(pid)?.includes(mark) ?? false);
  try {
    await eventually(() => !runs(), { timeoutMs: graceMs, everyMs: 100 });
  } catch {
    process.kill(pid, 'SIGKILL');
    await eventually(() => !runs(), { timeoutMs: 5_000, describe: `the end of process ${pid} (${mark})` });
  }
  rmSync(pidFile, { force: true });
};
