import { describe, expect, it } from '@jest/globals';
import { parseIfMatch } from './preconditions.js';

describe('If-Match', () => {
  it.each([
    ['"3"', 3, true],
    ['"3"', 4, false],
    ['"2", "3"', 3, true],
    ['W/"3"', 3, false],
    ['"abc"', 3, false],
  ])('%s at version %i: %s', (header, version, expected) => {
    expect(parseIfMatch(header)?.(version)).toBe(expected);
  });

  it.each([undefined, '*', ' * '])('%j demands nothing', (header) => {
    expect(parseIfMatch(header)).toBeUndefined();
  });

  it.each(['3', '"3', '', '"3" "4"'])('%j is malformed', (header) => {
    expect(() => parseIfMatch(header)).toThrow(expect.objectContaining({ code: 'malformed' }));
  });
});
