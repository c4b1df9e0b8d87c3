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
 * Calls back once when npm, which has started us, has ended without telling us: its death by force shows only in who our parents
 * are. Without npm nobody waits for us, and a parent may go as it likes.
 */
const onParentGone = (callback) => {
  if (!process.env.npm_lifecycle_event) return;
  const atStart = waiting();
  const timer = setInterval(() => {
    if (waiting() === atStart) return;
    clearInterval(timer);
    callback();
  }, PARENT_CHECK_MS);
  timer.unref();
};

let child;

/** Lets this process, and the command that it has become, end after npm. */
export const endWithNpm = () => onParentGone(() => (child === undefined ? process.exit(1) : child.kill('SIGTERM')));

/**
 * Runs a command in our place: it has our terminal, its status becomes ours. Signals for us are passed on; Ctrl-C reaches it
 * by itself too (same process group), whoever runs here takes the two for one. It sees its fourth descriptor close when we end
 * in any other way.
 */
export const become = (command, args, env) =>
  new Promise((resolve, reject) => {
    child = spawn(command, args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env });
    child.stdio[3]?.on('error', () => {});
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
    child.once('error', reject);
    child.once('exit', (status, signal) => resolve(status ?? (signal === 'SIGINT' ? 130 : 1)));
  });
