import { readFileSync } from 'node:fs';

/** Clock ticks per second in /proc: fixed at 100 in Linux' ABI. */
const TICKS = 100;

/** What /proc/<pid>/stat tells of CPU, in seconds: of the process itself, and of those children that have ended and were waited for. */
export type CpuOfProcess = { readonly own: number; readonly endedChildren: number };

/** The fields are counted after the name, which may itself hold brackets (proc_pid_stat(5): utime, stime, cutime, cstime are the 14th to 17th). */
export const parseStat = (stat: string): CpuOfProcess => {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = (field: number): number => Number(fields[field - 3] ?? 0);
  return { own: (ticks(14) + ticks(15)) / TICKS, endedChildren: (ticks(16) + ticks(17)) / TICKS };
};

/** In bytes; memory that processes share (PostgreSQL's buffers) apart, so that it can be counted once. */
export type Memory = { readonly own: number; readonly shared: number };

export const parseMemory = (status: string): Memory => {
  const kilobytes = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { own: (kilobytes('VmRSS') - kilobytes('RssShmem')) * 1_024, shared: kilobytes('RssShmem') * 1_024 };
};

export type Usage = { readonly cpuSeconds: number; readonly rssBytes: number };

/** A process with all its descendants: the living ones by themselves, those that have ended by what their parents remember of them. */
export const sumUsage = (processes: readonly { readonly cpu: CpuOfProcess; readonly memory: Memory }[]): Usage => ({
  cpuSeconds: processes.reduce((sum, { cpu }) => sum + cpu.own + cpu.endedChildren, 0),
  rssBytes: processes.reduce((sum, { memory }) => sum + memory.own, 0) + Math.max(0, ...processes.map(({ memory }) => memory.shared)),
});

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It has ended since it was found.
    return '';
  }
};

const withDescendants = (pid: number): readonly number[] => [
  pid,
  ...read(`/proc/${pid}/task/${pid}/children`)
    .split(' ')
    .filter(Boolean)
    .flatMap((child) => withDescendants(Number(child))),
];

/** Since it began; of all below it too, when its work is theirs. Only on Linux. */
export const usageOf = (pid: number, isWithChildren: boolean): Usage =>
  sumUsage((isWithChildren ? withDescendants(pid) : [pid]).map((one) => ({ cpu: parseStat(read(`/proc/${one}/stat`)), memory: parseMemory(read(`/proc/${one}/status`)) })));
