import { describe, expect, it } from '@jest/globals';
import { foldRows } from './fold.js';
import { noRows, type AttemptRow, type DecisionRow, type DeliveryRow, type EventRow, type RejectedEventRow, type Rows } from './rows.js';

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
  trigger: 'first',
  status: 'retrying',
  started_at: '2026-11-20T10:00:00.001Z',
  duration_ms: 1,
  status_code: null,
  error_code: null,
  request: '{}',
  response: null,
  error: null,
};

const inBothOrders = <T>(items: readonly T[]): T[][] => [[...items], items.toReversed()];

describe('folding a batch', () => {
  it.each([
    ['an outcome over the routing decision', { number: 1, status: 'retrying' }, {}],
    ['the higher number', { number: 10, status: 'retrying' }, { number: 9, status: 'delivered' }],
    ['the higher round', { round: 1, number: 1, status: 'retrying' }, { number: 9, status: 'failed' }],
    ['the stronger of a repeated request', { number: 1, status: 'delivered' }, { number: 1, status: 'retrying' }],
    [
      'the more recent of equal ones',
      { number: 1, status: 'retrying', updated_at: '2026-11-20T10:00:02.000Z' },
      { number: 1, status: 'retrying', updated_at: '2026-11-20T10:00:01.000Z' },
    ],
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
      const { rejectedEvents } = foldRows(order.map((row) => ({ ...noRows, rejectedEvents: [row] })));
      expect(rejectedEvents.toSorted((a, b) => (a.day < b.day ? -1 : 1))).toEqual([first, tomorrow]);
    }
  });
});
