import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { BUCKETS, Sketch } from './sketch.js';
import { ForeignBytes } from './varints.js';

const sketchOf = (values: readonly number[]): Sketch => {
  const sketch = new Sketch();
  for (const value of values) sketch.add(value);
  return sketch;
};
const together = (...sketches: readonly Sketch[]): Sketch => {
  const all = new Sketch();
  for (const sketch of sketches) all.addAll(sketch);
  return all;
};

/** From microseconds to months, in milliseconds, the small as likely as the large. */
const value = fc.double({ min: Math.log(1e-3), max: Math.log(1e10), noNaN: true }).map(Math.exp);
const values = fc.array(value, { maxLength: 300 });
const share = fc.double({ min: 0, max: 1, noNaN: true });

describe('a sketch', () => {
  it('tells any quantile to within one in a hundred', () => {
    fc.assert(
      fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), share, (all, q) => {
        const exact = all.toSorted((a, b) => a - b)[Math.max(1, Math.ceil(q * all.length)) - 1] ?? Number.NaN;
        const [told = Number.NaN] = sketchOf(all).quantiles([q]);
        expect(Math.abs(told - exact) / exact).toBeLessThanOrEqual(0.01);
      }),
      { numRuns: 1_000 },
    );
  });

  it('tells several quantiles at once as it tells them one by one', () => {
    fc.assert(
      fc.property(values, fc.array(share), (all, some) => {
        const shares = some.toSorted((a, b) => a - b);
        const sketch = sketchOf(all);
        expect(sketch.quantiles(shares)).toEqual(shares.flatMap((one) => sketch.quantiles([one])));
      }),
    );
  });

  it('has no quantiles when it is empty', () => {
    expect(new Sketch().quantiles([0, 0.5, 1])).toEqual([undefined, undefined, undefined]);
  });

  it('is, of two, the sketch of the values of both', () => {
    fc.assert(fc.property(values, values, (a, b) => expect(together(sketchOf(a), sketchOf(b)).encode()).toEqual(sketchOf([...a, ...b]).encode())));
  });

  it('is the same in whatever order and grouping', () => {
    fc.assert(
      fc.property(values, values, values, (...parts) => {
        const [a, b, c] = parts.map(sketchOf) as [Sketch, Sketch, Sketch]; // As many as there are parts.
        const one = together(together(a, b), c).encode();
        expect(together(a, together(b, c)).encode()).toEqual(one);
        expect(together(c, b, a).encode()).toEqual(one);
      }),
    );
  });

  it('forgets what is taken away, whether it comes before or after', () => {
    fc.assert(
      fc.property(values, values, (kept, gone) => {
        const minus = new Sketch();
        for (const one of gone) minus.add(one, -1);
        expect(together(minus, sketchOf([...kept, ...gone])).encode()).toEqual(sketchOf(kept).encode());
      }),
    );
  });

  it('comes out of its bytes as it went in', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(value, fc.integer({ min: -(2 ** 40), max: 2 ** 40 })), { maxLength: 100 }), (all) => {
        const sketch = new Sketch();
        for (const [one, times] of all) sketch.add(one, times);
        expect(Sketch.decode(sketch.encode()).encode()).toEqual(sketch.encode());
      }),
    );
  });

  it('refuses bytes that no sketch has', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const foreign = Buffer.from(bytes);
        try {
          // What it takes must be the very form that it writes.
          expect(Sketch.decode(foreign).encode()).toEqual(foreign);
        } catch (error) {
          if (!(error instanceof ForeignBytes)) throw error;
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    ['nothing at all', []],
    ['an end before the end', [1, 5]],
    ['something after the end', [0, 0]],
    ['a bucket that there is not', [1, 0xff, 0x7f, 2]],
    ['a count of nothing', [1, 5, 0]],
    ['a number that is longer than it needs to be', [1, 0x85, 0x00, 2]],
    ['a number beyond what is counted exactly', [1, 5, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ])('refuses %s', (_what, bytes) => {
    expect(() => Sketch.decode(Buffer.from(bytes))).toThrow(ForeignBytes);
  });

  it('takes what is out of bounds as the bound, and stays small', () => {
    const sketch = sketchOf([-1, 0, Number.NaN, 1e-9, 1e300, Number.POSITIVE_INFINITY]);
    expect(sketch.quantiles([0, 1])).toEqual([0, expect.closeTo(1e11, -10)]);
    for (let n = 0; n < 100_000; n++) sketch.add(10 ** (-6 + (n % 2_000) / 100));
    expect(sketch.encode().length).toBeLessThan(3 * BUCKETS);
  });
});
