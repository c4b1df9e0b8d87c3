import { describe, expect, it } from '@jest/globals';
import { timelineEntry } from '@posthorn/contracts';
import type { DeliveryRow } from './delivery-view.js';
import { timelineOf, type DeliveryHistory } from './timeline.js';

const at = (second: number): Date => new Date(Date.UTC(2026, 10, 21, 10, 0, second));
const text = (second: number): string => at(second).toISOString();

const delivery: DeliveryRow = {
  id: '0000000000000000000000000000000a',
  tenant: 'acme',
  event_id: 'e1',
  event_type: 'invoice.paid',
  subscription_id: 'sub_1',
  status: 'cancelled',
  round: 1,
  number: 0,
  attempts: 2,
  updated_at: at(40),
  next_attempt_at: null,
  last_status_code: null,
  last_error: 'cancelled_by_user',
  created_at: at(0),
  finished_at: at(40),
  waiting_round: 1,
  waiting_number: 1,
  waiting_since: at(30),
  waiting_until: at(50),
  waiting_cause: 'breaker',
  waiting_behind: null,
};

const attempt = (number: number, second: number): DeliveryHistory['attempts'][number] => ({
  round: 0,
  number,
  trigger: number === 1 ? 'first' : 'retry',
  status: number === 1 ? 'retrying' : 'failed',
  started_at: at(second),
  duration_ms: 4.5,
  status_code: 500,
  error_code: 'bad_status',
  subscription_version: number === 1 ? null : 3,
});

const history: DeliveryHistory = {
  delivery,
  position: 17,
  rounds: [{ round: 1, trigger: 'redeliver', at: text(20), actor: 'key_1', forced: true }],
  attempts: [attempt(1, 0), attempt(2, 10)],
  cancellations: [{ round: 1, at: text(40), actor: 'key_2' }],
};

describe("a delivery's timeline", () => {
  it('tells everything in the order in which it happened, and who asked for what', () => {
    const told = timelineOf(history);
    expect(told).toEqual([
      { kind: 'accepted', at: text(0) },
      { kind: 'routed', at: text(0), position: 17 },
      { kind: 'attempt', at: text(0), round: 0, number: 1, trigger: 'first', status: 'retrying', duration_ms: 4.5, status_code: 500, error_code: 'bad_status' },
      {
        kind: 'attempt',
        at: text(10),
        round: 0,
        number: 2,
        trigger: 'retry',
        status: 'failed',
        duration_ms: 4.5,
        status_code: 500,
        error_code: 'bad_status',
        subscription_version: 3,
      },
      { kind: 'asked_for', at: text(20), round: 1, trigger: 'redeliver', actor: 'key_1', forced: true },
      { kind: 'postponed', at: text(30), round: 1, number: 1, cause: 'breaker', until: text(50) },
      { kind: 'cancellation_asked_for', at: text(40), round: 1, actor: 'key_2' },
      { kind: 'ended', at: text(40), round: 1, status: 'cancelled', reason: 'cancelled_by_user' },
    ]);
    for (const entry of told) expect(timelineEntry.parse(entry)).toEqual(entry);
  });

  it('says nothing of what is not known, and of an end that there was not', () => {
    const pending = { ...delivery, status: 'pending', finished_at: null, waiting_round: null } as const;
    expect(timelineOf({ delivery: pending, position: undefined, rounds: [], attempts: [], cancellations: [] })).toEqual([{ kind: 'accepted', at: text(0) }]);
  });

  it('names the delivery that it waited for', () => {
    const behind = { ...delivery, waiting_cause: 'ordered', waiting_until: null, waiting_behind: 'dlv_b' } as const;
    expect(timelineOf({ ...history, delivery: behind })).toContainEqual({ kind: 'postponed', at: text(30), round: 1, number: 1, cause: 'ordered', behind: 'dlv_b' });
  });
});
