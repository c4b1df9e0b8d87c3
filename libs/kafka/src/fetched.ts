import type { FetchedPartition } from './kafkajs-internals.js';

/**
 * Where reading goes on after an answer that was asked for from `position`; the same where it has brought nothing. Behind the last batch, not the last
 * record: a batch may have been compacted empty, or lost its last records, and whoever asked for those would have the same answer for ever.
 */
export const nextPosition = ({ messages }: Pick<FetchedPartition, 'messages'>, position: number): number => {
  const last = messages.at(-1);
  // What an old format does not tell: a batch that ends before the position has lost the record that was asked for.
  const next = messages.nextOffset ?? (last === undefined ? position : Math.max(Number(last.offset), position) + 1);
  return Math.max(next, position);
};

/** One past the last record that can be read, now: an open transaction, however long it stays open, is not there yet. */
export const readableEnd = ({ lastStableOffset, highWatermark }: Pick<FetchedPartition, 'lastStableOffset' | 'highWatermark'>): number => {
  const stable = Number(lastStableOffset);
  return stable >= 0 ? stable : Number(highWatermark);
};
