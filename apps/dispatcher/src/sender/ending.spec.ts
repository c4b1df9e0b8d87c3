import { describe, expect, it } from '@jest/globals';
import { endingOf } from './ending.js';

const refused = { success: false, error: { code: 'bad_status', message: 'The receiver answered 503.' } } as const;

describe('a receiver that asks for time', () => {
  it('is given it, and does not fail by that', () => {
    expect(endingOf({ ...refused, retryAfterMs: 2_000 }, 5)).toEqual({ kind: 'throttled', durationMs: 5, retryAfterMs: 2_000 });
  });

  it('fails when it asks for none, or is not one to be asked', () => {
    expect(endingOf({ ...refused, retryAfterMs: 0 }, 5)).toEqual({ kind: 'failure', durationMs: 5 });
    expect(endingOf(refused, 5)).toEqual({ kind: 'failure', durationMs: 5 });
  });
});

describe('an attempt that was not the receiver\'s to fail', () => {
  it.each(['payload_failed', 'auth_failed', 'aborted'] as const)('says nothing of it: %s', (code) => {
    expect(endingOf({ success: false, error: { code, message: '' } }, 5).kind).toBe('not_attempted');
  });
});
