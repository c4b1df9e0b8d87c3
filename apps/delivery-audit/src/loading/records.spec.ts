import { describe, expect, it } from '@jest/globals';
import { deliveryId, frame, type Outcome, type Rejection } from '@posthorn/contracts';
import { storedDeliveryId } from '../delivery-id.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfRejected, rowsOfRounds, rowsOfRouted } from './records.js';
import { noRows } from './rows.js';

const envelope = {
  specversion: '1.0',
  id: 'e1',
  tenant: 'default',
  type: 'invoice.paid',
  source: '/billing',
  time: '2026-11-21T01:00:00+02:00',
  acceptedtime: '2026-11-20T23:59:59.999Z',
};

const outcome: Outcome = {
  delivery_id: deliveryId('default', 'e1', 'sub_1'),
  tenant: 'default',
  event_id: 'e1',
  event_type: 'invoice.paid',
  accepted_at: '2026-11-20T23:59:59.999Z',
  subscription_id: 'sub_1',
  round: 0,
  number: 1,
  trigger: 'first',
  status: 'retrying',
  at: '2026-11-21T00:00:00.250Z',
  next_attempt_at: '2026-11-21T00:00:05.250Z',
  attempt: {
    started_at: '2026-11-21T00:00:00.200Z',
    duration_ms: 49.5,
    request: { url: 'https://example.com/', headers: { 'webhook-id': 'e1' } },
    response: { status: 500, headers: {}, body: 'sorry', truncated: false },
    error: { code: 'bad_status', message: 'answered 500' },
  },
};

const attempted = (...outcomes: readonly object[]): Buffer => Buffer.from(JSON.stringify({ outcomes }));

describe('an accepted event', () => {
  it('keeps its data byte for byte and its time as written', () => {
    const data = Buffer.from('{"amount": 1.10, "n":12345678901234567890}');
    const [event] = rowsOfAccepted(frame(envelope, data)).events;
    expect(event?.data.equals(data)).toBe(true);
    expect(event?.time).toBe('2026-11-21T01:00:00+02:00');
  });

  it('belongs to the day of its acceptance, not of its time', () => {
    expect(rowsOfAccepted(frame(envelope, Buffer.from('1'))).events[0]?.day).toBe('2026-11-20');
  });

  it('has the day in UTC, whatever the offset says', () => {
    const there = { ...envelope, acceptedtime: '2026-11-21T01:30:00+02:00' };
    expect(rowsOfAccepted(frame(there, Buffer.from('1'))).events[0]).toMatchObject({
      day: '2026-11-20',
      accepted_at: '2026-11-20T23:30:00.000Z',
    });
  });

  it.each([
    ['is not framed', Buffer.from('{"id":"e1"}'), 'no data member'],
    ['is not JSON', Buffer.from('{id\n"data":1}'), 'JSON'],
    ['has no time of acceptance', frame({ ...envelope, acceptedtime: undefined }, Buffer.from('1')), 'Invalid time value'],
    ['has a time that is none', frame({ ...envelope, acceptedtime: 'yesterday' }, Buffer.from('1')), 'Invalid time value'],
    ['has a month that is none', frame({ ...envelope, acceptedtime: '2026-13-01T00:00:00.000Z' }, Buffer.from('1')), 'Invalid time value'],
    ['is of the year 0', frame({ ...envelope, acceptedtime: '0000-06-01T00:00:00.000Z' }, Buffer.from('1')), 'no record is of the time'],
    ['is of the last year that has four digits', frame({ ...envelope, acceptedtime: '9999-12-31T00:00:00.000Z' }, Buffer.from('1')), 'no record is of the time'],
    ['is of a year with five digits', frame({ ...envelope, acceptedtime: '+010000-01-01T00:00:00.000Z' }, Buffer.from('1')), 'no record is of the time'],
  ])('is refused when it %s', (_, value, message) => {
    expect(() => rowsOfAccepted(value)).toThrow(message);
  });
});

describe('a routing decision', () => {
  const routed = { event_id: 'e1', tenant: 'default', event_type: 'invoice.paid', accepted_at: envelope.acceptedtime, position: 7 };
  const decisionsOf = (more: object) => rowsOfRouted(Buffer.from(JSON.stringify({ ...routed, subscriptions: ['sub_1'], ...more }))).decisions;

  it('is a pending delivery for each subscription, under the id that the sender derives too', () => {
    const { deliveries } = rowsOfRouted(Buffer.from(JSON.stringify({ ...routed, subscriptions: ['sub_1', 'sub_2'] })));
    expect(deliveries.map(({ id, status, number }) => ({ id, status, number }))).toEqual([
      { id: storedDeliveryId(deliveryId('default', 'e1', 'sub_1')), status: 'pending', number: 0 },
      { id: storedDeliveryId(deliveryId('default', 'e1', 'sub_2')), status: 'pending', number: 0 },
    ]);
  });

  it('is kept with its position and its near matches, once, whichever parts it comes in', () => {
    const near = [{ subscription: 'sub_3', why: 'disabled' }];
    const row = { day: '2026-11-20', tenant: 'default', event_id: 'e1', position: 7, near: null, near_more: 0 };
    expect(decisionsOf({})).toEqual([row]);
    expect(decisionsOf({ near, near_more: 2, part: { number: 1, of: 2 } })).toEqual([{ ...row, near: JSON.stringify(near), near_more: 2 }]);
    expect(decisionsOf({ part: { number: 2, of: 2 } })).toEqual([]);
  });

  it('that nobody matched is no delivery', () => {
    expect(rowsOfRouted(Buffer.from(JSON.stringify({ ...routed, subscriptions: [] }))).deliveries).toEqual([]);
  });
});

describe('an outcome', () => {
  it('with a request is an attempt, and says where the delivery stands', () => {
    const { deliveries, attempts } = rowsOfAttempted(attempted(outcome));
    expect(attempts).toHaveLength(1);
    expect(deliveries[0]).toMatchObject({
      day: '2026-11-20',
      status: 'retrying',
      last_status_code: 500,
      last_error: 'bad_status',
      next_attempt_at: '2026-11-21T00:00:05.250Z',
      finished_at: null,
    });
  });

  it('without a request is no attempt', () => {
    const { attempt: _, next_attempt_at: __, ...rest } = outcome;
    const { deliveries, attempts } = rowsOfAttempted(attempted({ ...rest, status: 'cancelled', reason: 'the subscription is gone' }));
    expect(attempts).toEqual([]);
    expect(deliveries[0]).toMatchObject({ status: 'cancelled', last_error: 'the subscription is gone', finished_at: outcome.at });
  });
});

const foreign = (more: object) => ({ ...outcome, ...more });

describe('what cannot be true', () => {
  it.each([
    ['foreign_delivery', foreign({ tenant: 'other' })],
    ['foreign_delivery', foreign({ event_id: 'e2' })],
    ['foreign_delivery', foreign({ subscription_id: 'sub_2' })],
    ['foreign_delivery', foreign({ delivery_id: 'dlv_1' })],
    ['foreign_delivery', foreign({ tenant: undefined })],
    ['impossible_number', foreign({ number: 0 })],
    ['impossible_number', foreign({ number: 22 })],
    ['impossible_number', foreign({ number: 1.5 })],
    ['impossible_number', foreign({ round: -1 })],
    ['impossible_number', foreign({ round: 2 ** 31 })],
    ['impossible_number', foreign({ round: '1' })],
  ])('is refused as %s, and the rest of its record stands: %j', (reason, wrong) => {
    const { deliveries, attempts, refused } = rowsOfAttempted(Buffer.from(JSON.stringify({ outcomes: [wrong, outcome], postponed: [wrong] })));
    expect([deliveries.length, attempts.length]).toEqual([1, 1]);
    expect(refused?.map((one) => one.reason)).toEqual([reason, reason]);
  });

  it('is no attempt that a schedule can lead to', () => {
    expect(rowsOfAttempted(attempted({ ...outcome, number: 21 })).refused).toEqual([]);
  });

  it('is the first round, of those that were asked for', () => {
    expect(rowsOfRounds(Buffer.from(JSON.stringify({ rounds: [{ ...outcome, number: undefined, actor: 'key_1' }] }))).refused?.[0]?.reason).toBe('impossible_number');
  });

  it.each([
    ['round', (facts: object) => rowsOfRounds(Buffer.from(JSON.stringify({ rounds: [facts] })))],
    ['cancellation', (facts: object) => rowsOfCancelled(Buffer.from(JSON.stringify({ cancellations: [facts] })))],
  ])('is refused of a %s too', (_, rowsOf) => {
    const { refused, ...rows } = rowsOf({ ...outcome, number: undefined, tenant: 'other', actor: 'key_1' });
    expect(rows).toEqual(noRows);
    expect(refused).toEqual([{ reason: 'foreign_delivery', tenant: 'other', delivery_id: outcome.delivery_id, round: 0, number: undefined }]);
  });
});

describe('a postponement', () => {
  const postponed = { ...outcome, number: 2, until: '2026-11-21T00:01:00.000Z', cause: 'rate_limit' };

  it('makes a delivery that waits, and says nothing of its outcomes', () => {
    const { deliveries, attempts } = rowsOfAttempted(Buffer.from(JSON.stringify({ outcomes: [], postponed: [postponed] })));
    expect(attempts).toEqual([]);
    expect(deliveries).toEqual([
      expect.objectContaining({
        id: storedDeliveryId(outcome.delivery_id),
        round: 0,
        number: 0,
        status: 'pending',
        waiting_round: 0,
        waiting_number: 2,
        waiting_since: outcome.at,
        waiting_until: '2026-11-21T00:01:00.000Z',
        waiting_cause: 'rate_limit',
        waiting_behind: null,
      }),
    ]);
  });

  it('behind another has no time', () => {
    const { deliveries } = rowsOfAttempted(Buffer.from(JSON.stringify({ outcomes: [], postponed: [{ ...postponed, until: undefined, cause: 'ordered', behind: 'dlv_0' }] })));
    expect(deliveries[0]).toMatchObject({ waiting_until: null, waiting_cause: 'ordered', waiting_behind: 'dlv_0' });
  });
});

describe('what was asked for', () => {
  const { number: _, trigger: __, status: ___, next_attempt_at: ____, attempt: _____, ...delivery } = outcome;

  it('again makes the delivery pending in a new round, and is kept', () => {
    const round = { ...delivery, round: 2, trigger: 'replay', actor: 'key_1', replay_id: 'rpl_1', forced: true };
    const { deliveries, rounds } = rowsOfRounds(Buffer.from(JSON.stringify({ rounds: [round] })));
    expect(deliveries[0]).toMatchObject({ round: 2, number: 0, status: 'pending', updated_at: outcome.at, created_at: outcome.accepted_at, finished_at: null });
    expect(rounds).toEqual([
      { day: '2026-11-20', delivery_id: storedDeliveryId(outcome.delivery_id), round: 2, tenant: 'default', trigger: 'replay', at: outcome.at, actor: 'key_1', replay_id: 'rpl_1', forced: 'true' },
    ]);
  });

  it('to be called off ends the round, and is kept', () => {
    const { deliveries, cancellations } = rowsOfCancelled(Buffer.from(JSON.stringify({ cancellations: [{ ...delivery, actor: 'key_1' }] })));
    expect(deliveries[0]).toMatchObject({ round: 0, number: 0, status: 'cancelled', updated_at: outcome.at, last_error: 'cancelled_by_user', finished_at: outcome.at });
    expect(cancellations).toEqual([{ day: '2026-11-20', delivery_id: storedDeliveryId(outcome.delivery_id), round: 0, tenant: 'default', at: outcome.at, actor: 'key_1' }]);
  });
});

describe('a rejection', () => {
  const rejection: Rejection = {
    rejection_id: 'rej_1',
    reason: { code: 'invalid', message: 'type is required', path: 'type', errors: [{ path: 'data.a[0]', message: 'must be a number' }] },
    door: 'kafka',
    tenant: 'acme',
    event_id: 'e1',
    rejected_at: '2026-11-21T01:00:00+02:00',
    record: { topic: 't', partition: 1, offset: '7' },
    headers: { 'content-type': 'application/json' },
    value: '{"é":1.10}',
    truncated: false,
  };
  const rowOf = (more: object) => rowsOfRejected(Buffer.from(JSON.stringify({ ...rejection, ...more }))).rejected_events[0];

  it('is a row of the day on which it was refused, with the bytes that were', () => {
    expect(rowOf({})).toEqual({
      day: '2026-11-20',
      id: 'rej_1',
      tenant: 'acme',
      rejected_at: '2026-11-20T23:00:00.000Z',
      door: 'kafka',
      code: 'invalid',
      message: 'type is required',
      path: 'type',
      errors: '[{"path":"data.a[0]","message":"must be a number"}]',
      event_id: 'e1',
      record: '{"topic":"t","partition":1,"offset":"7"}',
      headers: '{"content-type":"application/json"}',
      value: Buffer.from('{"é":1.10}'),
      truncated: 'false',
    });
    expect(rowOf({ value: undefined, value_base64: '/w==' })?.value).toEqual(Buffer.from([0xff]));
  });

  it.each(['A B', 'acme/x', '-', 'x'.repeat(64)])('is of no tenant when it says %j, which is the name of none', (tenant) => {
    expect(rowOf({ tenant })?.tenant).toBeNull();
  });

  it.each([
    ['has no bytes', { value: undefined }, 'neither value nor value_base64'],
    ['has a time that is none', { rejected_at: 'yesterday' }, 'Invalid time value'],
    ['has no reason', { reason: undefined }, 'undefined'],
  ])('is no record of ours when it %s', (_, more, message) => {
    expect(() => rowOf(more)).toThrow(message);
  });
});
