import { describe, expect, it } from '@jest/globals';
import { seeded } from '../../spec-support/seeded.js';
import { SharedTexts } from './shared-texts.js';

describe('shared texts', () => {
  it('have one number for equal texts, until the last holder has released it', () => {
    const texts = new SharedTexts();
    const number = texts.hold('a');
    expect(texts.hold('a')).toBe(number);
    expect([texts.size, texts.holders(number), texts.text(number)]).toEqual([1, 2, 'a']);
    expect(texts.release(number)).toBe(false);
    expect(texts.find('a')).toBe(number);
    expect(texts.release(number)).toBe(true);
    expect([texts.size, texts.find('a')]).toEqual([0, undefined]);
  });

  it.each([1, 2, 3])('agree with a map, after any history (seed %d)', (seed) => {
    const random = seeded(seed);
    const texts = new SharedTexts();
    const holders = new Map<string, number[]>();
    const names = ['', 'é😀', 'x'.repeat(3_000), 'y'.repeat(9_000), ...Array.from({ length: 3_000 }, (_, n) => `text ${n} ${'z'.repeat(n % 70)}`)];
    for (let step = 0; step < 20_000; step += 1) {
      const name = names[Math.floor(random() * names.length)] ?? '';
      const held = holders.get(name) ?? [];
      // First they become many, so that the slots double; then few, so that most of them are vacated.
      if (random() < (step < 10_000 ? 0.7 : 0.35)) held.push(texts.hold(name));
      else if (held.length > 0 && texts.release(held.pop() ?? -1) !== (held.length === 0)) throw new Error(`${name} has ${held.length} holders`);
      holders.set(name, held);
    }
    let size = 0;
    for (const [name, held] of holders) {
      const [number] = held;
      expect(texts.find(name)).toBe(number);
      if (number === undefined) continue;
      size += 1;
      expect([texts.text(number), texts.holders(number), new Set(held).size]).toEqual([name, held.length, 1]);
    }
    expect(texts.size).toBe(size);
  });
});
