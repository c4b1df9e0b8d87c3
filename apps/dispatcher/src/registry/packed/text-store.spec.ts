import { describe, expect, it } from '@jest/globals';
import { TextStore } from './text-store.js';

describe('the text store', () => {
  it('gives the room of what was removed to the next text of its size, of whatever size it is', () => {
    const store = new TextStore();
    for (const length of [0, 1, 4, 5, 1_020, 1_021, 2_044, 2_045, 100_000, 4 * 1024 * 1024 - 4]) {
      const first = store.add('a'.repeat(length));
      const beside = store.add('b'.repeat(length));
      store.remove(first);
      expect(store.add('c'.repeat(length))).toBe(first);
      expect([store.get(first) === 'c'.repeat(length), store.get(beside) === 'b'.repeat(length)]).toEqual([true, true]);
    }
  });

  it('takes no text that is longer than its largest room', () => {
    expect(() => new TextStore().add('a'.repeat(4 * 1024 * 1024))).toThrow(RangeError);
  });
});
