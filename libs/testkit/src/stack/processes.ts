import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

const onLinux = existsSync('/proc/self/stat');

const ps = (pid: number, column: string): string | undefined => {
  try {
    return execFileSync('ps', ['-o', `${column}=`, '-p', String(pid)], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
};

const procFile = (pid: number, name: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8');
  } catch {
    return undefined;
  }
};

/** State and start time, the 3rd and 22nd fields (proc_pid_stat(5)); the 2nd, in brackets, may itself hold spaces and brackets. */
const STATE = 0;
const START_TIME = 19;

/**
 * When a process began, in whatever unit the system tells it: together with its number it names one process for good, for
 * numbers are given out again. Undefined when there is no such process, or only what is left of one that has ended.
 */
export const startOf = (pid: number): string | undefined => {
  if (!onLinux) return ps(pid, 'lstart') || undefined;
  const stat = procFile(pid, 'stat');
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[STATE] === 'Z' ? undefined : fields?.[START_TIME];
};

export const isAlive = (pid: number): boolean => startOf(pid) !== undefined;

/** The command line, arguments separated by spaces. */
export const commandOf = (pid: number): string | undefined =>
  onLinux ? procFile(pid, 'cmdline')?.replaceAll('\0', ' ') : ps(pid, 'command');
