import { describe, expect, it } from '@jest/globals';
import { Slots } from './slots.js';

describe('slots', () => {
  it('are given to one tenant up to its number, and to all up to theirs', () => {
    const slots = new Slots(3, 2);
    expect([slots.take('a'), slots.take('a')]).toEqual([expect.any(Function), expect.any(Function)]);
    expect(slots.take('a')).toBe('tenant_has_all');
    expect(slots.take('b')).toEqual(expect.any(Function));
    expect(slots.take('b')).toBe('all_taken');
    expect(slots.taken).toBe(3);
  });

  it('are free again once given back, each once', () => {
    const slots = new Slots(2, 1);
    const giveBack = slots.take('a');
    if (typeof giveBack === 'string') throw new TypeError(giveBack);
    giveBack();
    giveBack();
    expect(slots.taken).toBe(0);
    expect([slots.take('a'), slots.take('b'), slots.take('c')]).toEqual([expect.any(Function), expect.any(Function), 'all_taken']);
  });
});
