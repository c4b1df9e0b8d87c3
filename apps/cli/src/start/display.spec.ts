import { describe, expect, it } from '@jest/globals';
import colors from 'picocolors';
import { rowText, type Row } from './display.js';
import { percentile } from './latency.js';
import { lineBudget } from './rate-limited.js';

const row: Row = { label: 'Kafka', state: 'running', startedMs: 1_000, tookMs: 0, note: '' };
const plain = colors.createColors(false);

describe('a line of the board', () => {
  it('counts while the step runs, and stops when it is done', () => {
    expect(rowText(row, 2_500, plain)).toBe('  · Kafka                     1.5 s');
    expect(rowText({ ...row, state: 'done', tookMs: 3_000, note: 'on this machine' }, 9_000, plain)).toBe('  ✓ Kafka                     3.0 s   on this machine');
  });
});

describe('percentile', () => {
  it.each([
    [[3, 1, 2, 4], 0.5, 2],
    [[3, 1, 2, 4], 1, 4],
    [[7], 0.5, 7],
    [[], 0.5, Number.NaN],
  ])('of %j at %d is %d', (values, share, expected) => {
    expect(percentile(values, share)).toBe(expected);
  });
});

describe('the line budget', () => {
  it('prints so many in a second and tells of the rest with the next', () => {
    const budget = lineBudget(2);
    expect([0, 1, 2, 3, 1_000].map((at) => budget.take(at))).toEqual([
      { print: true, keptBack: 0 },
      { print: true, keptBack: 0 },
      { print: false, keptBack: 1 },
      { print: false, keptBack: 2 },
      { print: true, keptBack: 2 },
    ]);
  });
});
