import type { Bench } from '../bench.ts';
import { ofAll, type Spent } from '../sampler.ts';

export type Idle = { readonly seconds: number; readonly spent: Spent; /** Of one core, all processes together. */ readonly share: number };

/** What everything costs while nothing happens. */
export const measureIdle = async (bench: Bench, seconds: number): Promise<Idle> => {
  await bench.quiet();
  const { spent } = await bench.sampler.during('idle', () => new Promise<void>((resolve) => void setTimeout(resolve, seconds * 1_000)));
  return { seconds, spent, share: ofAll(spent) / spent.seconds };
};
