import type { Log } from './log.js';

type Step = { readonly what: string; readonly close: () => Promise<void> };

/** Orchestrators kill after 30 s as a rule; leaving on our own before that leaves a log line that says what hung. */
const DEADLINE_MS = 25_000;

/** From signal to exit: what was opened last is closed first. */
export class LifeCycle {
  readonly #log: Log;
  readonly #deadlineMs: number;
  readonly #steps: Step[] = [];
  readonly #stopping = new AbortController();

  constructor(log: Log, deadlineMs = DEADLINE_MS) {
    this.#log = log;
    this.#deadlineMs = deadlineMs;
  }

  /** Aborted at the beginning of the end, before anything is closed. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  get stopping(): boolean {
    return this.signal.aborted;
  }

  onShutdown(what: string, close: () => Promise<void>): void {
    this.#steps.push({ what, close });
  }

  /** Signals, the parent's end, and errors nobody caught. */
  watch(exitWithParent: boolean): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void this.stop(signal, 0));
    process.on('uncaughtException', (err) => this.#crash(err, 'uncaught exception'));
    process.on('unhandledRejection', (err) => this.#crash(err, 'unhandled rejection'));
    if (process.channel) process.once('disconnect', () => void this.stop('the parent process is gone', 0));
    if (exitWithParent) {
      // Whatever becomes of the parent, also by SIGKILL, the kernel closes its end of the pipe.
      const gone = (): void => void this.stop('the parent process is gone', 0);
      process.stdin.once('end', gone).once('error', gone).resume();
    }
  }

  /** Ends the process. Only the first call counts: the terminal's Ctrl-C and the parent's signal often come together. */
  async stop(reason: string, code: number): Promise<void> {
    if (this.stopping) return;
    this.#stopping.abort();
    const startedMs = performance.now();
    this.#log.info({ reason }, 'shutting down');
    let current = '';
    setTimeout(() => {
      this.#log.fatal({ step: current, after_ms: this.#deadlineMs }, 'shutting down took too long');
      process.exit(1);
    }, this.#deadlineMs);
    let failed = false;
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) {
      current = step.what;
      failed = !(await this.#run(step)) || failed;
    }
    this.#log.info({ duration_ms: elapsed(startedMs) }, 'shut down');
    process.exit(failed ? 1 : code);
  }

  async #run({ what, close }: Step): Promise<boolean> {
    const startedMs = performance.now();
    try {
      await close();
      this.#log.info({ step: what, duration_ms: elapsed(startedMs) }, 'closed');
      return true;
    } catch (err) {
      this.#log.error({ step: what, duration_ms: elapsed(startedMs), err }, 'closing failed');
      return false;
    }
  }

  /** After an error nobody foresaw nothing in memory can be trusted; what is committed is all that counts. */
  #crash(err: unknown, message: string): void {
    this.#log.fatal({ err }, message);
    process.exit(1);
  }
}

const elapsed = (sinceMs: number): number => Math.round(performance.now() - sinceMs);
