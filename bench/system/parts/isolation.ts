import type { Bench } from '../bench.ts';
import { measureLatency, type Latency } from './latency.ts';

export type Isolation = { readonly without: Latency; readonly beside: Latency };

export type IsolationWish = { readonly subscribers: number; readonly perSecond: number; readonly hangingPerSecond: number; readonly seconds: number };

/** The others of so many subscribers, first by themselves, then beside one that takes requests and never answers. */
export const measureIsolation = async (bench: Bench, { subscribers, perSecond, hangingPerSecond, seconds }: IsolationWish): Promise<Isolation> => {
  const others = Array.from({ length: subscribers - 1 }, (_, n) => ({ type: `bench.isolated.${n}` }));
  const wish = { door: 'kafka', perSecond, seconds, subscribers: others } as const;
  const without = await measureLatency(bench, { ...wish, name: `${subscribers - 1} subscribers` });
  const beside = await measureLatency(bench, {
    ...wish,
    name: `${subscribers - 1} beside one that hangs`,
    beside: { subscriber: { type: 'bench.hanging', manner: { kind: 'hanging' } }, perSecond: hangingPerSecond },
  });
  return { without, beside };
};
