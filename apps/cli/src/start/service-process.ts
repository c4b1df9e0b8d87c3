import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { NODE_FLAGS } from '@posthorn/testkit';
import { lastError } from './log-lines.js';

const READY_TIMEOUT_MS = 60_000;
const READY_EVERY_MS = 50;
/** A service gives itself 25 s to drain. */
const STOP_TIMEOUT_MS = 28_000;

export type End = { readonly how: string; readonly ranMs: number };

export type ServiceProcess = {
  readonly pid: number;
  readonly ended: Promise<End>;
  /** Resolves with undefined when it answers that it is ready, else with the reason why it will not. */
  ready(): Promise<string | undefined>;
  stop(): Promise<void>;
};

export type ServiceProcessOptions = {
  readonly main: string;
  readonly url: string;
  readonly env: NodeJS.ProcessEnv;
  readonly logFile: string;
};

const reasons = async (url: string): Promise<string | undefined> => {
  try {
    const response = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2_000) });
    const body = await response.text();
    return response.ok ? undefined : body.slice(0, 500);
  } catch {
    return 'it does not answer';
  }
};

/** What the log says since `from`; a restart appends to it. */
export const lastErrorIn = (logFile: string, from = 0): string => {
  try {
    return lastError(readFileSync(logFile).subarray(from).toString('utf8')) ?? 'it says nothing';
  } catch {
    return 'there is no log';
  }
};

/**
 * Starts a service in a session of its own, so that Ctrl-C reaches it through us, in order; its standard input is a pipe from
 * us, whose end tells it that we are gone.
 */
export const startProcess = ({ main, url, env, logFile }: ServiceProcessOptions): ServiceProcess => {
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  const startedMs = performance.now();
  const child: ChildProcess = spawn(process.execPath, [...NODE_FLAGS, main], { env, stdio: ['pipe', log, log], detached: true });
  closeSync(log);
  child.stdin?.on('error', () => {});
  let running = true;
  const ended = new Promise<End>((resolve) => {
    const end = (how: string) => {
      running = false;
      resolve({ how, ranMs: performance.now() - startedMs });
    };
    child.once('error', (error) => end(error.message));
    child.once('exit', (status, signal) => end(signal ?? `exit ${status}`));
  });
  return {
    pid: child.pid ?? 0,
    ended,
    ready: async () => {
      const deadline = performance.now() + READY_TIMEOUT_MS;
      for (;;) {
        const reason = await reasons(url);
        if (!running) return `ended (${(await ended).how})`;
        if (reason === undefined) return undefined;
        if (performance.now() > deadline) return `is not ready after ${READY_TIMEOUT_MS / 1_000} s (${reason})`;
        await delay(READY_EVERY_MS);
      }
    },
    stop: async () => {
      if (!running) return;
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
      await ended;
      clearTimeout(force);
    },
  };
};
