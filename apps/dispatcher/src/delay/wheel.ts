import { delayTiers, type DelayTier, type TopicName } from '@posthorn/contracts';

const [SMALLEST, SECOND] = delayTiers;

/** What can wait in the smallest tier is due before the next one's length is over; a second more for whoever comes late. */
const HORIZON_MS = SECOND.ms + 1_000;

/** Where a record of the wheel is written. */
export type Place = { readonly topic: string; readonly key: string; readonly partition?: number };

/**
 * Where records wait, for all who put them there.
 *
 * The partitions of the smallest tier are slots of time, as in a clock's face: a record's due time says which. So each holds what is due within a
 * fraction of a second, then what is due one turn later, and a reader that takes it record by record is late by no more than a slot, whatever the
 * load and however little of it fits into memory.
 */
export class Wheel {
  readonly #topic: (name: TopicName) => string;
  readonly #slots: number;

  /** @param slots partitions of the smallest tier */
  constructor(topic: (name: TopicName) => string, slots: number) {
    this.#topic = topic;
    this.#slots = slots;
  }

  /** Where a delivery of this subscription waits from now on. */
  placeFor(subscription: string, nowMs: number, dueMs: number): Place {
    const tier = tierFor(dueMs - nowMs);
    const place = { topic: this.#topic(`deliveries.delayed.${tier}`), key: subscription };
    return tier === SMALLEST.name ? { ...place, partition: slotOf(dueMs, this.#slots) } : place;
  }
}

/** The largest tier that is not longer than what remains; the smallest for anything shorter. */
export const tierFor = (remainingMs: number): DelayTier =>
  delayTiers.findLast(({ ms }) => ms <= remainingMs)?.name ?? SMALLEST.name;

/** With fewer slots than intended each is longer, and so is what a record may be late. */
export const slotOf = (dueMs: number, slots: number): number => Math.floor((Math.max(dueMs, 0) * slots) / HORIZON_MS) % slots;

/**
 * When a record leaves its tier, as it looks now. The delay within a tier is constant, so that records leave in the order in which they came; in
 * the smallest one the rest is waited out to the millisecond.
 *
 * Whoever wrote it may have had another time than we have, and ours may have been set since. So nothing waits for longer than its tier's length from
 * now on, and nobody behind it either: what has longer to go belongs elsewhere, and leaves at once.
 */
export const leavesAt = (tier: DelayTier, { enteredMs, dueMs, nowMs }: { enteredMs: number; dueMs: number; nowMs: number }): number => {
  if (tier === SMALLEST.name) return dueMs - nowMs > HORIZON_MS ? nowMs : dueMs;
  return Math.min(dueMs, Math.min(enteredMs, nowMs) + tierMs(tier));
};

const tierMs = (name: DelayTier): number => delayTiers.find((tier) => tier.name === name)?.ms ?? SMALLEST.ms;
