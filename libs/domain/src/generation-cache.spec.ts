import { describe, expect, it } from '@jest/globals';
import { GenerationCache } from './generation-cache.js';

describe('a generation cache', () => {
  it('makes a value once while it is in use', () => {
    let made = 0;
    const cache = new GenerationCache<string, number>(2, () => ++made);
    cache.get('kept');
    for (let i = 0; i < 100; i++) {
      cache.get(`passing ${i}`);
      expect(cache.get('kept')).toBe(1);
    }
  });

  it('forgets what is not asked for, and never holds more than two generations', () => {
    const made: string[] = [];
    const cache = new GenerationCache<string, string>(10, (key) => {
      made.push(key);
      return key;
    });
    for (let i = 0; i < 1000; i++) {
      cache.get(`key ${i}`);
      expect(cache.size).toBeLessThanOrEqual(20);
    }
    cache.get('key 0');
    expect(made.filter((key) => key === 'key 0')).toHaveLength(2);
  });

  it('forgets what is heavy sooner', () => {
    const cache = new GenerationCache<number, string>(1_000, String, { of: (_, value) => Number(value), most: 100 });
    for (let i = 0; i < 100; i++) cache.get(50 + i / 100);
    // Two of about fifty fill a generation.
    expect(cache.size).toBeLessThanOrEqual(4);
    for (let i = 0; i < 100; i++) cache.get(i / 1_000);
    expect(cache.size).toBeGreaterThanOrEqual(100);
  });

  it('makes anew what was deleted, in whichever generation it was', () => {
    let made = 0;
    const cache = new GenerationCache<string, number>(2, () => (made += 1));
    cache.get('old');
    cache.get('young');
    cache.get('youngest');
    for (const key of ['old', 'youngest']) cache.delete(key);
    expect(cache.get('youngest')).toBe(4);
    expect(cache.get('old')).toBe(5);
    expect(cache.get('young')).toBe(2);
  });

  it('counts no longer what was deleted', () => {
    const cache = new GenerationCache<number, string>(1_000, String, { of: (key) => key, most: 100 });
    cache.get(1);
    for (let i = 0; i < 100; i++) {
      cache.get(99);
      cache.delete(99);
    }
    expect(cache.size).toBe(1);
  });
});
