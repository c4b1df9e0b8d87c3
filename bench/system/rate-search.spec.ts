import { describe, expect, it } from '@jest/globals';
import { highestSustained, isSustained, nextRate, type Progress, type Trial } from './rate-search.ts';

/** A load at a rate, looked at twice a second, of which the audit is so far behind. */
const load = (perSecond: number, behind: (seconds: number) => number): Progress[] =>
  Array.from({ length: 40 }, (_, n) => {
    const seconds = (n + 1) / 2;
    return { seconds, offered: seconds * perSecond, recorded: seconds * perSecond - behind(seconds) };
  });

describe('a sustained rate', () => {
  it.each([
    ['whose backlog stays small', () => 50, true],
    ['whose backlog goes up and down by batches', (seconds: number) => (seconds % 2) * 400, true],
    ['that fell behind at first and has caught up', (seconds: number) => (seconds < 6 ? 3_000 : 100), true],
    ['whose backlog grows slowly', (seconds: number) => seconds * 40, false],
    ['whose backlog stays, but is large', () => 2_500, false],
    ['whose backlog was too large once in the second half', (seconds: number) => (seconds === 15 ? 2_100 : 10), false],
  ])('is one %s: %#', (_, behind, expected) => {
    expect(isSustained(load(1_000, behind), 1_000)).toBe(expected);
  });

  it('is not found in too few looks', () => {
    expect(isSustained(load(1_000, () => 0).slice(0, 2), 1_000)).toBe(false);
  });
});

/** Searches on a system that sustains up to a limit. */
const search = (limit: number, firstGuess: number, limits = { trials: 20, precision: 0.05 }): Trial[] => {
  const trials: Trial[] = [];
  for (let rate = nextRate(firstGuess, trials, limits); rate !== undefined; rate = nextRate(firstGuess, trials, limits)) {
    trials.push({ perSecond: rate, isSustained: rate <= limit });
  }
  return trials;
};

describe('the search for the highest rate', () => {
  it.each([100, 900, 1_000, 1_100, 5_000])('comes within its precision of a limit of 1,000, from a first guess of %d', (firstGuess) => {
    const found = highestSustained(search(1_000, firstGuess)) ?? 0;
    expect(found).toBeLessThanOrEqual(1_000);
    expect(found).toBeGreaterThan(1_000 / 1.05 - 1);
  });

  it('tries no more often than it may', () => {
    expect(search(1_000_000, 1, { trials: 4, precision: 0.05 })).toHaveLength(4);
  });

  it('goes on from what was sustained when a lower rate failed by chance', () => {
    const trials = [
      { perSecond: 900, isSustained: false },
      { perSecond: 1_000, isSustained: true },
    ];
    expect(nextRate(900, trials, { trials: 9, precision: 0.05 })).toBeGreaterThan(1_000);
  });

  it('has nothing to tell when nothing was sustained', () => {
    expect(highestSustained([{ perSecond: 5, isSustained: false }])).toBeUndefined();
  });
});
