import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Heap } from './heap.js';

type Item = { key: number };

const drained = (heap: Heap<Item>): number[] => {
  const keys: number[] = [];
  for (let item = heap.shift(); item !== undefined; item = heap.shift()) keys.push(item.key);
  return keys;
};

const keys = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 });
const filled = (given: readonly number[]): Heap<Item> => {
  const heap = new Heap<Item>(({ key }) => key);
  for (const key of given) heap.push({ key });
  return heap;
};
const ascending = (given: readonly number[]): number[] => given.toSorted((a, b) => a - b);

describe('a heap', () => {
  it('gives back what is in it, smallest first', () => {
    fc.assert(fc.property(keys, (given) => void expect(drained(filled(given))).toEqual(ascending(given))));
  });

  it('shows the smallest of what is in it at any moment', () => {
    const steps = fc.array(fc.option(fc.integer({ min: 0, max: 20 })), { maxLength: 80 });
    fc.assert(
      fc.property(steps, (given) => {
        const heap = filled([]);
        let model: number[] = [];
        for (const key of given) {
          const taken = key === null ? heap.shift()?.key : heap.push({ key });
          expect(taken).toBe(key === null ? model[0] : undefined);
          model = key === null ? model.slice(1) : ascending([...model, key]);
          expect(heap.peek()?.key).toBe(model[0]);
          expect(heap).toHaveLength(model.length);
        }
      }),
    );
  });

  it('is in order again after anything in it has changed', () => {
    fc.assert(
      fc.property(keys, (given) => {
        const heap = filled(given);
        heap.rebuild((items) => {
          for (const item of items) item.key = (item.key * 7) % 21;
          return items.filter(({ key }) => key % 3 > 0);
        });
        expect(drained(heap)).toEqual(ascending(given.map((key) => (key * 7) % 21).filter((key) => key % 3 > 0)));
      }),
    );
  });
});
