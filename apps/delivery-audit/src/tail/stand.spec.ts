import { describe, expect, it } from '@jest/globals';
import { array, assert, boolean, integer, nat, property, record, tuple } from 'fast-check';
import { placeText } from './place.js';
import { Stand } from './stand.js';

const at = (offset: number, told = 0) => ({ offset, told });
const positions = (...offsets: number[]): Map<number, number> => new Map(offsets.entries());

describe('a stand', () => {
  it('is over at once where the shared reading is', () => {
    expect(new Stand(new Map([[0, at(5)]]), positions(5)).isOver).toBe(true);
  });

  it('takes from its own reading what the shared one has read, and the rest from there', () => {
    const shared = positions(5);
    const stand = new Stand(new Map([[0, at(3)]]), shared);
    expect(stand.shared(0, 5)).toBeUndefined();
    shared.set(0, 6);
    expect([2, 3, 4, 5].map((offset) => stand.alone(0, offset, shared))).toEqual([undefined, 0, 0, 0]);
    expect([stand.isBehind, stand.isOver]).toEqual([false, true]);
    expect([stand.alone(0, 6, shared), stand.shared(0, 6)]).toEqual([undefined, 0]);
  });

  it('takes from the shared reading what another has not told before', () => {
    const stand = new Stand(new Map([[0, at(7, 2)]]), positions(5));
    expect([stand.isBehind, stand.isOver]).toEqual([false, false]);
    expect([5, 6, 7, 8].map((offset) => stand.shared(0, offset))).toEqual([undefined, undefined, 2, 0]);
    expect(stand.isOver).toBe(true);
  });

  it('begins in the middle of a record where it was told its beginning', () => {
    const shared = positions(9);
    const stand = new Stand(new Map([[0, at(7, 3)]]), shared);
    expect([stand.alone(0, 7, shared), stand.alone(0, 8, shared)]).toEqual([3, 0]);
  });

  it('leaves to the shared reading what comes after a gap', () => {
    const shared = positions(5);
    const stand = new Stand(new Map([[0, at(3)]]), shared);
    expect([stand.alone(0, 8, shared), stand.isOver, stand.shared(0, 8)]).toEqual([undefined, true, 0]);
  });

  it('gives up what it would still have to read', () => {
    const stand = new Stand(new Map([[0, at(3)], [1, at(9)]]), positions(5, 5));
    stand.giveUp();
    expect([stand.isBehind, stand.isOver, stand.shared(0, 5), stand.shared(1, 5)]).toEqual([false, false, 0, undefined]);
  });

  it('knows its place among all partitions', () => {
    const shared = positions(5, 5, 5, 5);
    const stand = new Stand(new Map([[0, at(3)], [1, at(9, 1)], [2, at(5)], [3, at(5, 2)]]), shared);
    expect(placeText(stand.place(shared))).toBe('3.9~1.5.5~2');
    for (const partition of [1, 3]) shared.set(partition, 12);
    expect(placeText(stand.place(shared))).toBe('3.c.5.c');
  });

  it('is told each record once and in order, whichever reading comes to it first', () => {
    const turns = array(tuple(boolean(), integer({ min: 0, max: 2 })), { minLength: 60, maxLength: 120 });
    const starts = array(record({ place: nat({ max: 12 }), shared: nat({ max: 12 }) }), { minLength: 3, maxLength: 3 });
    assert(
      property(starts, turns, (given, order) => {
        const shared = positions(...given.map((start) => start.shared));
        const alone = positions(...given.map((start) => start.place));
        const stand = new Stand(new Map([...alone].map(([partition, offset]) => [partition, at(offset)])), shared);
        const taken: number[][] = [[], [], []];
        const read = (isShared: boolean, partition: number): void => {
          const reading = isShared ? shared : alone;
          const offset = reading.get(partition) ?? 0;
          const skipped = isShared ? stand.shared(partition, offset) : stand.alone(partition, offset, shared);
          if (skipped !== undefined) taken[partition]?.push(offset);
          reading.set(partition, offset + 1);
        };
        for (const [isShared, partition] of order) read(isShared, partition);
        // Whatever is still behind is read to where the shared reading is; then that goes on alone.
        for (const partition of [0, 1, 2]) {
          while ((alone.get(partition) ?? 0) < (shared.get(partition) ?? 0)) read(false, partition);
          while ((shared.get(partition) ?? 0) < 60) read(true, partition);
        }
        expect(taken).toEqual(given.map(({ place }) => Array.from({ length: 60 - place }, (_, n) => place + n)));
      }),
      { numRuns: 300 },
    );
  });
});
