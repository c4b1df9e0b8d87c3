import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '@posthorn/testkit';
import type { Bench } from '../bench.ts';

const START_TIMEOUT_MS = 600_000;

export type ColdStart = {
  readonly subscriptions: number;
  /** Until Kafka and PostgreSQL answer, with what the runs before have left in them. */
  readonly stackSeconds: number;
  /** From then until every service is ready. */
  readonly servicesSeconds: number;
  /** Of the first event after that, to its arrival. */
  readonly firstMillis: number;
  readonly rssBytes: Readonly<Record<string, number>>;
};

/** Stops the whole system and starts it again, with so many subscriptions of types that nobody publishes. */
export const measureColdStart = async (bench: Bench, subscriptions: number): Promise<ColdStart> => {
  await bench.subscribe(Array.from({ length: subscriptions - 1 }, (_, n) => ({ type: `bench.many.${n % 1_000}` })));
  const [one] = await bench.subscribe([{ type: 'bench.first' }]);
  const envFile = join(bench.dir, 'env');
  await bench.stopSystem();
  const startedMs = performance.now();
  // The file is there once the first service has a process.
  const stack = eventually(() => existsSync(envFile), { timeoutMs: START_TIMEOUT_MS, everyMs: 10 }).then(() => performance.now());
  await bench.startSystem(START_TIMEOUT_MS);
  const readyMs = performance.now();
  const stackMs = await stack;
  const rssBytes = Object.fromEntries(Object.entries(bench.sampler.now().usage).map(([name, usage]) => [name, usage.rssBytes]));
  const { latencyMicros } = await bench.load({ types: [one?.type ?? ''], events: 1 });
  return {
    subscriptions,
    stackSeconds: (stackMs - startedMs) / 1_000,
    servicesSeconds: (readyMs - stackMs) / 1_000,
    firstMillis: (latencyMicros[0] ?? Number.NaN) / 1_000,
    rssBytes,
  };
};
