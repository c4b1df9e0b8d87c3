import type { AbortedTransaction, FetchedMessage } from './kafkajs-internals.js';

/**
 * What counts of an answer to those who do not read what was never committed: neither what aborted transactions have written nor the records that say how
 * one has ended. In the client's place, which takes the transactions for sorted by their beginning (the broker sorts by the end), lets no more than one
 * begin at each record, and takes every record whose key is four zero bytes, as an integer's 0 is, for the end of one.
 */
export const committedOf = (messages: readonly FetchedMessage[], aborted: readonly AbortedTransaction[] | null | undefined): readonly FetchedMessage[] => {
  if (!aborted?.length) return messages.filter(({ isControlRecord }) => !isControlRecord);
  const beginnings = aborted.toSorted((a, b) => Number(a.firstOffset) - Number(b.firstOffset));
  /** Producers whose transaction is to be aborted further on. A producer has one at a time. */
  const aborting = new Set<string>();
  let begun = 0;
  return messages.filter(({ offset, isControlRecord, batchContext }) => {
    for (let next = beginnings[begun]; next && Number(next.firstOffset) <= Number(offset); next = beginnings[++begun]) aborting.add(next.producerId);
    if (isControlRecord) {
      if (batchContext) aborting.delete(batchContext.producerId);
      return false;
    }
    return !(batchContext?.inTransaction && aborting.has(batchContext.producerId));
  });
};
