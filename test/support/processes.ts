import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** A process by its number and its beginning: numbers are given out again. */
export type ProcessId = { readonly pid: number; readonly since: string };
type Entry = ProcessId & { readonly parent: number; readonly command: string };

/** After the name in brackets, which may itself hold spaces and brackets (proc_pid_stat(5)). */
const STATE = 0;
const PARENT = 1;
const START_TIME = 19;

const fromProc = (pid: string): readonly Entry[] => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    // What has no command line any more has given back its memory, and is as good as gone.
    return fields[STATE] === 'Z' || command === '' ? [] : [{ pid: Number(pid), since: fields[START_TIME] ?? '', parent: Number(fields[PARENT]), command: command.trimEnd() }];
  } catch {
    return []; // It has ended since the listing.
  }
};

const fromPs = (): readonly Entry[] =>
  execFileSync('ps', ['-A', '-o', 'pid=,ppid=,lstart=,command='], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => {
      const [, pid, parent, since = '', command = ''] = /^\s*(\d+)\s+(\d+)\s+((?:\S+\s+){4}\S+)\s+(.*)$/.exec(line) ?? [];
      return pid === undefined ? [] : [{ pid: Number(pid), since, parent: Number(parent), command }];
    });

const all = (): readonly Entry[] => (process.platform === 'linux' ? readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap(fromProc) : fromPs());

/** The process itself and whatever it has started, directly or not, that runs now. */
export const familyOf = (pid: number): readonly Entry[] => {
  const entries = all();
  const family = new Set([pid]);
  for (let before = 0; before < family.size; ) {
    before = family.size;
    for (const entry of entries) if (family.has(entry.parent)) family.add(entry.pid);
  }
  return entries.filter((entry) => family.has(entry.pid));
};

/** Which of them still run. */
export const survivorsOf = (processes: Iterable<ProcessId>): readonly Entry[] => {
  const running = all();
  return [...processes].flatMap(({ pid, since }) => running.filter((entry) => entry.pid === pid && entry.since === since));
};
