import { describe, expect, it } from '@jest/globals';
import { freshTraceparent } from './traceparent.js';

describe('a fresh traceparent', () => {
  it('has the form of W3C Trace Context and never repeats', () => {
    const all = Array.from({ length: 2000 }, freshTraceparent);
    for (const one of all) expect(one).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(new Set(all.map((one) => one.slice(3, 35))).size).toBe(all.length);
    expect(new Set(all.map((one) => one.slice(36, 52))).size).toBe(all.length);
  });
});
