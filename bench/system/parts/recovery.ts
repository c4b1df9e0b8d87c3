import { setTimeout as delay } from 'node:timers/promises';
import type { Bench } from '../bench.ts';
import type { Progress } from '../rate-search.ts';
import { perThousand, type Sample, type Spent } from '../sampler.ts';
import type { Lag } from './throughput.ts';

const SUBSCRIPTIONS = 10;
const CONCURRENCY = 100;
const LOOK_EVERY_MS = 2_000;

/** Of a service in the second and in the last quarter of the drain, in bytes, and how much at most. */
export type MemoryOverDrain = { readonly second: number; readonly last: number; readonly most: number };

export type Recovery = {
  readonly events: number;
  readonly seconds: number;
  readonly perSecond: number;
  readonly memory: Readonly<Record<string, MemoryOverDrain>>;
  readonly progress: readonly Progress[];
  readonly lags: readonly Lag[];
  readonly cpuMillis: Readonly<Record<string, number>>;
  readonly spent: Spent;
  readonly repeated: number;
};

const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

const bytesOf = (samples: readonly Sample[], name: string): readonly number[] => samples.map(({ usage }) => usage[name]?.rssBytes ?? 0);

/** By process; flat memory has both quarters alike. */
export const memoryOver = (samples: readonly Sample[]): Readonly<Record<string, MemoryOverDrain>> => {
  const quarter = (n: number): readonly Sample[] => samples.slice(Math.floor((samples.length * (n - 1)) / 4), Math.floor((samples.length * n) / 4));
  return Object.fromEntries(
    Object.keys(samples.at(-1)?.usage ?? {}).map((name) => [
      name,
      { second: mean(bytesOf(quarter(2), name)), last: mean(bytesOf(quarter(4), name)), most: Math.max(...bytesOf(samples, name)) },
    ]),
  );
};

/** What producers wrote while nothing of Posthorn took it: the ingestion is stopped where it stands until all of it is in Kafka. */
export const measureRecovery = async (bench: Bench, events: number): Promise<Recovery> => {
  const wishes = Array.from({ length: SUBSCRIPTIONS }, (_, n) => ({ type: `bench.recovery.${n}`, concurrency: CONCURRENCY }));
  const subscriptions = await bench.subscribe(wishes);
  const ingestion = bench.system.processes()['event-ingestion'] ?? 0;
  const loading = await (async () => {
    process.kill(ingestion, 'SIGSTOP');
    try {
      const begun = await bench.begin({ types: wishes.map(({ type }) => type), events });
      await begun.produced;
      return begun;
    } finally {
      process.kill(ingestion, 'SIGCONT');
    }
  })();
  const startedMs = performance.now();
  const progress: Progress[] = [];
  const lags: Lag[] = [];
  const { result, spent, samples } = await bench.sampler.during(`recovery of ${events}`, async () => {
    const settling = loading.settled();
    const isOver = settling.then(
      () => true,
      () => true,
    );
    while (!(await Promise.race([isOver, delay(LOOK_EVERY_MS, false)]))) {
      const seconds = (performance.now() - startedMs) / 1_000;
      progress.push({ seconds, offered: events, recorded: await loading.recorded() });
      lags.push({ seconds, records: Object.fromEntries(await bench.lags()) });
    }
    return settling;
  });
  const seconds = (performance.now() - startedMs) / 1_000;
  const { repeated } = await loading.verified();
  await bench.unsubscribe(subscriptions);
  return { events, seconds, perSecond: result.deliveries / seconds, memory: memoryOver(samples), progress, lags, cpuMillis: perThousand(spent, events), spent, repeated };
};
