import { describe, expect, it } from '@jest/globals';
import { deliveryViewOf, type DeliveryRow } from './delivery-view.js';

const at = (minute: number): Date => new Date(Date.UTC(2026, 10, 21, 10, minute));

const row = (more: Partial<DeliveryRow>): DeliveryRow => ({
  id: '0000000000000000000000000000000a',
  tenant: 'acme',
  event_id: 'e1',
  event_type: 'invoice.paid',
  subscription_id: 'sub_1',
  status: 'pending',
  round: 0,
  number: 0,
  attempts: 0,
  updated_at: at(0),
  next_attempt_at: null,
  last_status_code: null,
  last_error: null,
  created_at: at(0),
  finished_at: null,
  waiting_round: null,
  waiting_number: null,
  waiting_since: null,
  waiting_until: null,
  waiting_cause: null,
  waiting_behind: null,
  ...more,
});

const retrying = { status: 'retrying', number: 1, attempts: 1, updated_at: at(1), next_attempt_at: at(6), last_error: 'timeout' } as const;
const postponed = { waiting_round: 0, waiting_number: 2, waiting_since: at(6), waiting_until: at(9), waiting_cause: 'rate_limit' } as const;

describe('what a delivery waits for', () => {
  it('is nothing while it is on its way', () => {
    expect(deliveryViewOf(row({}))).toEqual({
      id: 'dlv_0000000000000000000000000000000a',
      tenant: 'acme',
      event_id: 'e1',
      event_type: 'invoice.paid',
      subscription_id: 'sub_1',
      status: 'pending',
      round: 0,
      attempts: 0,
      created_at: at(0).toISOString(),
    });
  });

  it('is the time of its retry', () => {
    expect(deliveryViewOf(row(retrying))).toMatchObject({
      next_attempt_at: at(6).toISOString(),
      waiting: { cause: 'retry', since: at(1).toISOString(), until: at(6).toISOString() },
      last_error: 'timeout',
    });
  });

  it('is what the attempt was put off for, when that came after', () => {
    const waiting = { cause: 'rate_limit', since: at(6).toISOString(), until: at(9).toISOString() };
    expect(deliveryViewOf(row({ ...retrying, ...postponed }))).toMatchObject({ waiting, next_attempt_at: at(9).toISOString() });
    expect(deliveryViewOf(row({ ...postponed, waiting_number: 1 }))).toMatchObject({ waiting });
    expect(deliveryViewOf(row({ ...postponed, waiting_round: 1, waiting_number: 1, number: 3 }))).toMatchObject({ waiting });
  });

  it('is the delivery before it under its key, without a time', () => {
    const view = deliveryViewOf(row({ ...postponed, waiting_until: null, waiting_cause: 'ordered', waiting_behind: 'dlv_b' }));
    expect(view.waiting).toEqual({ cause: 'ordered', since: at(6).toISOString(), behind: 'dlv_b' });
    expect(view).not.toHaveProperty('next_attempt_at');
  });

  it('is no more what was overtaken by an outcome or a round, or has ended', () => {
    expect(deliveryViewOf(row({ ...retrying, ...postponed, number: 2 })).waiting).toMatchObject({ cause: 'retry' });
    expect(deliveryViewOf(row({ ...postponed, round: 1 }))).not.toHaveProperty('waiting');
    expect(deliveryViewOf(row({ ...postponed, status: 'cancelled', finished_at: at(7) }))).not.toHaveProperty('waiting');
  });
});
