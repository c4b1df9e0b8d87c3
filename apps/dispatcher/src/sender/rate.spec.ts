import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { RateLimit } from './rate.js';

const limited = (perSecond: number, burst: number): RateLimit => {
  const rate = new RateLimit();
  rate.setTerms({ perSecond, burst }, 0);
  return rate;
};

/** Takes as many as it can between two moments, and tells when. */
const takeAll = (rate: RateLimit, fromMs: number, untilMs: number): number[] => {
  const taken: number[] = [];
  for (let atMs = rate.nextMs(fromMs); atMs < untilMs; atMs = rate.nextMs(atMs)) {
    rate.take(atMs);
    taken.push(atMs);
  }
  return taken;
};

describe('a rate limit', () => {
  it('lets a burst go at once, and then one after the other evenly', () => {
    expect(takeAll(limited(20, 5), 1_000, 1_200)).toEqual([1_000, 1_000, 1_000, 1_000, 1_000, 1_050, 1_100, 1_150]);
  });

  it('gives a burst back as it is not used', () => {
    const rate = limited(20, 5);
    takeAll(rate, 0, 1);
    expect(takeAll(rate, 100, 101)).toHaveLength(2);
    expect(takeAll(rate, 10_000, 10_001)).toHaveLength(5);
  });

  it('does not drift over a million intervals that are no whole milliseconds, however late the hour', () => {
    const startMs = 1.8e12;
    const rate = limited(3_000, 1);
    rate.take(startMs);
    for (let n = 1; n < 1_000_000; n += 1) rate.take(rate.nextMs(startMs));
    expect(rate.nextMs(startMs) - startMs).toBeCloseTo(1_000_000 / 3, 2);
  });

  it('lets no more than a burst go when the clock leaps ahead', () => {
    const rate = limited(10, 3);
    takeAll(rate, 0, 500);
    expect(takeAll(rate, 3_600_000, 3_600_001)).toHaveLength(3);
  });

  it('keeps what is owed when it is lowered', () => {
    const rate = limited(100, 10);
    takeAll(rate, 0, 1);
    rate.setTerms({ perSecond: 1, burst: 1 }, 0);
    expect(rate.nextMs(0)).toBe(100);
    rate.take(100);
    expect(rate.nextMs(0)).toBe(1_100);
  });

  it('keeps what was taken when it is raised, at the new price: nobody waits for what the old one would have taken', () => {
    const rate = limited(0.001, 1_000);
    takeAll(rate, 0, 1);
    rate.setTerms({ perSecond: 100, burst: 1 }, 0);
    expect(rate.nextMs(0)).toBe(10_000);
    rate.take(10_000);
    expect(rate.nextMs(0)).toBe(10_010);
  });

  it.each([1e-9, 1e-300, Number.MIN_VALUE])('of %d a second lets its burst go, and is a number thereafter, until it is raised', (perSecond) => {
    const rate = limited(perSecond, 3);
    expect(takeAll(rate, 0, 1)).toHaveLength(3);
    expect(rate.nextMs(0)).toBeGreaterThan(1e11);
    expect(Number.isFinite(rate.nextMs(0))).toBe(true);
    rate.setTerms({ perSecond: 1, burst: 1 }, 0);
    expect(rate.nextMs(0)).toBeCloseTo(3_000);
  });

  it('never lets more go in any span of time than the burst and what the span brings, and never makes the first wait longer than for that', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 2_000, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 60 }),
        (perSecond, burst, pauses) => {
          const rate = limited(perSecond, burst);
          const intervalMs = 1_000 / perSecond;
          const taken: number[] = [];
          let nowMs = 0;
          for (const pauseMs of pauses) {
            nowMs += pauseMs % 3 === 0 ? 0 : pauseMs;
            const atMs = rate.nextMs(nowMs);
            rate.take(atMs);
            taken.push(atMs);
            expect(atMs - nowMs).toBeLessThanOrEqual(taken.length * intervalMs + 1e-6);
          }
          for (const [i, from] of taken.entries()) {
            for (const [n, to] of taken.slice(i).entries()) expect(n + 1).toBeLessThanOrEqual(burst + (to - from) / intervalMs + 1e-6);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});
