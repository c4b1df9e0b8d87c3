import { describe, expect, it } from '@jest/globals';
import { defaultRetryScheduleMs, waitAfter } from './backoff.js';
import { afterAttempt } from './delivery.js';

const middle = { scheduleMs: [5_000, 60_000], nowMs: 1_000_000, random: 0.5 };

describe('after an attempt', () => {
  it('a success ends the delivery', () => {
    expect(afterAttempt({ kind: 'success' }, { ...middle, number: 2 })).toEqual({ status: 'delivered' });
  });

  it('a failure waits for the schedule of its number', () => {
    expect(afterAttempt({ kind: 'failure' }, { ...middle, number: 1 })).toEqual({ status: 'retrying', dueAtMs: 1_005_000 });
    expect(afterAttempt({ kind: 'failure' }, { ...middle, number: 2 })).toEqual({ status: 'retrying', dueAtMs: 1_060_000 });
  });

  it('a failure of the last attempt ends it', () => {
    expect(afterAttempt({ kind: 'failure' }, { ...middle, number: 3 })).toEqual({ status: 'failed' });
  });

  it('410 ends it at once', () => {
    expect(afterAttempt({ kind: 'failure', gone: true }, { ...middle, number: 1 })).toEqual({ status: 'failed' });
  });
});

describe('the wait before a retry', () => {
  it('stays within 20 % of the schedule', () => {
    expect(waitAfter(1, { scheduleMs: [10_000], random: 0 })).toBe(8_000);
    expect(waitAfter(1, { scheduleMs: [10_000], random: 0.999_999 })).toBe(12_000);
  });

  it('is lengthened by Retry-After, never shortened', () => {
    expect(waitAfter(1, { scheduleMs: [10_000], random: 0.5, retryAfterMs: 60_000 })).toBe(60_000);
    expect(waitAfter(1, { scheduleMs: [10_000], random: 0.5, retryAfterMs: 1 })).toBe(10_000);
  });

  it('gives ten attempts by default', () => {
    expect(defaultRetryScheduleMs).toHaveLength(9);
    expect(waitAfter(10, { scheduleMs: defaultRetryScheduleMs, random: 0.5 })).toBeUndefined();
  });
});
