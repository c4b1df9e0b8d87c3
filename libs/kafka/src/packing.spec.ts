import { describe, expect, it } from '@jest/globals';
import { batchLength, partsOf, sizeOf } from './packing.js';

const record = (partition: number, bytes: number) => ({ topic: 't', partition, bytes });

describe('packing', () => {
  it('takes from the head what fits, and at least one', () => {
    const queue = [{ bytes: 40 }, { bytes: 50 }, { bytes: 20 }, { bytes: 1 }];
    expect(batchLength(queue, 100)).toBe(2);
    expect(batchLength(queue, 10)).toBe(1);
    expect(batchLength(queue, 1_000)).toBe(4);
    expect(batchLength([], 100)).toBe(0);
  });

  it('counts bytes, not characters', () => {
    const empty = sizeOf({ value: null });
    expect(sizeOf({ key: 'ü', value: 'é', headers: { h: Buffer.from('abc') } }) - empty).toBe(2 + 2 + 1 + 3 + 4);
  });

  it('takes a refused batch apart by partition, then by halves, in order', () => {
    const mixed = [record(0, 1), record(1, 2), record(0, 3)];
    expect(partsOf(mixed)).toEqual([[record(0, 1), record(0, 3)], [record(1, 2)]]);
    expect(partsOf([record(0, 1), record(0, 2), record(0, 3)])).toEqual([[record(0, 1), record(0, 2)], [record(0, 3)]]);
  });
});
