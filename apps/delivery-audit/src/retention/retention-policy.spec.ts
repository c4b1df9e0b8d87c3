import { describe, expect, it } from '@jest/globals';
import type { TenantState } from '@posthorn/contracts';
import { RetentionPolicy } from './retention-policy.js';

const DAY_MS = 86_400_000;
const NOON = Date.parse('2026-11-21T12:00:00.000Z');

const tenant = (id: string, days: number): TenantState => ({
  kind: 'tenant',
  id,
  name: id,
  settings: { schema_policy: 'off', unknown_event_types: 'accept', retention_ms: days * DAY_MS },
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
});

const policyOf = (...tenants: readonly TenantState[]): RetentionPolicy => {
  const policy = new RetentionPolicy(() => true);
  for (const one of tenants) policy.tenants.changed(one);
  return policy;
};

describe('the retention', () => {
  const policy = policyOf(tenant('short', 1), tenant('long', 30));

  it('lets a day go when the last of it has been kept as long as the tenant wants', () => {
    expect(['2026-11-19', '2026-11-20', '2026-11-21'].map((day) => policy.isTooOld('short', day, NOON))).toEqual([true, false, false]);
    // At midnight all of the day before yesterday is two days old, and the first of yesterday one.
    expect(policy.isTooOld('short', '2026-11-20', Date.parse('2026-11-21T23:59:59.999Z'))).toBe(false);
    expect(policy.isTooOld('short', '2026-11-20', Date.parse('2026-11-22T00:00:00.000Z'))).toBe(true);
  });

  it('keeps the days of anybody as long as the longest', () => {
    expect(policy.firstDay(NOON)).toBe('2026-10-22');
  });

  it.each(['nobody knows', null])('keeps what is of %j as long as anything', (whose) => {
    expect([policy.isTooOld(whose, '2026-10-22', NOON), policy.isTooOld(whose, '2026-10-21', NOON)]).toEqual([false, true]);
  });

  it('knows of no end before the registry has been read, nor when there is nobody', () => {
    const early = new RetentionPolicy(() => false);
    early.tenants.changed(tenant('short', 1));
    early.tenants.removed('gone');
    expect([early.firstDay(NOON), early.isTooOld('short', '2020-01-01', NOON), early.isOver('gone', '2026-11-21', NOON)]).toEqual([undefined, false, false]);
    expect([policyOf().firstDay(NOON), policyOf().isTooOld('x', '2020-01-01', NOON)]).toEqual([undefined, false]);
  });

  it('leaves nothing of a deleted tenant, until one of its name is made anew', () => {
    const changing = policyOf(tenant('a', 30), tenant('b', 30));
    changing.tenants.removed('a');
    expect([changing.isOver('a', '2026-11-21', NOON), changing.isOver('b', '2026-11-21', NOON)]).toEqual([true, false]);
    // It may still be written: the next sweep takes it along.
    expect(changing.isTooOld('a', '2026-11-21', NOON)).toBe(false);
    changing.tenants.changed(tenant('a', 30));
    expect(changing.isOver('a', '2026-11-21', NOON)).toBe(false);
  });

  it('follows a change', () => {
    const changing = policyOf(tenant('a', 30));
    changing.tenants.changed(tenant('a', 2));
    expect([changing.firstDay(NOON), changing.isOver('a', '2026-11-18', NOON)]).toEqual(['2026-11-19', true]);
  });
});
