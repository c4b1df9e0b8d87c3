import { spawn } from 'node:child_process';

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

/**
 * Runs a command in our place: it has our terminal, its status becomes ours. Signals for us are passed on;
 * Ctrl-C reaches it by itself too (same process group), whoever runs here takes the two for one. It sees its fourth descriptor close when we end in any other way. Under npm the same holds for
 * npm, whose death by force we can only notice by having another parent.
 */
export const become = (command, args, env) =>
  new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['inherit', 'inherit', 'inherit', 'pipe'], env });
    child.stdio[3].on('error', () => {});
    const pass = (signal) => process.on(signal, () => child.kill(signal));
    pass('SIGINT');
    pass('SIGTERM');
    pass('SIGHUP');
    const parent = process.ppid;
    const watch = process.env.npm_lifecycle_event
      ? setInterval(() => process.ppid !== parent && child.kill('SIGTERM'), PARENT_CHECK_MS)
      : undefined;
    child.once('error', () => resolve(127));
    child.once('exit', (status, signal) => {
      clearInterval(watch);
      resolve(status ?? (signal === 'SIGINT' ? 130 : 1));
    });
  });
