import { describe, expect, it } from '@jest/globals';
import { figure, table } from './table.ts';

describe('a table', () => {
  it('is Markdown whose columns line up', () => {
    expect(table([['', 'p50'], ['Kafka', '1.5'], ['REST door', '12']])).toBe(
      ['|           | p50 |', '|-----------|----:|', '| Kafka     | 1.5 |', '| REST door |  12 |'].join('\n'),
    );
  });

  it('fills up rows that are short', () => {
    expect(table([['a', 'b'], ['c']]).split('\n').at(-1)).toBe('| c   |     |');
  });
});

describe('a figure', () => {
  it.each([
    [12_345.6, '12,346'],
    [99.96, '100'],
    [1.2345, '1.23'],
    [0.19, '0.19'],
    [0.00012345, '0.000123'],
    [3, '3'],
    [20, '20'],
    [0, '0'],
    [Number.NaN, '–'],
  ])('of %d is %s', (value, text) => {
    expect(figure(value)).toBe(text);
  });
});
