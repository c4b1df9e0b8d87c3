import { usageOf, type Usage } from './processes.ts';

/** All processes at a moment of the bench. */
export type Sample = { readonly seconds: number; readonly usage: Readonly<Record<string, Usage>> };

/** Between two moments. */
export type Spent = { readonly seconds: number; readonly cpuSeconds: Readonly<Record<string, number>> };

export type Band = { readonly name: string; readonly fromSeconds: number; readonly toSeconds: number };

const EVERY_MS = 500;
/** Its backends come and go, and are counted with it. */
const WITH_CHILDREN = 'postgres';

/** Watches CPU and memory of every process for as long as the bench lasts. */
export class Sampler {
  readonly samples: Sample[] = [];
  readonly bands: Band[] = [];
  readonly #timer = setInterval(() => this.#look(), EVERY_MS);
  readonly #startMs = performance.now();
  #processes: () => Readonly<Record<string, number>> = () => ({});

  /** @param processes their numbers by name, asked each time */
  watch(processes: () => Readonly<Record<string, number>>): void {
    this.#processes = processes;
  }

  get seconds(): number {
    return (performance.now() - this.#startMs) / 1_000;
  }

  now(): Sample {
    const usage = Object.entries(this.#processes()).map(([name, pid]) => [name, usageOf(pid, name === WITH_CHILDREN)] as const);
    return { seconds: this.seconds, usage: Object.fromEntries(usage) };
  }

  /** What the work costs everybody; shown as a band in the plots. */
  async during<T>(name: string, work: () => Promise<T>): Promise<{ readonly result: T; readonly spent: Spent; readonly samples: readonly Sample[] }> {
    const before = this.now();
    const result = await work();
    const after = this.now();
    this.bands.push({ name, fromSeconds: before.seconds, toSeconds: after.seconds });
    const samples = this.samples.filter(({ seconds }) => seconds >= before.seconds && seconds <= after.seconds);
    return { result, spent: spentBetween(before, after), samples };
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    this.samples.push(this.now());
  }
}

/** A process that was started again between the two counts from its start. */
export const spentBetween = (before: Sample, after: Sample): Spent => ({
  seconds: after.seconds - before.seconds,
  cpuSeconds: Object.fromEntries(
    Object.entries(after.usage).map(([name, { cpuSeconds }]) => {
      const earlier = before.usage[name]?.cpuSeconds ?? 0;
      return [name, cpuSeconds >= earlier ? cpuSeconds - earlier : cpuSeconds];
    }),
  ),
});

/** What is Posthorn and what it stands on; the rest is the bench's. */
const OF_THE_BENCH: ReadonlySet<string> = new Set(['sink', 'generator']);
/** It starts the services and looks on. */
const LAUNCHER = 'launcher';

/** CPU seconds of services, Kafka and PostgreSQL. */
export const ofServices = ({ cpuSeconds }: Spent): number =>
  Object.entries(cpuSeconds).reduce((sum, [name, seconds]) => (OF_THE_BENCH.has(name) || name === LAUNCHER ? sum : sum + seconds), 0);

/** CPU seconds of everything, sink and generator included. */
export const ofAll = ({ cpuSeconds }: Spent): number => Object.values(cpuSeconds).reduce((sum, seconds) => sum + seconds, 0);

/** Seconds of CPU for 1,000 deliveries, which is milliseconds for each, by process. */
export const perThousand = ({ cpuSeconds }: Spent, deliveries: number): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(cpuSeconds).map(([name, seconds]) => [name, (seconds / deliveries) * 1_000]));
