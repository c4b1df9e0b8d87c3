import { describe, expect, it } from '@jest/globals';
import { decodeDone, encodeDone, MAX_METADATA_BYTES, type Run } from './commit-metadata.js';
import { random } from './random.fixture.js';

const encoded = (committed: number, done: readonly Run[]): string => encodeDone(committed, done) ?? '';

const everyOther = (count: number): readonly Run[] => Array.from({ length: count }, (_, i) => ({ start: 2 * i + 1, end: 2 * i + 2 }));

describe('commit metadata', () => {
  it('is absent when nothing is done above the committed offset', () => {
    expect(encodeDone(5, [])).toBeUndefined();
    expect(decodeDone(5, null)).toEqual([]);
    expect(decodeDone(5, '')).toEqual([]);
  });

  it('brings back a single offset, far up in the range of offsets', () => {
    const committed = 2 ** 52;
    const done = [{ start: committed + 1, end: committed + 2 }];
    expect(decodeDone(committed, encoded(committed, done))).toEqual(done);
  });

  it('takes runs for a long stretch and a bitmap for a patchy one', () => {
    expect(encoded(0, [{ start: 1, end: 1_000_000 }])).toMatch(/^r.{1,8}$/);
    expect(encoded(0, everyOther(500))).toMatch(/^b/);
    expect(decodeDone(0, encoded(0, everyOther(500)))).toEqual(everyOther(500));
  });

  it('is given up when it would not fit, and not before', () => {
    const bitsThatFit = Math.floor((MAX_METADATA_BYTES - 1) / 4) * 3 * 8;
    expect(encoded(0, everyOther(bitsThatFit / 2))).toHaveLength(1 + (bitsThatFit / 8 / 3) * 4);
    expect(encodeDone(0, everyOther(bitsThatFit / 2 + 1))).toBeUndefined();
  });

  it('reads the text of another client, or a damaged one, as nothing done', () => {
    for (const text of ['x', 'offset 17', 'r', 'rAA==', 'r/////w==', 'r////////////AQ==', '{"a":1}']) {
      expect(decodeDone(7, text)).toEqual([]);
    }
  });

  it('brings back any set of runs, or nothing at all (2,000 seeds)', () => {
    for (let seed = 1; seed <= 2_000; seed++) {
      const next = random(seed);
      const committed = next(1_000_000);
      const done: Run[] = [];
      let at = committed + 1 + next(3);
      for (let runs = next(60); runs > 0; runs--) {
        const end = at + 1 + next(next(2) ? 3 : 300);
        done.push({ start: at, end });
        at = end + 1 + next(next(2) ? 3 : 300);
      }
      const text = encodeDone(committed, done);
      expect([seed, text === undefined ? done.length === 0 : decodeDone(committed, text)]).toEqual([seed, text === undefined ? true : done]);
    }
  });
});
