import {
  deliveryId,
  frame,
  type AskedRound,
  type Cancellation,
  type Envelope,
  type NearMatchReason,
  type Outcome,
  type Postponement,
  type Rejection,
  type Routed,
  type TopicName,
} from '@posthorn/contracts';
import * as fc from 'fast-check';

/** What the services state, one by one, before it is packed into records. */
export type Fact =
  | { readonly kind: 'accepted'; readonly envelope: Envelope; readonly data: string }
  | { readonly kind: 'routed'; readonly routed: Routed }
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'postponement'; readonly postponement: Postponement }
  | { readonly kind: 'round'; readonly round: AskedRound }
  | { readonly kind: 'cancellation'; readonly cancellation: Cancellation }
  | { readonly kind: 'rejection'; readonly rejection: Rejection };

/** Its value as text, which a failing property can show. */
export type HistoryRecord = { readonly topic: TopicName; readonly text: string };

/** Facts as they might have come about, and the records that tell them, in the order in which they were written. */
export type History = { readonly facts: readonly Fact[]; readonly records: readonly HistoryRecord[] };

type Ending = 'delivered' | 'failed' | 'cancelled' | 'under way';

/** One attempt of a round, all but the last of which are retried. */
type AttemptPlan = {
  readonly putOff: readonly Postponement['cause'][];
  /** The process died after the request, which was made again, with this result. */
  readonly repeated: 'delivered' | 'failed' | 'retrying' | undefined;
};

type RoundPlan = {
  readonly attempts: readonly AttemptPlan[];
  readonly ending: Ending;
  /** Called off before this attempt, which, and whatever follows, was under way for all that. */
  readonly calledOffBefore: number | undefined;
  /** Asked for twice: by a request whose answer was lost. */
  readonly askedTwice: boolean;
};

type DeliveryPlan = { readonly rounds: readonly RoundPlan[] };

type EventPlan = {
  readonly tenant: string;
  readonly type: string;
  readonly subject: string | undefined;
  /** After the beginning of the history. */
  readonly acceptedAfterMs: number;
  readonly deliveries: readonly DeliveryPlan[];
  readonly near: readonly NearMatchReason[];
  /** Each subscription's part of the decision in a record of its own. */
  readonly inParts: boolean;
  /** Its producer sent it again with other content, and both were accepted, so much later; and decided about by a registry further on. */
  readonly againAfterMs: number | undefined;
  /** How often the same refused record was judged. */
  readonly refusals: number;
};

export type HistoryOptions = {
  /** Of the first acceptances, RFC 3339 in UTC. */
  readonly from: string;
  readonly spanMs: number;
  readonly events: number;
  /** What ids begin with, when there is more than one history. */
  readonly name?: string;
};

const attemptPlan: fc.Arbitrary<AttemptPlan> = fc.record({
  putOff: fc.array(fc.constantFrom('rate_limit' as const, 'breaker' as const, 'slow' as const, 'ordered' as const), { maxLength: 2 }),
  repeated: fc.option(fc.constantFrom('delivered' as const, 'failed' as const, 'retrying' as const), { nil: undefined, freq: 3 }),
});

const roundPlan: fc.Arbitrary<RoundPlan> = fc.record({
  attempts: fc.array(attemptPlan, { minLength: 1, maxLength: 3 }),
  ending: fc.constantFrom<Ending>('delivered', 'delivered', 'failed', 'cancelled', 'under way'),
  calledOffBefore: fc.option(fc.nat(3), { nil: undefined, freq: 3 }),
  askedTwice: fc.boolean(),
});

const deliveryPlan: fc.Arbitrary<DeliveryPlan> = fc.record({ rounds: fc.array(roundPlan, { maxLength: 3 }) });

const eventPlan = (spanMs: number): fc.Arbitrary<EventPlan> =>
  fc.record({
    tenant: fc.constantFrom('default', 'acme'),
    type: fc.constantFrom('invoice.paid', 'order.placed'),
    subject: fc.option(fc.constantFrom('c/1', 'c/2'), { nil: undefined }),
    acceptedAfterMs: fc.nat(spanMs),
    deliveries: fc.array(deliveryPlan, { maxLength: 3 }),
    near: fc.array(fc.constantFrom<NearMatchReason>('filter_false', 'filter_failed', 'filter_budget', 'disabled'), { maxLength: 2 }),
    inParts: fc.boolean(),
    againAfterMs: fc.option(fc.integer({ min: 1, max: spanMs }), { nil: undefined, freq: 4 }),
    refusals: fc.nat(2),
  });

/** A clock that no two facts read alike, as no two of one delivery do. */
class Clock {
  #ms: number;

  constructor(from: string) {
    this.#ms = Date.parse(from);
  }

  next(stepMs = 7): string {
    return new Date((this.#ms += stepMs)).toISOString();
  }
}

type Origin = Pick<Outcome, 'delivery_id' | 'tenant' | 'event_id' | 'event_type' | 'subject' | 'accepted_at' | 'subscription_id'>;

const originOf = ({ tenant, id, type, subject, acceptedtime }: Envelope, subscription_id: string): Origin => ({
  delivery_id: deliveryId(tenant, id, subscription_id),
  tenant,
  event_id: id,
  event_type: type,
  subject,
  accepted_at: acceptedtime,
  subscription_id,
});

const STATUS_CODES: Readonly<Record<Outcome['status'], number>> = { delivered: 200, retrying: 503, failed: 500, cancelled: 0 };

const outcomeOf = (origin: Origin, place: Pick<Outcome, 'round' | 'number'>, status: Outcome['status'], clock: Clock): Outcome => {
  const started_at = clock.next();
  const at = clock.next();
  const rest = { ...origin, ...place, trigger: place.round > 0 ? ('redeliver' as const) : ('first' as const), status, at, subscription_version: 1 + place.round };
  if (status === 'cancelled') return { ...rest, reason: 'the subscription is disabled' };
  const isBad = status !== 'delivered';
  return {
    ...rest,
    ...(status === 'retrying' && { next_attempt_at: clock.next(5_000) }),
    attempt: {
      started_at,
      duration_ms: 4.25,
      request: { url: 'https://example.com/in', headers: { 'webhook-id': origin.event_id } },
      response: { status: STATUS_CODES[status], headers: { server: 'x' }, body: at, truncated: false },
      ...(isBad && { error: { code: 'bad_status' as const, message: at } }),
    },
  };
};

const statusOf = (number: number, { attempts, ending }: RoundPlan): Outcome['status'] =>
  number < attempts.length || ending === 'under way' ? 'retrying' : ending;

const factsOfAttempt = function* (origin: Origin, place: Pick<Outcome, 'round' | 'number'>, plan: AttemptPlan, status: Outcome['status'], clock: Clock): Generator<Fact> {
  for (const cause of plan.putOff) {
    const rest = cause === 'ordered' ? { behind: deliveryId(origin.tenant, 'before', origin.subscription_id) } : { until: clock.next() };
    yield { kind: 'postponement', postponement: { ...origin, ...place, at: clock.next(), cause, ...rest } };
  }
  yield { kind: 'outcome', outcome: outcomeOf(origin, place, status, clock) };
  if (plan.repeated !== undefined) yield { kind: 'outcome', outcome: outcomeOf(origin, place, plan.repeated, clock) };
};

const factsOfRound = function* (origin: Origin, round: number, plan: RoundPlan, clock: Clock): Generator<Fact> {
  const asked = { ...origin, round, trigger: 'redeliver' as const, actor: `key_${round}` };
  if (round > 0) yield { kind: 'round', round: { ...asked, at: clock.next() } };
  if (round > 0 && plan.askedTwice) yield { kind: 'round', round: { ...asked, at: clock.next(), forced: true } };
  for (const [index, attempt] of plan.attempts.entries()) {
    if (plan.calledOffBefore === index) yield { kind: 'cancellation', cancellation: { ...origin, round, at: clock.next(), actor: 'key_1' } };
    yield* factsOfAttempt(origin, { round, number: index + 1 }, attempt, statusOf(index + 1, plan), clock);
  }
};

/** One acceptance of an event and what follows from it. */
const factsOfAcceptance = function* (envelope: Envelope, plan: EventPlan, position: number, clock: Clock): Generator<Fact> {
  yield { kind: 'accepted', envelope, data: JSON.stringify({ position }) };
  const subscriptions = plan.deliveries.map((_, index) => `sub_${index}`);
  const decision = { event_id: envelope.id, tenant: envelope.tenant, event_type: envelope.type, subject: envelope.subject, accepted_at: envelope.acceptedtime, position };
  const near = plan.near.length > 0 ? { near: plan.near.map((why, index) => ({ subscription: `near_${index}`, why })), near_more: position } : {};
  const parts = plan.inParts && subscriptions.length > 1 ? subscriptions.map((subscription) => [subscription]) : [subscriptions];
  for (const [index, part] of parts.entries()) {
    const place = parts.length > 1 ? { part: { number: index + 1, of: parts.length } } : {};
    yield { kind: 'routed', routed: { ...decision, subscriptions: part, ...place, ...(index === 0 && near) } };
  }
  for (const [index, { rounds }] of plan.deliveries.entries()) {
    const origin = originOf(envelope, `sub_${index}`);
    for (const [round, roundPlan] of rounds.entries()) yield* factsOfRound(origin, round, roundPlan, clock);
  }
};

const factsOfEvent = function* (plan: EventPlan, index: number, { from, name = '' }: HistoryOptions): Generator<Fact> {
  const acceptedtime = new Clock(from).next(plan.acceptedAfterMs);
  const clock = new Clock(acceptedtime);
  const { tenant, type, subject } = plan;
  const envelope: Envelope = { specversion: '1.0', id: `${name}e${index}`, tenant, type, source: '/billing', time: acceptedtime, acceptedtime, ...(subject !== undefined && { subject }) };
  yield* factsOfAcceptance(envelope, plan, 2 * index + 1, clock);
  if (plan.againAfterMs !== undefined) {
    const again = new Clock(acceptedtime).next(plan.againAfterMs);
    // Its attempts repeat those of the first, under the same numbers: the sender knows nothing of what was accepted before.
    yield* factsOfAcceptance({ ...envelope, type: `${type}.again`, time: again, acceptedtime: again }, plan, 2 * index + 2, new Clock(clock.next()));
  }
  for (let judged = 0; judged < plan.refusals; judged += 1) {
    const rejected_at = clock.next(judged * 10_000);
    const reason = { code: 'invalid' as const, message: `judgement ${judged}`, path: 'type' };
    yield { kind: 'rejection', rejection: { rejection_id: `rej_${name}${index}`, reason, door: 'kafka', tenant, rejected_at, headers: {}, value: '{}', truncated: false } };
  }
};

const recordOf = (fact: Exclude<Fact, { kind: 'outcome' | 'postponement' }>): HistoryRecord => {
  switch (fact.kind) {
    case 'accepted':
      return { topic: 'events.accepted', text: frame(fact.envelope, Buffer.from(fact.data)).toString() };
    case 'routed':
      return { topic: 'deliveries.routed', text: JSON.stringify(fact.routed) };
    case 'round':
      return { topic: 'deliveries.rounds', text: JSON.stringify({ rounds: [fact.round] }) };
    case 'cancellation':
      return { topic: 'deliveries.cancelled', text: JSON.stringify({ cancellations: [fact.cancellation] }) };
    case 'rejection':
      return { topic: 'events.rejected', text: JSON.stringify(fact.rejection) };
  }
};

/** What a sender states of attempts comes in packs. */
const recordsOf = (facts: readonly Fact[], perPack: number): readonly HistoryRecord[] => {
  const outcomes = facts.flatMap((fact) => (fact.kind === 'outcome' ? [fact.outcome] : []));
  const postponed = facts.flatMap((fact) => (fact.kind === 'postponement' ? [fact.postponement] : []));
  const packs = Array.from({ length: Math.ceil(Math.max(outcomes.length, postponed.length) / perPack) }, (_, pack) => {
    const inPack = <T>(all: readonly T[]): readonly T[] => all.slice(pack * perPack, (pack + 1) * perPack);
    const late = inPack(postponed);
    return { topic: 'deliveries.attempted' as const, text: JSON.stringify({ outcomes: inPack(outcomes), ...(late.length > 0 && { postponed: late }) }) };
  });
  return [...facts.flatMap((fact) => (fact.kind === 'outcome' || fact.kind === 'postponement' ? [] : [recordOf(fact)])), ...packs];
};

/**
 * Histories that could have been: attempts numbered without gaps, some repeated by a crash; rounds one after the other, some called off while they
 * are under way; events accepted twice, decisions in parts, refusals judged again.
 */
export const histories = (options: HistoryOptions): fc.Arbitrary<History> =>
  fc
    .tuple(fc.array(eventPlan(options.spanMs), { minLength: 1, maxLength: options.events }), fc.integer({ min: 1, max: 5 }))
    .map(([plans, perPack]) => {
      const facts = plans.flatMap((plan, index) => [...factsOfEvent(plan, index, options)]);
      return { facts, records: recordsOf(facts, perPack) };
    });

/** In what batches the records of a history are read: every one at least once, in any order, some again. */
export const readings = ({ records }: History): fc.Arbitrary<readonly (readonly HistoryRecord[])[]> =>
  fc
    .tuple(
      fc.shuffledSubarray([...records], { minLength: records.length }),
      fc.array(fc.nat(Math.max(0, records.length - 1)), { maxLength: records.length }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 }),
    )
    .map(([order, repeated, sizes]) => {
      const left = [...order];
      for (const [place, index] of repeated.entries()) left.splice((place * 31) % left.length, 0, ...order.slice(index, index + 1));
      const batches: HistoryRecord[][] = [];
      for (let batch = 0; left.length > 0; batch += 1) batches.push(left.splice(0, sizes[batch % sizes.length] ?? 1));
      return batches;
    });
