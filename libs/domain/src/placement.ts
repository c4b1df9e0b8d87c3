import { partitionOf } from '@posthorn/contracts';

/** Over how many partitions the deliveries of a subscription really go: there may be fewer than its `policy.spread` asks for. */
export const placesOf = (spread: number, partitions: number): number => Math.min(spread, partitions);

/**
 * The partition of `deliveries.requested` of one delivery: that of its subscription's id or, by the event's id, one of the
 * `spread - 1` next to it. Every attempt and every round of a delivery therefore meets the same lane, which is what limits, order
 * and the memory of what was sent already rest upon. Nothing of it is stored: whoever asks gets the same answer.
 */
export const partitionFor = (subscription: string, spread: number, eventId: string, partitions: number): number =>
  partitionFrom(partitionOf(subscription, partitions), spread, eventId, partitions);

/** The same for whoever keeps the partition of a subscription's id beside it. */
export const partitionFrom = (home: number, spread: number, eventId: string, partitions: number): number => {
  const places = placesOf(spread, partitions);
  return places === 1 ? home : (home + partitionOf(eventId, places)) % partitions;
};
