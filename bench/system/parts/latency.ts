import type { Bench, SubscriptionWish } from '../bench.ts';
import type { Door } from '../messages.ts';
import { bySecond, percentilesOf, type Percentiles, type Second } from '../percentiles.ts';
import { ofAll, perThousand, type Spent } from '../sampler.ts';

const LEAD_IN_SECONDS = 2;
const SPREAD_OVER = 10;
const CONCURRENCY = 100;
const MICROS = 1_000;

export type Latency = {
  readonly name: string;
  readonly door: Door;
  readonly perSecond: number;
  /** In milliseconds, from when an event was due to when its request was complete at the receiver. */
  readonly latency: Percentiles;
  readonly overTime: readonly Second[];
  /** In milliseconds: of the generator. */
  readonly late: Percentiles;
  /** Of CPU a delivery, all processes. */
  readonly cpuMillis: number;
  readonly cpuMillisByProcess: Readonly<Record<string, number>>;
  readonly spent: Spent;
  readonly repeated: number;
};

export type Beside = {
  /** The subscriber beside those that are measured, and what it is sent. */
  readonly subscriber: SubscriptionWish;
  readonly perSecond: number;
};

export type LatencyWish = {
  readonly name: string;
  readonly door: Door;
  readonly perSecond: number;
  readonly seconds: number;
  /** Who is measured; ten that take everything at once unless said. */
  readonly subscribers?: readonly SubscriptionWish[];
  readonly beside?: Beside;
};

const toMillis = (micros: Uint32Array): Float64Array => Float64Array.from(micros, (value) => value / MICROS);

/** At a steady rate, each event to one of the subscriptions by turns. */
export const measureLatency = async (bench: Bench, { name, door, perSecond, seconds, subscribers, beside }: LatencyWish): Promise<Latency> => {
  const wishes = subscribers ?? Array.from({ length: SPREAD_OVER }, (_, n) => ({ type: `bench.latency.${n}`, concurrency: CONCURRENCY }));
  const measured = await bench.subscribe(wishes);
  const other = beside === undefined ? [] : await bench.subscribe([beside.subscriber]);
  const types = measured.map(({ type }) => type);
  if (beside !== undefined) {
    const events = Math.round(beside.perSecond * (seconds + 2 * LEAD_IN_SECONDS));
    // Nobody waits for its end: the subscriber is sent more than it can take, which is the point.
    await bench.begin({ types: [beside.subscriber.type], events, perSecond: beside.perSecond });
  }
  await (await bench.begin({ door, types, events: Math.round(perSecond * LEAD_IN_SECONDS), perSecond })).produced;
  const { result, spent } = await bench.sampler.during(name, async () => {
    const loading = await bench.begin({ door, types, events: Math.round(perSecond * seconds), perSecond });
    return { loading, settled: await loading.settled() };
  });
  const { latencyMicros, atMillis, deliveries, repeated } = await result.loading.verified();
  await bench.unsubscribe([...measured, ...other]);
  const latency = toMillis(latencyMicros);
  return {
    name,
    door,
    perSecond,
    latency: percentilesOf(latency),
    overTime: bySecond(latency, atMillis),
    late: percentilesOf(toMillis(result.settled.produced.lateMicros)),
    cpuMillis: (ofAll(spent) / deliveries) * 1_000,
    cpuMillisByProcess: perThousand(spent, deliveries),
    spent,
    repeated,
  };
};
