import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { Pace } from './pace.js';

describe('a pace', () => {
  it('begins with nothing, and gives evenly', () => {
    const pace = new Pace(10, 0);
    expect([pace.allowance(0), pace.waitMs(0)]).toEqual([0, 100]);
    expect([pace.allowance(100), pace.waitMs(100)]).toEqual([1, 0]);
    pace.take(1);
    expect([pace.allowance(150), pace.allowance(250)]).toEqual([0, 1]);
  });

  it('gives many at a time where they are many', () => {
    const pace = new Pace(5_000, 0);
    expect([pace.allowance(99), pace.allowance(100)]).toEqual([0, 500]);
  });

  it('makes up for a second at most', () => {
    const pace = new Pace(100, 0);
    expect(pace.allowance(60_000)).toBe(100);
    expect(new Pace(1, 0).allowance(60_000)).toBe(1);
  });

  it.each([0, 0.3])('has what it said that there would be when it said so, also where rate and time are not whole in binary: from %d ms on', (fromMs) => {
    const pace = new Pace(9_958, fromMs);
    const waitMs = pace.waitMs(fromMs + 8);
    expect([waitMs, pace.allowance(fromMs + 8 + waitMs)]).toEqual([92, 995]);
  });

  it('is never exceeded, whenever and for how much it is asked, and not missed by who takes all', () => {
    const history = fc.array(fc.record({ ms: fc.integer({ min: 0, max: 3_000 }), share: fc.double({ min: 0, max: 1, noNaN: true }) }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20_000 }), history, (rate, steps) => {
        const pace = new Pace(rate, 0);
        let nowMs = 0;
        let taken = 0;
        for (const { ms, share } of steps) {
          nowMs += ms;
          const count = Math.floor(pace.allowance(nowMs) * share);
          pace.take(count);
          taken += count;
          expect(taken).toBeLessThanOrEqual((rate * nowMs) / 1_000 + 1e-6);
        }
        const wait = pace.waitMs(nowMs);
        expect(pace.allowance(nowMs + wait)).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});
