import { describe, expect, it } from '@jest/globals';
import { dueCount, dueMicros, GRAIN_MICROS, stampMicros } from './pacing.ts';

const pace = { startMicros: 1_000_000, perSecond: 200, events: 1_000 };

describe('an open loop', () => {
  it.each([
    ['nothing before it begins', 999_999, 0],
    ['the first at once', 1_000_000, 1],
    ['one every 5 ms', 1_014_999, 3],
    ['all that came due while it was held up', 2_000_000, 201],
    ['no more than there are', 99_000_000, 1_000],
  ])('has due %s', (_, nowMicros, count) => {
    expect(dueCount(pace, nowMicros)).toBe(count);
  });

  it('has due at any time exactly those whose time has come', () => {
    for (const perSecond of [1, 3, 7, 333.3, 12_345]) {
      const endless = { startMicros: 0, perSecond, events: Infinity };
      for (let now = 0; now < 300_000; now += 1_237) {
        const count = dueCount(endless, now);
        expect(dueMicros(endless, count)).toBeGreaterThan(now - 1e-3);
        expect(dueMicros(endless, count - 1)).toBeLessThanOrEqual(now + 1e-3);
      }
    }
  });

  it("counts an event's time from its sending within the grain of the timer, and from when it was due beyond", () => {
    expect([stampMicros(5_000, 5_000), stampMicros(5_000, 5_400), stampMicros(5_000, 90_000)]).toEqual([5_000, 5_400, 5_000 + GRAIN_MICROS]);
  });
});
