import { describe, expect, it } from '@jest/globals';
import { restMs } from './pace.js';

const pace = { minRecords: 2, enoughBytes: 1_000, everyMs: 5 };

describe('the next fetch', () => {
  it.each([
    ['at once after one that brought nothing', 0, 0, false, 101, 0],
    ['at once after one that brought a record alone', 1, 100, false, 101, 0],
    ['so long after the last one began as that brought several', 2, 200, false, 101, 4],
    ['at once when that is over', 2, 200, false, 107, 0],
    ['at once when there is enough to read', 2, 1_000, false, 101, 0],
    ['at once when there was more than could be told', 2, 200, true, 101, 0],
  ])('begins %s', (_, records, bytes, isBehind, nowMs, expected) => {
    expect(restMs({ beganMs: 100, records, bytes, isBehind }, pace, nowMs)).toBe(expected);
  });
});
