import { delayTiers, type DelayTier } from '@posthorn/contracts';

const SMALLEST = delayTiers[0];

/** The largest tier that is not longer than what remains; the smallest for anything shorter. */
export const tierFor = (remainingMs: number): DelayTier =>
  delayTiers.findLast(({ ms }) => ms <= remainingMs)?.name ?? SMALLEST.name;

/**
 * When a record leaves its tier. The delay within a tier is constant, so that records leave in the order in which they came and
 * a reader has only ever to look at the first. In the smallest tier the last second is waited out exactly.
 */
export const leavesAt = (tier: DelayTier, enteredMs: number, dueMs: number): number =>
  tier === SMALLEST.name ? dueMs : Math.min(dueMs, enteredMs + tierMs(tier));

/** Where a record goes that leaves its tier: on to the sender when it is due, else to a smaller tier. */
export const nextStop = (nowMs: number, dueMs: number): 'requested' | DelayTier =>
  dueMs <= nowMs ? 'requested' : tierFor(dueMs - nowMs);

const tierMs = (name: DelayTier): number => delayTiers.find((tier) => tier.name === name)?.ms ?? SMALLEST.ms;
