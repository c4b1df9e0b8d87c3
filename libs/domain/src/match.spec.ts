import { describe, expect, it } from '@jest/globals';
import { matchesPattern, parsePattern, prefixesOf } from './match.js';

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
});
