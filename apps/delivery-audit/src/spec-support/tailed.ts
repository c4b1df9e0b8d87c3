import type { Outcome, Postponement } from '@posthorn/contracts';

const ROUND = {
  delivery_id: 'dlv_1',
  tenant: 'acme',
  event_id: 'evt_1',
  event_type: 'invoice.paid',
  accepted_at: '2026-11-20T09:59:59.000Z',
  subscription_id: 'sub_1',
  round: 0,
  number: 1,
  at: '2026-11-20T10:00:00.000Z',
};

/** A first attempt that was answered with 500, but for what is said otherwise. */
export const outcomeOf = (more: Partial<Outcome> = {}): Outcome => ({
  ...ROUND,
  subscription_version: 3,
  trigger: 'first',
  status: 'failed',
  attempt: {
    started_at: ROUND.at,
    duration_ms: 12.5,
    request: { url: 'https://example.com/in', headers: { authorization: '***' } },
    response: { status: 500, headers: { server: 'x' }, body: 'no', truncated: false },
    error: { code: 'bad_status', message: 'The status is 500.' },
  },
  ...more,
});

/** A first attempt that waits for its lane's rate, but for what is said otherwise. */
export const postponementOf = (more: Partial<Postponement> = {}): Postponement => ({ ...ROUND, cause: 'rate_limit', until: '2026-11-20T10:01:00.000Z', ...more });
