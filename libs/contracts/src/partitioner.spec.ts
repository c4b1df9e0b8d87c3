import { describe, expect, it } from '@jest/globals';
import { partitionOf } from './partitioner.js';

describe('partitionOf', () => {
  // From the tests of Kafka's Java client (UtilsTest.testMurmur2), as non-negative numbers.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('hashes %s as the Java client does', (key, hash) => {
    expect(partitionOf(key, 2 ** 31)).toBe(hash & 0x7fffffff);
    expect(partitionOf(Buffer.from(key), 12)).toBe((hash & 0x7fffffff) % 12);
  });
});
