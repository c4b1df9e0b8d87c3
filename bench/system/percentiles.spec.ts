import { describe, expect, it } from '@jest/globals';
import { bySecond, percentilesOf } from './percentiles.ts';

describe('percentiles', () => {
  it('are values that were there, by nearest rank', () => {
    const values = Array.from({ length: 1_000 }, (_, n) => 1_000 - n);
    expect(percentilesOf(values)).toEqual({ count: 1_000, p50: 500, p95: 950, p99: 990, p999: 999, max: 1_000 });
  });

  it('are ordered as numbers, not as text', () => {
    expect(percentilesOf([10, 9, 100]).p50).toBe(10);
  });

  it('of one value are that value, and of none are not a number', () => {
    expect(percentilesOf([7])).toMatchObject({ p50: 7, p999: 7 });
    expect(percentilesOf([]).p50).toBeNaN();
  });
});

describe('percentiles by second', () => {
  it('are taken over what came in that second, in order, leaving empty ones out', () => {
    const seconds = bySecond([5, 1, 9, 3], [2_500, 0, 2_000, 999.9]);
    expect(seconds.map(({ second, count, max }) => [second, count, max])).toEqual([
      [0, 2, 3],
      [2, 2, 9],
    ]);
  });
});
