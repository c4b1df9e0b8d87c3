import { describe, expect, it } from '@jest/globals';
import { LaneShares } from './lane-shares.js';

describe('the window of a partition', () => {
  it('is all of one lane that is alone, and shared when there are more, down to an eighth', () => {
    const shares = new LaneShares();
    expect(shares.of('a', 0)).toBe(1);
    expect(shares.of('a', 1)).toBe(1);
    expect(shares.of('b', 2)).toBe(1 / 2);
    expect(shares.of('a', 3)).toBe(1 / 2);
    const more = Array.from({ length: 20 }, (_, n) => shares.of(`more ${n}`, 4));
    expect(Math.min(...more)).toBe(1 / 8);
  });

  it('is shared with those that were there lately, and with them only', () => {
    const shares = new LaneShares();
    shares.of('a', 0);
    shares.of('b', 0);
    expect(shares.of('a', 10_000)).toBe(1 / 2);
    expect(shares.of('a', 19_999)).toBe(1 / 2);
    expect(shares.of('a', 20_000)).toBe(1);
    shares.of('b', 20_000);
    expect(shares.of('a', 40_000)).toBe(1);
  });
});
