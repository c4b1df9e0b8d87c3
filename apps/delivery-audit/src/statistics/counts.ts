import { ForeignBytes, type VarintReader, type VarintWriter } from './varints.js';

/** How often each of a few numbered things occurred. What was taken back may be below zero, until what it is taken from is added. */
export type Counts = Map<number, number>;

export const count = (counts: Counts, what: number, times: number): void => {
  const sum = (counts.get(what) ?? 0) + times;
  if (sum === 0) counts.delete(what);
  else counts.set(what, sum);
};

export const addCounts = (counts: Counts, more: ReadonlyMap<number, number>): void => {
  for (const [what, times] of more) count(counts, what, times);
};

/** How many there are; then each, by how far it lies above the one before. The same counts are always the same bytes. */
export const writeCounts = (writer: VarintWriter, counts: ReadonlyMap<number, number>): void => {
  writer.unsigned(counts.size);
  let next = 0;
  for (const what of [...counts.keys()].sort((a, b) => a - b)) {
    writer.unsigned(what - next).signed(counts.get(what) ?? 0);
    next = what + 1;
  }
};

/**
 * @param limit everything counted is numbered below it
 * @throws {ForeignBytes}
 */
export const readCounts = (reader: VarintReader, limit: number): Counts => {
  const counts: Counts = new Map();
  let next = 0;
  for (let left = reader.unsigned(); left > 0; left--) {
    const what = next + reader.unsigned();
    const times = reader.signed();
    if (what >= limit) throw new ForeignBytes('they count what there is not');
    if (times === 0) throw new ForeignBytes('they count nothing');
    counts.set(what, times);
    next = what + 1;
  }
  return counts;
};
