import { describe, expect, it } from '@jest/globals';
import { partitionOf } from '@posthorn/contracts';
import { partitionFor, partitionFrom, placesOf } from './placement.js';

const PARTITIONS = 12;
const ids = Array.from({ length: 2_000 }, (_, n) => `evt_${n}`);

/** How many of the events go to each partition. */
const placed = (subscription: string, spread: number, partitions = PARTITIONS): ReadonlyMap<number, number> => {
  const counts = new Map<number, number>();
  for (const id of ids) {
    const partition = partitionFor(subscription, spread, id, partitions);
    counts.set(partition, (counts.get(partition) ?? 0) + 1);
  }
  return counts;
};

describe('the place of a delivery', () => {
  it('is that of its subscription, whatever the event, unless it is spread', () => {
    for (const subscription of ['sub_a', 'sub_b', 'sub_c']) {
      expect([...placed(subscription, 1)]).toEqual([[partitionOf(subscription, PARTITIONS), ids.length]]);
    }
  });

  it.each([2, 5, 12])('is one of %d that lie beside each other, each as likely', (spread) => {
    const home = partitionOf('sub_a', PARTITIONS);
    const counts = placed('sub_a', spread);
    const beside = Array.from({ length: spread }, (_, n) => (home + n) % PARTITIONS);
    expect([...counts.keys()].toSorted((a, b) => a - b)).toEqual(beside.toSorted((a, b) => a - b));
    for (const count of counts.values()) expect(Math.abs(count - ids.length / spread)).toBeLessThan((0.3 * ids.length) / spread);
  });

  it('is the same each time, and the same for whoever knows the first of them', () => {
    for (const id of ids.slice(0, 100)) {
      const partition = partitionFor('sub_a', 4, id, PARTITIONS);
      expect(partitionFor('sub_a', 4, id, PARTITIONS)).toBe(partition);
      expect(partitionFrom(partitionOf('sub_a', PARTITIONS), 4, id, PARTITIONS)).toBe(partition);
    }
  });

  it('is among the partitions that there are, however far it is to be spread', () => {
    expect(placesOf(16, 3)).toBe(3);
    expect(placesOf(2, 3)).toBe(2);
    expect([...placed('sub_a', 16, 3).keys()].toSorted()).toEqual([0, 1, 2]);
    expect([...placed('sub_a', 16, 1).keys()]).toEqual([0]);
  });
});
