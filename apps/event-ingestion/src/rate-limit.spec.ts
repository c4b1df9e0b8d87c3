import { describe, expect, it } from '@jest/globals';
import { RateLimit, RateLimits } from './rate-limit.js';

/** Sends whatever is allowed, one event a millisecond. @returns how many that were */
const pressed = (limit: RateLimit, fromMs: number, forMs: number): number => {
  let sent = 0;
  for (let nowMs = fromMs; nowMs <= fromMs + forMs; nowMs++) {
    if (limit.waitMs('a', 1, nowMs) > 0) continue;
    limit.count('a', 1, nowMs);
    sent++;
  }
  return sent;
};

describe('a rate limit', () => {
  it('lets a burst of a second through, and then its rate', () => {
    const limit = new RateLimit(100);
    expect(pressed(limit, 0, 10_000)).toBe(1_100);
    expect(pressed(limit, 20_000, 1_000)).toBe(200);
  });

  it('says how long to wait, and is right', () => {
    const limit = new RateLimit(10);
    limit.count('a', 10, 5_000);
    expect(limit.waitMs('a', 1, 5_000)).toBe(100);
    expect(limit.waitMs('a', 5, 5_000)).toBe(500);
    expect(limit.waitMs('a', 5, 5_499)).toBe(1);
    expect(limit.waitMs('a', 5, 5_500)).toBe(0);
  });

  it("is each one's own", () => {
    const limit = new RateLimit(10);
    limit.count('a', 10, 0);
    expect(limit.waitMs('b', 10, 0)).toBe(0);
  });

  it('lets more than a burst holds through at a quiet moment, and has it made up for', () => {
    const limit = new RateLimit(100);
    expect(limit.waitMs('a', 1_000, 0)).toBe(0);
    limit.count('a', 1_000, 0);
    expect(limit.waitMs('a', 1, 0)).toBe(9_010);
    expect(limit.waitMs('a', 1_000, 9_000)).toBe(1_000);
    expect(limit.waitMs('a', 1_000, 10_000)).toBe(0);
  });

  it('of 0 is none, and remembers nobody', () => {
    const limit = new RateLimit(0);
    limit.count('a', 1e9, 0);
    expect(limit.waitMs('a', 1e9, 0)).toBe(0);
  });

  it('remembers only so many, and forgets who was heard of longest ago', () => {
    const limit = new RateLimit(1, 2);
    for (const who of ['a', 'b', 'a', 'c']) limit.count(who, 1, 0);
    expect(['a', 'b', 'c'].map((who) => limit.waitMs(who, 1, 0) > 0)).toEqual([true, false, true]);
  });
});

describe('the limits of a process', () => {
  it('are those of the key and of the tenant, whichever is stricter', () => {
    const limits = new RateLimits({ perKey: 10, perTenant: 20 });
    limits.count({ actor: 'k1', tenant: 't1' }, 10, 0);
    expect(limits.waitMs({ actor: 'k1', tenant: 't2' }, 1, 0)).toBe(100);
    expect(limits.waitMs({ actor: 'k2', tenant: 't1' }, 10, 0)).toBe(0);
    limits.count({ actor: 'k2', tenant: 't1' }, 10, 0);
    expect(limits.waitMs({ actor: 'k3', tenant: 't1' }, 1, 0)).toBe(50);
  });
});
