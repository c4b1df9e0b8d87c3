import { describe, expect, it } from '@jest/globals';
import { DELAY_SLOTS, delayTiers } from '@posthorn/contracts';
import { leavesAt, slotOf, tierFor, Wheel } from './wheel.js';

const SECOND = 1_000;
const HOUR = 3_600 * SECOND;
const NOW = Date.UTC(2026, 0, 1);

describe('the delay wheel', () => {
  it.each([
    [-5 * SECOND, '1s'],
    [200, '1s'],
    [1 * SECOND, '1s'],
    [4_999, '1s'],
    [5 * SECOND, '5s'],
    [5 * 60 * SECOND, '2m'],
    [24 * HOUR, '6h'],
  ])('puts what is due in %d ms into tier %s', (remainingMs, tier) => {
    expect(tierFor(remainingMs)).toBe(tier);
  });

  it('keeps a record in its tier for the length of the tier, and in the smallest until it is due', () => {
    expect(leavesAt('5s', { enteredMs: 1_000, dueMs: 20_000, nowMs: 1_000 })).toBe(6_000);
    expect(leavesAt('1s', { enteredMs: 1_000, dueMs: 1_300, nowMs: 1_000 })).toBe(1_300);
    expect(leavesAt('1s', { enteredMs: 1_000, dueMs: 5_900, nowMs: 1_000 })).toBe(5_900);
  });

  it('lets nothing wait for longer than its tier, whatever time it was when it was written', () => {
    expect(leavesAt('5s', { enteredMs: NOW + HOUR, dueMs: NOW + HOUR + 20_000, nowMs: NOW })).toBe(NOW + 5_000);
    expect(leavesAt('5s', { enteredMs: NOW - HOUR, dueMs: NOW + 20_000, nowMs: NOW })).toBeLessThan(NOW);
    expect(leavesAt('1s', { enteredMs: NOW + HOUR, dueMs: NOW + HOUR, nowMs: NOW })).toBe(NOW);
  });

  it('brings every delay to its end, never early, in few steps', () => {
    for (const delayMs of [1, 999, 1_000, 1_001, 5_500, 61_000, 299_999, 7_199_000, 24 * HOUR, 168 * HOUR]) {
      let nowMs = 0;
      let steps = 0;
      while (nowMs < delayMs) {
        nowMs = leavesAt(tierFor(delayMs - nowMs), { enteredMs: nowMs, dueMs: delayMs, nowMs });
        steps += 1;
      }
      expect(nowMs).toBe(delayMs);
      expect(steps).toBeLessThanOrEqual(28 + 6 * delayTiers.length);
    }
  });

  it.each([DELAY_SLOTS, 3])('gathers in each of %d slots what is due at about the same time, and uses them all', (slots) => {
    const turnMs = 6_000;
    const used = new Map<number, { from: number; to: number }>();
    for (let dueMs = NOW; dueMs < NOW + turnMs; dueMs += 10) {
      const { from } = used.get(slotOf(dueMs, slots)) ?? { from: dueMs };
      used.set(slotOf(dueMs, slots), { from, to: dueMs });
      expect(slotOf(dueMs + turnMs, slots)).toBe(slotOf(dueMs, slots));
    }
    expect([...used.keys()].toSorted((a, b) => a - b)).toEqual(Array.from({ length: slots }, (_, n) => n));
    for (const { from, to } of used.values()) expect(to - from).toBeLessThan(turnMs / slots);
  });

  it('has no two times in one slot that wait in it together, but are further apart than it is long', () => {
    const waiting = Array.from({ length: 5_000 }, (_, ms) => NOW + ms).filter((dueMs) => slotOf(dueMs, DELAY_SLOTS) === slotOf(NOW, DELAY_SLOTS));
    expect(waiting.at(-1)).toBeLessThan(NOW + 400);
  });

  it('says where a record is written: by the subscription, and in the smallest tier by the time it is due', () => {
    const wheel = new Wheel((name) => name, DELAY_SLOTS);
    expect(wheel.placeFor('sub_a', NOW, NOW + 3_000)).toEqual({ topic: 'deliveries.delayed.1s', key: 'sub_a', partition: slotOf(NOW + 3_000, DELAY_SLOTS) });
    expect(wheel.placeFor('sub_a', NOW, NOW + HOUR)).toEqual({ topic: 'deliveries.delayed.1h', key: 'sub_a' });
    expect(wheel.placeFor('sub_a', NOW, 0)).toMatchObject({ topic: 'deliveries.delayed.1s', partition: 0 });
  });
});
