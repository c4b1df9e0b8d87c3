import { describe, expect, it } from '@jest/globals';
import { delayTiers } from '@posthorn/contracts';
import { leavesAt, nextStop, tierFor } from './wheel.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;

describe('the delay wheel', () => {
  it.each([
    [200, '1s'],
    [1 * SECOND, '1s'],
    [4_999, '1s'],
    [5 * SECOND, '5s'],
    [5 * 60 * SECOND, '2m'],
    [24 * HOUR, '6h'],
  ])('puts what is due in %d ms into tier %s', (remainingMs, tier) => {
    expect(tierFor(remainingMs)).toBe(tier);
  });

  it('keeps a record in its tier for the length of the tier, and in the smallest until it is due', () => {
    expect(leavesAt('5s', 1_000, 20_000)).toBe(6_000);
    expect(leavesAt('1s', 1_000, 1_300)).toBe(1_300);
    expect(leavesAt('1s', 1_000, 2_900)).toBe(2_900);
  });

  it('sends on what is due, however late', () => {
    expect(nextStop(10_000, 10_000)).toBe('requested');
    expect(nextStop(99_000, 10_000)).toBe('requested');
    expect(nextStop(10_000, 16_000)).toBe('5s');
  });

  it('brings every delay to its end, never early, in few steps', () => {
    for (const delayMs of [1, 999, 1_000, 1_001, 5_500, 61_000, 299_999, 7_199_000, 24 * HOUR, 168 * HOUR]) {
      let nowMs = 0;
      let steps = 0;
      let stop = nextStop(nowMs, delayMs);
      while (stop !== 'requested') {
        nowMs = leavesAt(stop, nowMs, delayMs);
        stop = nextStop(nowMs, delayMs);
        steps += 1;
      }
      expect(nowMs).toBe(delayMs);
      expect(steps).toBeLessThanOrEqual(28 + 6 * delayTiers.length);
    }
  });
});
