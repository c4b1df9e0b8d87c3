import type { Outcome } from '@posthorn/contracts';
import { describe, expect, it } from '@jest/globals';
import { signsOf } from './signs.js';

const T0 = Date.parse('2026-11-21T12:00:00Z');
const timeOf = (second: number): string => new Date(T0 + 1_000 * second).toISOString();

const outcome = (second: number, status: Outcome['status'], responseStatus = status === 'delivered' ? 200 : 500, rest: Partial<Outcome> = {}): Outcome => ({
  delivery_id: `dlv_${second}`,
  tenant: 'acme',
  event_id: 'evt_1',
  event_type: 'invoice.paid',
  accepted_at: timeOf(0),
  subscription_id: 'sub_1',
  round: 0,
  number: 1,
  trigger: 'first',
  status,
  at: timeOf(second + 9),
  attempt: {
    started_at: timeOf(second),
    duration_ms: 9_000,
    request: { url: 'https://example.com', headers: {} },
    response: { status: responseStatus, headers: {}, body: '', truncated: false },
  },
  ...rest,
});

const seen = (second: number) => ({ atMs: T0 + 1_000 * second, delivery: `dlv_${second}` });
const signOf = (...outcomes: Outcome[]) => signsOf(outcomes).get('sub_1');

describe('signsOf', () => {
  it('takes failures together, from the first to the last', () => {
    expect(signOf(outcome(1, 'retrying'), outcome(2, 'failed'), outcome(3, 'retrying'))).toEqual({ failing: { sinceMs: seen(1).atMs, last: seen(3) } });
  });

  it('begins anew after a success', () => {
    expect(signOf(outcome(1, 'retrying'), outcome(2, 'delivered'), outcome(3, 'retrying'))).toEqual({
      succeededAtMs: seen(2).atMs,
      failing: { sinceMs: seen(3).atMs, last: seen(3) },
    });
    expect(signOf(outcome(1, 'retrying'), outcome(2, 'delivered'))).toEqual({ succeededAtMs: seen(2).atMs, failing: undefined });
  });

  it('goes by when the requests were made, not by when they ended', () => {
    expect(signOf(outcome(2, 'delivered'), outcome(1, 'retrying'))).toEqual({ succeededAtMs: seen(2).atMs, failing: undefined });
  });

  it('remembers a 410, also when a request came through after it', () => {
    expect(signOf(outcome(1, 'failed', 410), outcome(2, 'delivered'))).toMatchObject({ gone: seen(1), failing: undefined });
    expect(signOf(outcome(1, 'failed', 410))).toMatchObject({ gone: seen(1), failing: { last: seen(1) } });
  });

  it('believes a subscription for which 410 is a success', () => {
    expect(signOf(outcome(1, 'delivered', 410))).toEqual({ succeededAtMs: seen(1).atMs, failing: undefined });
  });

  it.each([
    ['what was cancelled', outcome(1, 'cancelled', 500)],
    ['what was cancelled before a request was made', outcome(1, 'cancelled', 500, { attempt: undefined })],
    ['a test', outcome(1, 'failed', 410, { trigger: 'test' })],
  ])('does not count %s', (_what, one) => {
    expect(signsOf([one]).size).toBe(0);
  });

  it('counts a failure before any request by its own time', () => {
    expect(signOf(outcome(1, 'retrying', 500, { attempt: undefined }))).toMatchObject({ failing: { sinceMs: seen(10).atMs } });
  });

  it('keeps subscriptions apart', () => {
    const signs = signsOf([outcome(1, 'retrying'), outcome(2, 'delivered', 200, { subscription_id: 'sub_2' })]);
    expect([...signs.keys()]).toEqual(['sub_1', 'sub_2']);
    expect(signs.get('sub_1')).toHaveProperty('failing.sinceMs', seen(1).atMs);
  });
});
