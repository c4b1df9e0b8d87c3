import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Clock ticks per second in /proc: fixed at 100 in Linux' ABI. */
const TICKS = 100;

/** Fields of /proc/<pid>/stat after the parenthesised name: 1 is the parent, 11 and 12 its ticks, 13 and 14 those of children that have ended. */
const statOf = (pid: string): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
  } catch {
    // It has ended meanwhile.
    return [];
  }
};

/** CPU seconds of a PostgreSQL server so far: of all its processes, also those that have ended. Only on Linux. */
export const postgresCpuSeconds = (dir: string): number => {
  const [postmaster = ''] = readFileSync(join(dir, 'postgres', 'data', 'postmaster.pid'), 'utf8').split('\n');
  const own = statOf(postmaster);
  const children = readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(statOf).filter((stat) => stat[1] === postmaster);
  const ticks = [own.slice(11, 15), ...children.map((stat) => stat.slice(11, 13))].flat().reduce((sum, count) => sum + Number(count), 0);
  return ticks / TICKS;
};
