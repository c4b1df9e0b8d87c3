import { describe, expect, it } from '@jest/globals';
import { readDelta, Tally } from './tally.js';

const attempt = (started_at: string) => ({ status: 'delivered' as const, duration_ms: 5, error_code: null, started_at });
const minute = (time: string): number => Date.parse(time) / 60_000;

const told = (tally: Tally, only?: string): readonly string[] =>
  tally.deltas().flatMap(({ tenant, figures: bytes }) => {
    const lines: string[] = [];
    readDelta(bytes, only, (subscription, at, figures) => {
      lines.push(`${tenant} ${subscription} ${new Date(at * 60_000).toISOString()} ${figures.of('attempts.succeeded')} ${figures.of('deliveries.failed')}`);
    });
    return lines;
  });

describe('a tally', () => {
  it('counts attempts by the minute in which they began, and deliveries by that in which they ended, whosever they are', () => {
    const tally = new Tally();
    const [a, b, c] = [
      { tenant: 'acme', subscription_id: 'sub_1' },
      { tenant: 'acme', subscription_id: 'sub_ü' },
      { tenant: 'other', subscription_id: 'sub_1' },
    ];
    tally.addAttempt(a, attempt('2026-11-20T12:00:59.999Z'));
    tally.addAttempt(a, attempt('2026-11-20T12:01:00.000Z'));
    tally.addAttempt(a, attempt('2026-11-20T12:00:00.000Z'));
    tally.addAttempt(b, attempt('1969-12-31T23:59:59.000Z'));
    tally.addDelivery(c, { status: 'failed', round: 0, createdMs: 0, finishedMs: Date.parse('2026-11-20T12:00:30.000Z') });
    expect(told(tally)).toEqual([
      'acme sub_1 2026-11-20T12:00:00.000Z 2 0',
      'acme sub_1 2026-11-20T12:01:00.000Z 1 0',
      'acme sub_ü 1969-12-31T23:59:00.000Z 1 0',
      'other sub_1 2026-11-20T12:00:00.000Z 0 1',
    ]);
  });

  it('tells of a subscription by the id under which its deliveries are kept', () => {
    const tally = new Tally();
    tally.addAttempt({ tenant: 'acme', subscription_id: 'sub\0' }, attempt('2026-11-20T12:00:00.000Z'));
    expect(told(tally)).toEqual(['acme sub\u{FFFD} 2026-11-20T12:00:00.000Z 1 0']);
  });

  it('passes over what nobody asked about', () => {
    const tally = new Tally();
    for (const subscription_id of ['sub_1', 'sub_2', 'sub_3']) tally.addAttempt({ tenant: 'acme', subscription_id }, attempt('2026-11-20T12:00:00.000Z'));
    expect(told(tally, 'sub_2')).toEqual(['acme sub_2 2026-11-20T12:00:00.000Z 1 0']);
  });

  it('has nothing to tell of what was taken back at once, or of what has not ended', () => {
    const tally = new Tally();
    const owner = { tenant: 'acme', subscription_id: 'sub_1' };
    tally.addAttempt(owner, attempt('2026-11-20T12:00:00.000Z'));
    tally.addAttempt(owner, attempt('2026-11-20T12:00:00.000Z'), -1);
    tally.addDelivery(owner, { status: 'pending', round: 0, createdMs: 0, finishedMs: minute('2026-11-20T12:00:00Z') });
    expect(tally.deltas()).toEqual([]);
  });
});
