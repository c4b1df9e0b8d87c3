import { describe, expect, it } from '@jest/globals';
import type { DeliveryView, Envelope, Explanation, ExplanationResult, RejectedEventView } from '@posthorn/contracts';
import { explanation, explanationResult } from '@posthorn/contracts';
import { standingAt, tenantOf, type ConfigurationChange } from './configuration.js';
import { explain, type Evidence, type RoutingDecision } from './explain.js';

const AT = '2026-11-21T10:00:00.000Z';

const envelope: Envelope = {
  specversion: '1.0',
  id: 'e1',
  tenant: 'acme',
  type: 'invoice.paid',
  source: '/billing',
  time: AT,
  acceptedtime: AT,
};
const event = { envelope, data: Buffer.from('{"amount":50}') };

const delivery = (more: Partial<DeliveryView>): DeliveryView => ({
  id: 'dlv_1',
  tenant: 'acme',
  event_id: 'e1',
  event_type: 'invoice.paid',
  subscription_id: 'sub_1',
  status: 'pending',
  round: 0,
  attempts: 0,
  created_at: AT,
  ...more,
});

type Change = readonly [type: string, data: object, actor?: string];

/** Changes of sub_1 at the positions 10, 20, …, a minute apart. */
const history = (...changes: readonly Change[]): readonly ConfigurationChange[] =>
  changes.map(([type, data, actor = 'key_owner'], i) => ({
    version: i + 1,
    position: 10 * (i + 1),
    type,
    data,
    actor,
    at: `2026-11-21T09:0${i}:00.000Z`,
  }));

const made = (more: object = {}): Change => [
  'SubscriptionCreated',
  { id: 'sub_1', tenant: 'acme', name: 'billing', event_types: ['invoice.*'], enabled: true, ...more },
];

const decided = (position: number, more: Partial<RoutingDecision> = {}): RoutingDecision => ({ position, near: [], nearMore: 0, ...more });
const near = (why: RoutingDecision['near'][number]['why']): Partial<RoutingDecision> => ({ near: [{ subscription: 'sub_1', why }] });

const explained = (given: Partial<Evidence>): Explanation => {
  const told = explain({ eventId: 'e1', subscriptionId: 'sub_1', history: history(made()), ...given });
  if (told === undefined) throw new Error('nothing is known of it');
  expect(explanation.parse(told)).toEqual(told);
  return told;
};

const reached = new Set<ExplanationResult>();

const told = (given: Partial<Evidence>): Explanation => {
  const answer = explained(given);
  reached.add(answer.result);
  return answer;
};

/** A sentence that has this in it, and the facts for programs. */
const as = (result: ExplanationResult, part: RegExp, facts: object = {}): object => ({
  result,
  summary: expect.stringMatching(new RegExp(`^(?=[A-Z]).*(?:${part.source}).*\\.$`, 's')),
  ...facts,
});

describe('an event that was routed to the subscription', () => {
  it('was delivered', () => {
    const view = delivery({ status: 'delivered', attempts: 2, last_status_code: 200, finished_at: AT });
    expect(told({ event, decision: decided(15), delivery: view })).toMatchObject(as('delivered', /2 attempts in all, status 200/, {
      delivery: view,
      position: 15,
      event: { type: 'invoice.paid', accepted_at: AT },
      subscription: { name: 'billing', version: 1, enabled: true, event_types: ['invoice.*'] },
    }));
  });

  it('failed, with the last error', () => {
    expect(told({ delivery: delivery({ status: 'failed', attempts: 1, last_error: 'bad_status', last_status_code: 500, finished_at: AT }) })).toMatchObject(as('failed', /after 1 attempt: bad_status, status 500/));
  });

  it('was cancelled by somebody', () => {
    const view = delivery({ status: 'cancelled', finished_at: AT, last_error: 'cancelled_by_user' });
    expect(told({ delivery: view, cancellation: { actor: 'key_ops', at: AT } })).toMatchObject(as('cancelled', /by key_ops/, { cancelled: { by: 'key_ops', at: AT } }));
  });

  it('was cancelled because the subscription could not have it any more', () => {
    const view = delivery({ status: 'cancelled', finished_at: AT, last_error: 'the subscription is disabled' });
    expect(told({ delivery: view })).toMatchObject(as('cancelled', /the subscription is disabled/, { cancelled: { reason: 'the subscription is disabled', at: AT } }));
  });

  it.each([
    ['retry', /Attempt 1 failed \(timeout\).*due at 2026-11-21T10:05/],
    ['rate_limit', /rate limit.*due at 2026-11-21T10:05/],
    ['breaker', /too many failed.*due at/],
    ['slow', /slower.*due at/],
  ] as const)('waits, and is told when it is due, for %s', (cause, summary) => {
    const waiting = { cause, since: AT, until: '2026-11-21T10:05:00.000Z' };
    expect(told({ delivery: delivery({ status: 'retrying', attempts: 1, last_error: 'timeout', waiting }) })).toMatchObject(as('waiting', summary, { waiting }));
  });

  it('waits behind the delivery that came before it under its key', () => {
    const waiting = { cause: 'ordered' as const, since: AT, behind: 'dlv_2' };
    expect(told({ delivery: delivery({ waiting }) })).toMatchObject(as('waiting', /waits for dlv_2/, { waiting }));
  });

  it('is under way', () => {
    expect(told({ delivery: delivery({}) })).toMatchObject(as('under_way', /handed to the sender;/));
    expect(told({ delivery: delivery({ round: 2 }) })).toMatchObject(as('under_way', /again, for round 2;/));
  });
});

describe('an event that did not go to the subscription', () => {
  it('is not routed yet', () => {
    expect(told({ event })).toMatchObject(as('not_routed', /not decided/));
    expect(told({ event, decision: decided(15) })).toMatchObject(as('not_routed', /has not been recorded yet/));
  });

  it('has a type that it did not ask for then, whatever it asks for now', () => {
    const changes = history(made({ event_types: ['order.*', 'invoice'] }), ['SubscriptionUpdated', { event_types: ['invoice.*'] }]);
    expect(told({ event, decision: decided(15), history: changes })).toMatchObject(as('type_mismatch', /invoice\.paid is none.*order\.\*, invoice/, {
      subscription: { version: 1, event_types: ['order.*', 'invoice'] },
    }));
    expect(told({ event, decision: decided(20), history: changes })).toMatchObject(as('not_routed', /matches/));
  });

  it('was filtered out, with what the filter saw, by the filter of that time', () => {
    const changes = history(made({ filter: 'data.amount > 1' }), ['SubscriptionUpdated', { filter: 'data.amount > 100' }], ['SubscriptionUpdated', { filter: null }]);
    const facts = {
      filter: {
        expression: 'data.amount > 100',
        saw: [{ expression: 'data.amount', value: 50 }],
      },
    };
    expect(told({ event, decision: decided(25, near('filter_false')), history: changes })).toMatchObject(as('filter_false', /was false/, facts));
    // The router names only so many: the others are judged again.
    expect(told({ event, decision: decided(25, { nearMore: 3 }), history: changes })).toMatchObject(as('filter_false', /was false/, facts));
    expect(told({ event, decision: decided(15), history: changes })).toMatchObject(as('not_routed', /matches/));
  });

  it('could not be judged', () => {
    const changes = history(made({ filter: 'data.total.net > 1' }));
    const facts = { filter: { expression: 'data.total.net > 1', reason: expect.stringContaining('total') } };
    expect(told({ event, decision: decided(10, near('filter_failed')), history: changes })).toMatchObject(as('filter_failed', /could not be evaluated.*total/, facts));
    expect(told({ event, decision: decided(10), history: changes })).toMatchObject(as('filter_failed', /could not be evaluated.*total/, facts));
  });

  it('came after filters that had used up its budget', () => {
    const changes = history(made({ filter: 'data.amount > 1' }));
    expect(told({ event, decision: decided(10, near('filter_budget')), history: changes })).toMatchObject(as('filter_budget', /used up/, { filter: { saw: [] } }));
    expect(told({ event, decision: decided(10, { nearMore: 1 }), history: changes })).toMatchObject(as('filter_budget', /used up/));
  });

  it('found it disabled, by whom and since when', () => {
    const changes = history(made(), ['SubscriptionDisabled', { reason: 'by_user' }, 'key_ops'], ['SubscriptionEnabled', {}]);
    const facts = { disabled: { reason: 'by_user', by: 'key_ops', since: '2026-11-21T09:01:00.000Z' }, subscription: { enabled: false, version: 2 } };
    expect(told({ event, decision: decided(25, near('disabled')), history: changes })).toMatchObject(as('disabled', /since .* by key_ops/, facts));
    expect(told({ event, decision: decided(25, { nearMore: 1 }), history: changes })).toMatchObject(as('disabled', /since .* by key_ops/, facts));
    expect(told({ event, decision: decided(30), history: changes })).toMatchObject(as('not_routed', /matches/));
  });

  it('found it disabled by what the router had read already, beyond the position that it states', () => {
    const changes = history(made(), ['SubscriptionDisabled', { reason: 'gone' }, 'subscription-registry']);
    expect(told({ event, decision: decided(15, near('disabled')), history: changes })).toMatchObject(as('disabled', /answered 410/, { disabled: { reason: 'gone' } }));
  });

  it('found it disabled from the start', () => {
    expect(told({ event, decision: decided(10), history: history(made({ enabled: false })) })).toMatchObject(as('disabled', /by key_owner/, { disabled: { reason: 'by_user' } }));
  });

  it('came before it was made', () => {
    expect(told({ event, decision: decided(9) })).toMatchObject(as('created_after', /created at 2026-11-21T09:00.* by key_owner/, { created: { by: 'key_owner' } }));
  });

  it('came after it was deleted', () => {
    const changes = history(made(), ['SubscriptionDeleted', {}, 'key_ops']);
    expect(told({ event, decision: decided(20), history: changes })).toMatchObject(as('deleted_before', /deleted .* by key_ops/, { deleted: { by: 'key_ops' } }));
  });
});

describe('an event that was not accepted', () => {
  const rejection: RejectedEventView = {
    id: 'rej_1',
    door: 'rest',
    rejected_at: AT,
    reason: { code: 'schema_violation', message: 'data does not fit the schema', errors: [{ path: 'data.amount', message: 'a number' }] },
    value_bytes: 1,
    truncated: false,
  };

  it('was refused', () => {
    expect(told({ rejection })).toMatchObject(as('rejected', /does not fit the schema/, { rejection: { id: 'rej_1', code: 'schema_violation' } }));
  });

  it('came again, when the first one is no more in the history', () => {
    const duplicates = { count: 3, first_at: AT, last_at: AT };
    expect(told({ duplicates })).toMatchObject(as('deduplicated', /3 more times/, { duplicates }));
  });

  it('is unknown', () => {
    expect(explain({ eventId: 'e1', subscriptionId: 'sub_1', history: history(made()) })).toBeUndefined();
  });

  it('counts for nothing once one with its id was accepted; that it came again is told beside', () => {
    const duplicates = { count: 1, first_at: AT, last_at: AT };
    expect(told({ event, rejection, duplicates, decision: decided(9) })).toMatchObject(as('created_after', /created/, { duplicates }));
  });
});

it('tells each result there is', () => {
  expect([...reached].toSorted()).toEqual(explanationResult.options.toSorted());
});

describe('the state of a subscription at a position', () => {
  it('is the one of the changes up to it, whatever else was changed', () => {
    const changes = history(made(), ['SubscriptionSecretRotated', {}], ['SubscriptionUpdated', { name: 'other' }], ['SomethingOfLater', {}]);
    expect(standingAt(changes, 9)).toEqual({ kind: 'absent' });
    expect(standingAt(changes, 29)).toMatchObject({ kind: 'there', version: 2, state: { name: 'billing' } });
    expect(standingAt(changes, 99)).toMatchObject({ kind: 'there', version: 4, state: { name: 'other' } });
    expect([tenantOf(changes), tenantOf([])]).toEqual(['acme', undefined]);
  });
});
