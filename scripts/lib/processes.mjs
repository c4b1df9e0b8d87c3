import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Runs a command to its end and collects what it prints; rejects never, the status tells. */
export const capture = (command, args, options = {}) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    child.stderr.on('data', (chunk) => (output += chunk));
    child.once('error', (error) => resolve({ status: 127, output: String(error) }));
    child.once('close', (status) => resolve({ status: status ?? 1, output }));
  });

const PARENT_CHECK_MS = 500;

/** Name and parent of a process, from proc_pid_stat(5); undefined where there is no /proc. */
const statOf = (pid) => {
  try {
    const [, name, parent] = /\((.*)\) . (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    return { name, parent };
  } catch {
    return undefined;
  }
};

/** Who waits for us, as text to compare: npm, and the shell that it may have put between. */
const waiting = () => {
  const parent = statOf(process.ppid);
  return parent?.name?.endsWith('sh') ? `${process.ppid} ${parent.parent}` : String(process.ppid);
};

/**
 * Runs a command in our place: it has our terminal, its status becomes ours. Signals for us are passed on; Ctrl-C reaches it
 * by itself too (same process group), whoever runs here takes the two for one. It sees its fourth descriptor close when we end
 * in any other way. The same holds for npm when it has started us; its death by force shows only in who our parents are.
 */
export const become = (command, args, env) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env });
    child.stdio[3].on('error', () => {});
    const pass = (signal) => process.on(signal, () => child.kill(signal));
    pass('SIGINT');
    pass('SIGTERM');
    pass('SIGHUP');
    const atStart = waiting();
    const watch = process.env.npm_lifecycle_event
      ? setInterval(() => waiting() !== atStart && child.kill('SIGTERM'), PARENT_CHECK_MS)
      : undefined;
    child.once('error', () => resolve(127));
    child.once('exit', (status, signal) => {
      clearInterval(watch);
      resolve(status ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
