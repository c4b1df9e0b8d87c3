import { nextPosition, readableEnd } from './fetched.js';
import type { FetchedPartition } from './kafkajs-internals.js';

/** What a fetch has brought, and when it began, by a clock that never goes back. */
export type Yield = {
  readonly beganMs: number;
  readonly records: number;
  readonly bytes: number;
  /** There is more to read than the answer could hold. */
  readonly isBehind: boolean;
};

/** After a fetch of so many records, and of fewer bytes than that, the next one begins at the earliest so long after it began. */
export type Pace = { readonly minRecords: number; readonly enoughBytes: number; readonly everyMs: number };

/** The most that one answer holds, over all partitions: what is fetched, waits in memory whole. A larger answer saves nothing more. */
export const FETCH_BYTES = 1024 * 1024;
/** And of one partition, so that a backlog in one of them leaves room for the others. A batch that is larger comes whole. */
export const FETCH_PARTITION_BYTES = 256 * 1024;

/**
 * Every answer costs both sides a tenth of a millisecond or more, whatever is in it. What comes alone is read at once; where more comes than that,
 * it is worth a few milliseconds to read it together.
 */
export const PACE: Pace = { minRecords: 2, enoughBytes: FETCH_BYTES / 2, everyMs: 5 };

/** How long the next fetch has to wait. */
export const restMs = ({ beganMs, records, bytes, isBehind }: Yield, { minRecords, enoughBytes, everyMs }: Pace, nowMs: number): number =>
  records < minRecords || bytes >= enoughBytes || isBehind ? 0 : Math.max(0, beganMs + everyMs - nowMs);

export const yieldOf = (fetched: readonly FetchedPartition[], beganMs: number): Yield => {
  let records = 0;
  let bytes = 0;
  let isBehind = false;
  for (const partition of fetched) {
    const { messages } = partition;
    records += messages.length;
    for (const { key, value } of messages) bytes += (key?.length ?? 0) + (value?.length ?? 0);
    isBehind ||= messages.length > 0 && nextPosition(partition, 0) < readableEnd(partition);
  }
  return { beganMs, records, bytes, isBehind };
};

/**
 * Partitions, another one first each time. A broker fills its answer in the order that it was asked in, and leaves out a batch that is larger than what is asked
 * of a partition unless it is the first to be told: always asked in the same order, the last partitions would wait until the first have nothing more to read.
 */
export const inTurn = <T>(partitions: readonly T[], turn: number): readonly T[] => {
  const first = turn % Math.max(partitions.length, 1);
  return [...partitions.slice(first), ...partitions.slice(0, first)];
};
