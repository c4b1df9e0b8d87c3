import { statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEnd, newLife, onReady, type Life } from './restart.js';
import { lastErrorIn, startProcess, type End, type ServiceProcess, type ServiceProcessOptions } from './service-process.js';
import { stopGroups, type ServiceName } from './services.js';

export type FleetOptions = {
  readonly processOf: (service: ServiceName) => ServiceProcessOptions;
  /** A service has got a process number, or lost it. */
  readonly onPids: (pids: ReadonlyMap<ServiceName, number>) => void;
  /** Something to tell whoever watches: a service has ended, or is there again. */
  readonly onNews: (text: string) => void;
};

const sizeOf = (file: string): number => statSync(file, { throwIfNoEntry: false })?.size ?? 0;

/** The service processes together: brings each up, starts again what ends unasked, takes them down in order. */
export class Fleet {
  readonly #processes = new Map<ServiceName, ServiceProcess>();
  readonly #pids = new Map<ServiceName, number>();
  readonly #watches: Promise<void>[] = [];
  readonly #stopped = new AbortController();

  constructor(private readonly options: FleetOptions) {}

  /** Starts a service for the first time. @throws {Error} in one line, when it does not become ready */
  async start(service: ServiceName): Promise<void> {
    if (this.#stopped.signal.aborted) throw new Error(`${service} is not started: we are stopping`);
    const { logFile } = this.options.processOf(service);
    const logFrom = sizeOf(logFile);
    const process = this.#spawn(service);
    const problem = await process.ready();
    if (problem !== undefined) throw new Error(`${service} ${problem}: ${lastErrorIn(logFile, logFrom)} (log: ${logFile})`);
    this.#watches.push(this.#watch(service, process, onReady(newLife)));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    for (const group of stopGroups()) await Promise.all(group.map((service) => this.#processes.get(service)?.stop()));
    await Promise.all(this.#watches);
  }

  #spawn(service: ServiceName): ServiceProcess {
    const process = startProcess(this.options.processOf(service));
    this.#processes.set(service, process);
    this.#pids.set(service, process.pid);
    this.options.onPids(this.#pids);
    return process;
  }

  /** Until `stop`: waits for the process to end, and follows it with another one. */
  async #watch(service: ServiceName, first: ServiceProcess, firstLife: Life): Promise<void> {
    let life = firstLife;
    for (let process = first; ; ) {
      const end: End = await process.ended;
      const next = afterEnd(life, end.ranMs);
      if (this.#stopped.signal.aborted || next.kind === 'give_up') return;
      life = next.life;
      this.options.onNews(`${service} ended (${end.how}); starting it again${next.afterMs >= 1_000 ? ` in ${Math.round(next.afterMs / 1_000)} s` : ''}`);
      await delay(next.afterMs, undefined, { signal: this.#stopped.signal }).catch(() => {});
      if (this.#stopped.signal.aborted) return;
      const since = performance.now();
      process = this.#spawn(service);
      const current = process;
      void current.ready().then((problem) => {
        const seconds = ((performance.now() - since) / 1_000).toFixed(1);
        if (problem === undefined) this.options.onNews(`${service} is back after ${seconds} s (process ${current.pid})`);
        else if (!this.#stopped.signal.aborted && !problem.startsWith('ended')) this.options.onNews(`${service} ${problem}`);
      });
    }
  }
}
