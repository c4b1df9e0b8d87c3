import type { SubscriptionState } from '@posthorn/contracts';
import { placesOf } from '@posthorn/domain';

/** What a lane is held to. */
export type LaneTerms = {
  readonly maxConcurrency: number;
  readonly rate?: RateTerms | undefined;
  /** Of an attempt. */
  readonly timeoutMs: number;
};

/** `burst` at once, and then `perSecond` evenly. */
export type RateTerms = { readonly perSecond: number; readonly burst: number };

/** Of a subscription that is not there: what is for it ends without an attempt. */
export const noTerms: LaneTerms = { maxConcurrency: 1, timeoutMs: 1_000 };

/**
 * What a subscription's policy leaves to one partition. One that is spread has a lane for each of its partitions, and each of these an equal
 * share of the limits: together they stay below them, wherever the partitions are.
 */
export const laneTermsOf = ({ max_concurrency, rate_limit, timeout_ms, spread = 1 }: SubscriptionState['policy'], partitions: number): LaneTerms => {
  const places = placesOf(spread, partitions);
  return {
    maxConcurrency: share(max_concurrency, places),
    rate: rate_limit && { perSecond: rate_limit.per_second / places, burst: share(rate_limit.burst, places) },
    timeoutMs: timeout_ms,
  };
};

/** Nothing can be had less than once. */
const share = (limit: number, places: number): number => Math.max(1, Math.floor(limit / places));
