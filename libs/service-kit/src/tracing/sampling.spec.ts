import { describe, expect, it } from '@jest/globals';
import { byRatio, FailureAllowance } from './sampling.js';

const traceId = (random: string): string => `0af7651916cd43dd848${random}`;

describe('a share of the traces', () => {
  it('is none, all, or those whose ids are large enough', () => {
    const ids = [traceId('0000000000000'), traceId('7ffffffffffff'), traceId('8000000000000'), traceId('fffffffffffff')];
    expect(ids.filter(byRatio(0))).toEqual([]);
    expect(ids.filter(byRatio(0.5))).toEqual(ids.slice(2));
    expect(ids.filter(byRatio(1))).toEqual(ids);
  });

  it('of a larger share holds those of a smaller one', () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => traceId(Math.floor(((index + 0.5) / 1_000) * 16 ** 13).toString(16).padStart(13, '0')));
    const few = ids.filter(byRatio(0.01));
    const more = new Set(ids.filter(byRatio(0.1)));
    expect([few.length, more.size]).toEqual([10, 100]);
    expect(few.every((id) => more.has(id))).toBe(true);
  });
});

describe('the allowance for failures', () => {
  it('is so many a second, and no more after an hour of peace', () => {
    const clock = { nowMs: 0 };
    const allowance = new FailureAllowance(3, () => clock.nowMs);
    const taken = (): number => Array.from({ length: 10 }, () => allowance.take()).filter(Boolean).length;
    expect(taken()).toBe(3);
    clock.nowMs += 700;
    expect(taken()).toBe(2);
    clock.nowMs += 3_600_000;
    expect(taken()).toBe(3);
  });
});
