import { deliveryId, type Attempt, type DeliveryStatus, type Outcome } from '@posthorn/contracts';
import type { Fact } from './histories.js';

/**
 * What the tables are to say of a set of facts, told as the rules are told to a person and by nothing of what they are built with: all that is
 * known of a key, sorted, and the last of it taken. A row by its key; only columns that could come out wrongly.
 */
export type Tables = {
  readonly [Table in 'events' | 'decisions' | 'deliveries' | 'attempts' | 'rounds' | 'cancellations' | 'rejected_events']: ReadonlyMap<string, object>;
};

type Sortable = string | number | null | undefined;

/** Weakest to strongest. */
const STATUSES: readonly DeliveryStatus[] = ['pending', 'retrying', 'cancelled', 'failed', 'delivered'];

const compare = (a: Sortable, b: Sortable): number => {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  const [left, right] = [String(a ?? ''), String(b ?? '')];
  return left < right ? -1 : left > right ? 1 : 0;
};

const sortedBy = <T>(items: readonly T[], rank: (item: T) => readonly Sortable[]): readonly T[] =>
  items.toSorted((a, b) => {
    const [left, right] = [rank(a), rank(b)];
    return left.map((value, index) => compare(value, right[index])).find((difference) => difference !== 0) ?? 0;
  });

const dayOf = (at: string): string => at.slice(0, 10);

/** Groups what facts say, and makes each group a row. */
const table = <T>(items: readonly T[], key: (item: T) => string, row: (known: readonly T[]) => object): ReadonlyMap<string, object> =>
  new Map([...Map.groupBy(items, key)].map(([name, known]) => [name, row(known)]));

const first = <T>(items: readonly T[]): T => last(items.toReversed());
const last = <T>(items: readonly T[]): T => {
  const item = items.at(-1);
  if (item === undefined) throw new RangeError('a group has at least one');
  return item;
};

type Standing = Pick<Outcome, 'round' | 'number'> & {
  readonly status: DeliveryStatus;
  readonly at: string;
  readonly next?: string | undefined;
  readonly error?: string | undefined;
  readonly code?: number | undefined;
};

type Waiting = { readonly round: number; readonly number: number; readonly since: string; readonly until: string | null; readonly cause: string; readonly behind: string | null };

/** One thing said of a delivery: of which event it is always, the rest as far as it says so. */
type Said = {
  readonly id: string;
  readonly acceptedAt: string;
  readonly type: string;
  readonly subject: string | null;
  readonly standing: Standing;
  readonly waiting?: Waiting;
  readonly attempt?: { readonly place: string; readonly attempt: Attempt };
};

type Origin = Pick<Outcome, 'delivery_id' | 'accepted_at' | 'event_type' | 'subject'>;
const originOf = ({ delivery_id, accepted_at, event_type, subject = undefined }: Origin) => ({
  id: delivery_id,
  acceptedAt: accepted_at,
  type: event_type,
  subject: subject ?? null,
});

const saidOf = (fact: Fact): readonly Said[] => {
  switch (fact.kind) {
    case 'accepted':
    case 'rejection':
      return [];
    case 'routed': {
      const { tenant, event_id, subscriptions, accepted_at: at } = fact.routed;
      return subscriptions.map((subscription) => ({
        ...originOf({ ...fact.routed, delivery_id: deliveryId(tenant, event_id, subscription) }),
        standing: { round: 0, number: 0, status: 'pending', at },
      }));
    }
    case 'outcome': {
      const { round, number, status, at, next_attempt_at: next, reason, attempt } = fact.outcome;
      const standing = { round, number, status, at, next, error: attempt?.error?.code ?? reason, code: attempt?.response?.status };
      return [{ ...originOf(fact.outcome), standing, ...(attempt && { attempt: { place: `${round} ${number}`, attempt } }) }];
    }
    case 'postponement': {
      const { round, number, at, until = null, cause, behind = null, accepted_at } = fact.postponement;
      const standing = { round: 0, number: 0, status: 'pending', at: accepted_at } as const;
      return [{ ...originOf(fact.postponement), standing, waiting: { round, number, since: at, until, cause, behind } }];
    }
    case 'round':
      return [{ ...originOf(fact.round), standing: { round: fact.round.round, number: 0, status: 'pending', at: fact.round.at } }];
    case 'cancellation': {
      const { round, at } = fact.cancellation;
      return [{ ...originOf(fact.cancellation), standing: { round, number: 0, status: 'cancelled', at, error: 'cancelled_by_user' } }];
    }
  }
};

const deliveryOf = (said: readonly Said[]): object => {
  const origin = first(sortedBy(said, ({ acceptedAt }) => [acceptedAt]));
  const { standing } = last(sortedBy(said, ({ standing: { round, status, number, at } }) => [round, STATUSES.indexOf(status), number, at]));
  const waiting = sortedBy(
    said.flatMap((one) => (one.waiting ? [one.waiting] : [])),
    ({ round, number, since }) => [round, number, since],
  ).at(-1);
  const { round, number, status, at, next = null, error = null, code = null } = standing;
  return {
    event_type: origin.type,
    subject: origin.subject,
    created_at: origin.acceptedAt,
    round,
    number,
    status,
    updated_at: at,
    next_attempt_at: next,
    last_error: error,
    last_status_code: code,
    finished_at: status === 'pending' || status === 'retrying' ? null : at,
    waiting: waiting ?? null,
    attempts: new Set(said.flatMap(({ attempt }) => (attempt ? [attempt.place] : []))).size,
  };
};

type Of<Kind extends Fact['kind']> = Extract<Fact, { kind: Kind }>;

export const tablesOf = (facts: readonly Fact[]): Tables => {
  const of = <Kind extends Fact['kind']>(kind: Kind): readonly Of<Kind>[] => facts.filter((fact): fact is Of<Kind> => fact.kind === kind);
  const firstParts = of('routed').filter(({ routed: { part } }) => part === undefined || part.number === 1);
  const attempts = of('outcome').flatMap(({ outcome }) => (outcome.attempt ? [{ outcome, attempt: outcome.attempt }] : []));
  return {
    events: table(
      of('accepted'),
      ({ envelope: { acceptedtime, tenant, id } }) => `${dayOf(acceptedtime)} ${tenant} ${id}`,
      (known) => {
        const { envelope, data } = first(sortedBy(known, (one) => [one.envelope.acceptedtime]));
        return { type: envelope.type, accepted_at: envelope.acceptedtime, data };
      },
    ),
    decisions: table(
      firstParts,
      ({ routed: { accepted_at, tenant, event_id } }) => `${dayOf(accepted_at)} ${tenant} ${event_id}`,
      (known) => {
        const { position, near, near_more = 0 } = last(sortedBy(known, ({ routed }) => [routed.position])).routed;
        return { position, near: near === undefined ? null : JSON.stringify(near), near_more };
      },
    ),
    deliveries: table(facts.flatMap(saidOf), ({ acceptedAt, id }) => `${dayOf(acceptedAt)} ${id}`, deliveryOf),
    attempts: table(
      attempts,
      ({ outcome: { accepted_at, delivery_id, round, number } }) => `${dayOf(accepted_at)} ${delivery_id} ${round} ${number}`,
      (known) => {
        const { outcome, attempt } = last(sortedBy(known, (one) => [STATUSES.indexOf(one.outcome.status), one.attempt.started_at]));
        const { status, trigger, subscription_version } = outcome;
        return { status, trigger, subscription_version, started_at: attempt.started_at, body: attempt.response?.body };
      },
    ),
    rounds: table(
      of('round'),
      ({ round: { accepted_at, delivery_id, round } }) => `${dayOf(accepted_at)} ${delivery_id} ${round}`,
      (known) => {
        const { at, actor, trigger, forced = false } = first(sortedBy(known, (one) => [one.round.at])).round;
        return { at, actor, trigger, forced };
      },
    ),
    cancellations: table(
      of('cancellation'),
      ({ cancellation: { accepted_at, delivery_id, round } }) => `${dayOf(accepted_at)} ${delivery_id} ${round}`,
      (known) => {
        const { at, actor } = first(sortedBy(known, (one) => [one.cancellation.at])).cancellation;
        return { at, actor };
      },
    ),
    rejected_events: table(
      of('rejection'),
      ({ rejection: { rejected_at, rejection_id } }) => `${dayOf(rejected_at)} ${rejection_id}`,
      (known) => {
        const { rejected_at, reason } = first(sortedBy(known, (one) => [one.rejection.rejected_at])).rejection;
        return { rejected_at, message: reason.message };
      },
    ),
  };
};
