import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { startOf } from './processes.js';

export type Lock = { release(): void };
export type Holder = { readonly pid: number };

const read = (path: string): { pid: number; start: string } | undefined => {
  try {
    const [pid, ...start] = readFileSync(path, 'utf8').trim().split(' ');
    return { pid: Number(pid), start: start.join(' ') };
  } catch {
    return undefined;
  }
};

/** Who holds the lock, if that process is still there. */
export const holderOf = (path: string): Holder | undefined => {
  const written = read(path);
  return written !== undefined && startOf(written.pid) === written.start ? { pid: written.pid } : undefined;
};

/**
 * A file that names the process that holds it, so that whoever comes second can say who was first. A file whose process has
 * ended, killed perhaps, is taken over.
 */
export const takeLock = (path: string): Lock | { readonly heldBy: Holder } => {
  mkdirSync(dirname(path), { recursive: true });
  const mine = `${process.pid} ${startOf(process.pid) ?? ''}\n`;
  for (;;) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return { release: () => rmSync(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const holder = holderOf(path);
    if (holder !== undefined) return { heldBy: holder };
    rmSync(path, { force: true });
  }
};
