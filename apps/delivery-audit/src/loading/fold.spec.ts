import { describe, expect, it } from '@jest/globals';
import { foldRows } from './fold.js';
import { noRows, type AttemptRow, type DecisionRow, type DeliveryRow, type EventRow, type RejectedEventRow, type RoundRow, type Rows } from './rows.js';

const delivery: DeliveryRow = {
  day: '2026-11-20',
  id: 'dlv_1',
  tenant: 'default',
  event_id: 'e1',
  event_type: 'invoice.paid',
  subject: null,
  subscription_id: 'sub_1',
  created_at: '2026-11-20T10:00:00.000Z',
  round: 0,
  number: 0,
  status: 'pending',
  updated_at: '2026-11-20T10:00:00.000Z',
  next_attempt_at: null,
  last_status_code: null,
  last_error: null,
  finished_at: null,
  waiting_round: null,
  waiting_number: null,
  waiting_since: null,
  waiting_until: null,
  waiting_cause: null,
  waiting_behind: null,
};
const deliveries = (...rows: readonly Partial<DeliveryRow>[]): Rows[] =>
  rows.map((row) => ({ ...noRows, deliveries: [{ ...delivery, ...row }] }));

const attempt: AttemptRow = {
  day: '2026-11-20',
  delivery_id: 'dlv_1',
  round: 0,
  number: 1,
  tenant: 'default',
  subscription_id: 'sub_1',
  subscription_version: 1,
  trigger: 'first',
  status: 'retrying',
  started_at: '2026-11-20T10:00:00.001Z',
  duration_ms: 1,
  status_code: null,
  error_code: null,
  exchange: '[]',
};

const inBothOrders = <T>(items: readonly T[]): T[][] => [[...items], items.toReversed()];

describe('folding a batch', () => {
  it.each([
    ['an outcome over the routing decision', { number: 1, status: 'retrying' }, {}],
    ['the higher number', { number: 10, status: 'retrying' }, { number: 9, status: 'retrying' }],
    ['an end over a repetition with a higher number', { number: 9, status: 'delivered' }, { number: 10, status: 'retrying' }],
    ['the higher round', { round: 1, number: 1, status: 'retrying' }, { number: 9, status: 'failed' }],
    ['a round that was asked for over the end of the one before', { round: 1 }, { number: 9, status: 'delivered' }],
    ['the stronger of a repeated request', { number: 1, status: 'delivered' }, { number: 1, status: 'retrying' }],
    ['a cancellation over the retries that were under way', { status: 'cancelled' }, { number: 3, status: 'retrying' }],
    ['a request that got through over the cancellation', { number: 1, status: 'delivered' }, { status: 'cancelled', updated_at: '2026-11-20T11:00:00.000Z' }],
    [
      'the more recent of equal ones',
      { number: 1, status: 'retrying', updated_at: '2026-11-20T10:00:02.000Z' },
      { number: 1, status: 'retrying', updated_at: '2026-11-20T10:00:01.000Z' },
    ],
    ['one of two that differ in their answer only', { number: 1, status: 'failed', last_status_code: 503 }, { number: 1, status: 'failed', last_status_code: 500 }],
    ['one of two that differ in their reason only', { number: 1, status: 'failed', last_error: 'timeout' }, { number: 1, status: 'failed', last_error: 'aborted' }],
  ] satisfies [string, Partial<DeliveryRow>, Partial<DeliveryRow>][])('keeps %s, in either order', (_, winner, loser) => {
    for (const order of inBothOrders(deliveries(winner, loser))) {
      expect(foldRows(order).deliveries).toEqual([{ ...delivery, ...winner }]);
    }
  });

  it('keeps the earliest acceptance of a delivery, whichever outcome is the latest', () => {
    const early = { created_at: '2026-11-20T09:00:00.000Z' };
    for (const order of inBothOrders(deliveries({ number: 1, status: 'delivered' }, early))) {
      expect(foldRows(order).deliveries).toEqual([{ ...delivery, ...early, number: 1, status: 'delivered' }]);
    }
  });

  it('keeps what the earliest acceptance says of the event, whichever outcome is the latest', () => {
    const early = { created_at: '2026-11-20T09:00:00.000Z', event_type: 'order.placed', subject: 's' };
    for (const order of inBothOrders(deliveries({ number: 1, status: 'delivered' }, early))) {
      expect(foldRows(order).deliveries).toEqual([{ ...delivery, ...early, number: 1, status: 'delivered' }]);
    }
  });

  const waiting = { waiting_round: 0, waiting_number: 2, waiting_since: '2026-11-20T10:00:03.000Z', waiting_until: '2026-11-20T10:00:09.000Z', waiting_cause: 'breaker' as const };

  it('keeps a postponement beside what the outcomes say', () => {
    for (const order of inBothOrders(deliveries(waiting, { number: 1, status: 'retrying' }))) {
      expect(foldRows(order).deliveries).toEqual([{ ...delivery, ...waiting, number: 1, status: 'retrying' }]);
    }
  });

  it.each([
    ['round', { waiting_round: 1, waiting_number: 1 }],
    ['number', { waiting_number: 3, waiting_since: '2026-11-20T10:00:00.000Z' }],
    ['time', { waiting_since: '2026-11-20T10:00:04.000Z', waiting_until: null, waiting_cause: 'ordered' as const, waiting_behind: 'dlv_2' }],
  ])('has the postponement of the later %s', (_, later) => {
    for (const order of inBothOrders(deliveries(waiting, { ...waiting, ...later }))) {
      expect(foldRows(order).deliveries).toEqual([{ ...delivery, ...waiting, ...later }]);
    }
  });

  it('has a round and its cancellation once, as they were asked for first', () => {
    const cancellation = { day: '2026-11-20', delivery_id: 'd', round: 1, tenant: 'default', at: '2026-11-20T10:00:00.000Z', actor: 'key_1' };
    const round: RoundRow = { ...cancellation, trigger: 'redeliver', replay_id: null, forced: 'false' };
    const later = { at: '2026-11-20T10:00:01.000Z', actor: 'key_2' };
    for (const [rounds, cancellations] of inBothOrders([{}, later]).map((all) => [all.map((more) => ({ ...round, ...more })), all.map((more) => ({ ...cancellation, ...more }))] as const)) {
      const folded = foldRows([{ ...noRows, rounds, cancellations }]);
      expect([folded.rounds, folded.cancellations]).toEqual([[round], [cancellation]]);
    }
  });

  it('holds deliveries of different days apart, though their id is the same', () => {
    expect(foldRows(deliveries({}, { day: '2026-11-21' })).deliveries).toHaveLength(2);
  });

  it('has every attempt once, and the stronger of a repeated one', () => {
    const rows = [attempt, { ...attempt, status: 'delivered' as const }, { ...attempt, number: 2 }, attempt];
    for (const order of inBothOrders(rows)) {
      const folded = foldRows(order.map((row) => ({ ...noRows, attempts: [row] }))).attempts;
      expect(folded.map(({ number, status }) => `${number} ${status}`).toSorted()).toEqual(['1 delivered', '2 retrying']);
    }
  });

  it('has the event that was accepted first', () => {
    const event = { day: '2026-11-20', tenant: 'default', id: 'e1', accepted_at: '2026-11-20T10:00:00.000Z' } as EventRow;
    const second = { ...event, accepted_at: '2026-11-20T10:00:01.000Z' };
    for (const order of inBothOrders([event, second])) {
      expect(foldRows(order.map((row) => ({ ...noRows, events: [row] }))).events).toEqual([event]);
    }
  });

  it('has of the decisions about an event the one that was seen last', () => {
    const first: DecisionRow = { day: '2026-11-20', tenant: 'default', event_id: 'e1', position: 9, near: '[]', near_more: 3 };
    const last = { ...first, position: 10, near: null, near_more: 0 };
    for (const order of inBothOrders([first, last])) {
      expect(foldRows(order.map((row) => ({ ...noRows, decisions: [row] }))).decisions).toEqual([last]);
    }
  });

  it('has a refusal of one record once, as it was refused first, and those of two days apart', () => {
    const first = { day: '2026-11-20', id: 'rej_1', rejected_at: '2026-11-20T10:00:00.000Z' } as RejectedEventRow;
    const again = { ...first, rejected_at: '2026-11-20T10:00:01.000Z' };
    const tomorrow = { ...first, day: '2026-11-21', rejected_at: '2026-11-21T00:00:00.000Z' };
    for (const order of inBothOrders([first, again, tomorrow])) {
      const { rejected_events } = foldRows(order.map((row) => ({ ...noRows, rejected_events: [row] })));
      expect(rejected_events.toSorted((a, b) => (a.day < b.day ? -1 : 1))).toEqual([first, tomorrow]);
    }
  });
});
