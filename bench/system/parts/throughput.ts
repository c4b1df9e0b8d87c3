import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Loading } from '../bench.ts';
import { highestSustained, isSustained, nextRate, type Progress, type SearchLimits, type Trial } from '../rate-search.ts';
import { perThousand, type Spent } from '../sampler.ts';

const LOOK_EVERY_MS = 500;
/** Asking all services for their metrics costs them what is measured. */
const LAGS_EVERY_MS = 2_000;
/** Of the backlog's rate, the first rate that is tried: work that comes evenly is done in smaller pieces than a backlog. */
const FIRST_GUESS = 0.9;
/** As many as the API allows: the lane is not what is measured. */
const CONCURRENCY = 100;
/** At fan-out 1 the events go to so many subscriptions by turns. */
const SPREAD_OVER = 10;

export type Lag = { readonly seconds: number; readonly records: Readonly<Record<string, number>> };

export type RateTrial = Trial & {
  readonly progress: readonly Progress[];
  readonly lags: readonly Lag[];
  readonly cpuMillis: Readonly<Record<string, number>>;
  readonly spent: Spent;
  readonly deliveries: number;
};

export type Throughput = {
  readonly fanOut: number;
  /** A backlog written and delivered as fast as it goes. */
  readonly drain: { readonly deliveries: number; readonly perSecond: number; readonly progress: readonly Progress[]; readonly cpuMillis: Readonly<Record<string, number>>; readonly spent: Spent };
  readonly trials: readonly RateTrial[];
  readonly sustainedPerSecond: number | undefined;
  readonly repeated: number;
};

export type ThroughputWish = {
  readonly fanOut: number;
  readonly backlog: number;
  /** Of a trial. */
  readonly seconds: number;
  readonly search: SearchLimits;
};

/** Looks at a load until it has settled; `offered` tells what of it had been published after so many seconds. */
const watch = async (loading: Loading, offered: (seconds: number) => number, each?: (seconds: number) => Promise<void>) => {
  const progress: Progress[] = [];
  const settling = loading.settled();
  const isOver = settling.then(
    () => true,
    () => true,
  );
  for (;;) {
    if (await Promise.race([isOver, delay(LOOK_EVERY_MS, false)])) break;
    const seconds = (performance.now() - loading.startedMs) / 1_000;
    progress.push({ seconds, offered: offered(seconds), recorded: await loading.recorded() });
    await each?.(seconds);
  }
  return { settled: await settling, progress };
};

export const measureThroughput = async (bench: Bench, { fanOut, backlog, seconds, search }: ThroughputWish): Promise<Throughput> => {
  const types = fanOut === 1 ? Array.from({ length: SPREAD_OVER }, (_, n) => `bench.one.${n}`) : [`bench.all.${fanOut}`];
  const wishes = fanOut === 1 ? types.map((type) => ({ type, concurrency: CONCURRENCY })) : Array.from({ length: fanOut }, () => ({ type: types[0] ?? '', concurrency: CONCURRENCY }));
  const subscriptions = await bench.subscribe(wishes);
  let repeated = 0;

  const drain = async () => {
    const { result, spent } = await bench.sampler.during(`backlog, fan-out ${fanOut}`, async () => {
      const loading = await bench.begin({ types, events: Math.ceil(backlog / fanOut), fanOut });
      return { loading, ...(await watch(loading, () => loading.deliveries)) };
    });
    repeated += (await result.loading.verified()).repeated;
    const { deliveries } = result.settled;
    return { deliveries, perSecond: deliveries / result.settled.seconds, progress: result.progress, cpuMillis: perThousand(spent, deliveries), spent };
  };

  const attempt = async (perSecond: number): Promise<RateTrial> => {
    const lags: Lag[] = [];
    const { result, spent } = await bench.sampler.during(`${Math.round(perSecond)}/s, fan-out ${fanOut}`, async () => {
      const events = Math.max(1, Math.round((perSecond / fanOut) * seconds));
      const loading = await bench.begin({ types, events, perSecond: perSecond / fanOut, fanOut });
      const offered = (after: number): number => Math.min(loading.deliveries, after * perSecond);
      const look = async (after: number): Promise<void> => {
        if ((after - (lags.at(-1)?.seconds ?? 0)) * 1_000 >= LAGS_EVERY_MS) lags.push({ seconds: after, records: Object.fromEntries(await bench.lags()) });
      };
      return { loading, ...(await watch(loading, offered, look)) };
    });
    repeated += (await result.loading.verified()).repeated;
    const { deliveries } = result.settled;
    const during = result.progress.filter((one) => one.seconds <= seconds);
    return { perSecond, isSustained: isSustained(during, perSecond), progress: result.progress, lags, cpuMillis: perThousand(spent, deliveries), spent, deliveries };
  };

  const drained = await drain();
  const trials: RateTrial[] = [];
  for (let rate = nextRate(drained.perSecond * FIRST_GUESS, trials, search); rate !== undefined; rate = nextRate(drained.perSecond * FIRST_GUESS, trials, search)) {
    trials.push(await attempt(rate));
  }
  await bench.unsubscribe(subscriptions);
  return { fanOut, drain: drained, trials, sustainedPerSecond: highestSustained(trials), repeated };
};

/** What the trial at the sustained rate cost, else the backlog. */
export const costOf = ({ drain, trials, sustainedPerSecond }: Throughput): { readonly spent: Spent; readonly deliveries: number } =>
  trials.find((trial) => trial.isSustained && trial.perSecond === sustainedPerSecond) ?? drain;
