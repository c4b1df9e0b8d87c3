import { describe, expect, it } from '@jest/globals';
import { FIRST_WAIT_MS, LONGEST_WAIT_MS, SETTLED_MS, afterEnd, newLife, onReady, type Life } from './restart.js';

const waits = (life: Life, ranMs: readonly number[]): number[] => {
  let now = life;
  return ranMs.map((ran) => {
    const next = afterEnd(now, ran);
    if (next.kind === 'give_up') return -1;
    now = next.life;
    return next.afterMs;
  });
};

describe('what follows the end of a service', () => {
  it('gives up on one that never was ready', () => {
    expect(afterEnd(newLife, SETTLED_MS * 2)).toEqual({ kind: 'give_up' });
  });

  it('starts one that was ready again soon, and slower each time it ends early', () => {
    expect(waits(onReady(newLife), [5_000, 100, 100, 100])).toEqual([1, 2, 4, 8].map((factor) => factor * FIRST_WAIT_MS));
  });

  it('never waits longer than the longest wait', () => {
    expect(waits(onReady(newLife), Array.from({ length: 40 }, () => 0)).at(-1)).toBe(LONGEST_WAIT_MS);
  });

  it('begins a new series once it has run for a while', () => {
    expect(waits(onReady(newLife), [0, 0, 0, SETTLED_MS, 0])).toEqual([1, 2, 4, 1, 2].map((factor) => factor * FIRST_WAIT_MS));
  });
});
