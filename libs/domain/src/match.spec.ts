import { describe, expect, it } from '@jest/globals';
import { matchesPattern, parsePattern, prefixesOf, withoutCovered } from './match.js';

describe('a pattern of event types', () => {
  it.each([
    ['*', 'invoice.paid', true],
    ['invoice.paid', 'invoice.paid', true],
    ['invoice.paid', 'invoice.paid.late', false],
    ['invoice.*', 'invoice.paid', true],
    ['invoice.*', 'invoice.line.added', true],
    ['invoice.*', 'invoice', false],
    ['invoice.*', 'invoices.paid', false],
    ['invoice.line.*', 'invoice.paid', false],
  ])('%s against %s is %s', (pattern, type, expected) => {
    expect(matchesPattern(parsePattern(pattern), type)).toBe(expected);
  });

  it('finds a type below each of its prefixes and no other', () => {
    expect(prefixesOf('a.b.c')).toEqual(['a', 'a.b']);
    expect(prefixesOf('a')).toEqual([]);
    for (const prefix of prefixesOf('a.b.c')) expect(matchesPattern({ kind: 'below', prefix }, 'a.b.c')).toBe(true);
  });

  it('is left out when another covers it, so that each type matches one at most', () => {
    expect(withoutCovered(['a.b', 'b', 'a.*', 'a.b.*', 'a', 'b'])).toEqual(['b', 'a.*', 'a']);
    expect(withoutCovered(['a', '*', 'a.*'])).toEqual(['*']);
    const patterns = ['a', 'a.*', 'a.b', 'a.b.*', 'a.b.c', 'b.*', 'b'];
    for (let chosen = 0; chosen < 2 ** patterns.length; chosen += 1) {
      const some = patterns.filter((_, index) => (chosen >> index) % 2 === 1);
      for (const type of ['a', 'a.b', 'a.b.c', 'a.b.c.d', 'a.c', 'b', 'b.c', 'c']) {
        const matching = (from: readonly string[]) => from.filter((pattern) => matchesPattern(parsePattern(pattern), type)).length;
        expect(matching(withoutCovered(some))).toBe(Math.min(1, matching(some)));
      }
    }
  });
});
