import { describe, expect, it } from '@jest/globals';
import { spanAt } from './json-text.js';

describe('spanAt', () => {
  it.each([
    ['1', '1', 0],
    [' "a\\"]" ,', '"a\\"]"', 0],
    ['[]', '[]', 1],
    ['\n{"a":[1,{"b":[]}]}, 2', '{"a":[1,{"b":[]}]}', 4],
    ['{"]":"[[[","\\\\":{}}', '{"]":"[[[","\\\\":{}}', 2],
    ['[[], [[]], []]]]', '[[], [[]], []]', 3],
  ])('finds in %j the value and its depth', (text, value, depth) => {
    const bytes = Buffer.from(text);
    const span = spanAt(bytes);
    expect([bytes.toString('utf8', span.start, span.end), span.depth]).toEqual([value, depth]);
  });

  it('counts more levels than any recursion could, also of what never ends', () => {
    expect(spanAt(Buffer.from('['.repeat(1_000_000))).depth).toBe(1_000_000);
    expect(spanAt(Buffer.from('{"a":'.repeat(100_000))).depth).toBe(100_000);
  });
});
