import type { DeliveryView, Duplicates, Envelope, Explanation, NearMatchReason, RejectedEventView, Waiting } from '@posthorn/contracts';
import { EventInput, explainFilter, matchesPattern, parsePattern, type EvaluatedPart } from '@posthorn/domain';
import { creationIn, disabledAt, standingAt, type ConfigurationChange, type Standing } from './configuration.js';

/** What the router stated about an event. */
export type RoutingDecision = {
  readonly position: number;
  readonly near: readonly { readonly subscription: string; readonly why: NearMatchReason }[];
  /** Near matches that it did not name. */
  readonly nearMore: number;
};

/** All that is known of an event and a subscription; what is absent has not been recorded, or not yet. */
export type Evidence = {
  readonly eventId: string;
  readonly subscriptionId: string;
  readonly event?: { readonly envelope: Envelope; readonly data: Buffer } | undefined;
  readonly decision?: RoutingDecision | undefined;
  readonly delivery?: DeliveryView | undefined;
  /** Who asked that its latest round be made no more. */
  readonly cancellation?: { readonly actor: string; readonly at: string } | undefined;
  /** Of the subscription, oldest first. */
  readonly history: readonly ConfigurationChange[];
  readonly rejection?: RejectedEventView | undefined;
  readonly duplicates?: Duplicates | undefined;
};

/** The members of an explanation that say why. */
type Why = Omit<Explanation, 'event_id' | 'subscription_id' | 'event' | 'position' | 'subscription' | 'delivery' | 'duplicates'>;

const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;

/** Why an event did, or did not, reach a subscription. Undefined when nothing is known of the event. */
export const explain = (evidence: Evidence): Explanation | undefined => {
  const { eventId, subscriptionId, event, decision, delivery, history, duplicates } = evidence;
  const why = whyOf(evidence);
  if (why === undefined) return undefined;
  const standing = decision && standingAt(history, decision.position);
  return {
    event_id: eventId,
    subscription_id: subscriptionId,
    ...why,
    ...(event && { event: { type: event.envelope.type, accepted_at: event.envelope.acceptedtime } }),
    ...(decision && { position: decision.position }),
    ...(standing?.kind === 'there' && { subscription: subscriptionAsItWas(standing) }),
    ...(delivery && { delivery }),
    ...(duplicates && { duplicates }),
  };
};

const subscriptionAsItWas = ({ version, state }: Extract<Standing, { kind: 'there' }>): NonNullable<Explanation['subscription']> => {
  const { name, enabled, event_types, filter } = state;
  return { name, version, enabled, event_types, ...(filter !== undefined && { filter }) };
};

const whyOf = (evidence: Evidence): Why | undefined => {
  const { delivery, event, decision, rejection, duplicates } = evidence;
  if (delivery) return ofDelivery(delivery, evidence);
  if (event) return decision ? ofNoDelivery(event, decision, evidence) : notRouted('The event is accepted, and the router has not decided about it yet.');
  if (rejection) return ofRejection(rejection);
  return duplicates && ofDuplicates(duplicates);
};

const ofDelivery = (delivery: DeliveryView, { cancellation }: Evidence): Why => {
  const { status, attempts, last_status_code, last_error, finished_at, round, waiting } = delivery;
  const answered = last_status_code === undefined ? '' : `, status ${last_status_code}`;
  switch (status) {
    case 'delivered':
      return { result: 'delivered', summary: `Delivered at ${finished_at}, with ${counted(attempts, 'attempt')} in all${answered}.` };
    case 'failed':
      return { result: 'failed', summary: `Given up at ${finished_at} after ${counted(attempts, 'attempt')}: ${last_error ?? 'no reason is known'}${answered}.` };
    case 'cancelled':
      return ofCancelled(delivery, cancellation);
    default:
      if (waiting) return { result: 'waiting', summary: summaryOfWaiting(delivery, waiting), waiting };
      return { result: 'under_way', summary: `It was handed to the sender${round === 0 ? '' : ` again, for round ${round}`}; no outcome is known yet.` };
  }
};

const ofCancelled = ({ last_error, finished_at, created_at }: DeliveryView, cancellation: Evidence['cancellation']): Why => {
  const at = cancellation?.at ?? finished_at ?? created_at;
  if (cancellation) return { result: 'cancelled', summary: `Cancelled at ${at} by ${cancellation.actor}.`, cancelled: { at, by: cancellation.actor } };
  const reason = last_error ?? 'no reason is known';
  return { result: 'cancelled', summary: `Cancelled at ${at}: ${reason}.`, cancelled: { at, reason } };
};

const summaryOfWaiting = ({ attempts, last_error }: DeliveryView, { cause, until, behind }: Waiting): string => {
  const due = until === undefined ? '' : `; the next attempt is due at ${until}`;
  switch (cause) {
    case 'retry':
      return `Attempt ${attempts} failed${last_error === undefined ? '' : ` (${last_error})`}, and the retry waits for its time${due}.`;
    case 'rate_limit':
      return `It waits for the rate limit of the subscription${due}.`;
    case 'breaker':
      return `Requests to the subscriber are held back because too many failed${due}.`;
    case 'slow':
      return `It waits because the subscriber answers slower than events come${due}.`;
    case 'ordered':
      return `It waits for ${behind ?? 'the delivery'}${behind === undefined ? '' : ', which came'} before it under the same key${due}.`;
  }
};

const notRouted = (summary: string): Why => ({ result: 'not_routed', summary });

type AcceptedEvent = NonNullable<Evidence['event']>;

/** The router has decided, and this subscription did not match. What it stated goes before what can be concluded from the registry. */
const ofNoDelivery = (event: AcceptedEvent, decision: RoutingDecision, { subscriptionId, history }: Evidence): Why => {
  const standing = standingAt(history, decision.position);
  const stated = decision.near.find(({ subscription }) => subscription === subscriptionId)?.why;
  if (stated === 'disabled') return ofDisabled(history, decision.position);
  if (stated !== undefined) return ofFilter(stated, event, standing);
  switch (standing.kind) {
    case 'absent':
      return ofAbsent(history);
    case 'deleted': {
      const { by, at } = standing.deleted;
      return { result: 'deleted_before', summary: `The subscription was deleted at ${at} by ${by}, before the event was routed.`, deleted: { by, at } };
    }
    case 'there':
      return ofStanding(event, decision, standing, history);
  }
};

const ofAbsent = (history: readonly ConfigurationChange[]): Why => {
  const created = creationIn(history);
  if (created === undefined) return notRouted('Nothing is known of the subscription at that time.');
  return { result: 'created_after', summary: `The subscription was created at ${created.at} by ${created.by}, after the event had been routed.`, created };
};

const ofStanding = (
  event: AcceptedEvent,
  { position, nearMore }: RoutingDecision,
  standing: Extract<Standing, { kind: 'there' }>,
  history: readonly ConfigurationChange[],
): Why => {
  const { type } = event.envelope;
  const { event_types, enabled, filter } = standing.state;
  if (!event_types.some((pattern) => matchesPattern(parsePattern(pattern), type))) {
    return { result: 'type_mismatch', summary: `The type ${type} is none of those that the subscription asked for: ${event_types.join(', ')}.` };
  }
  if (!enabled) return ofDisabled(history, position);
  const judged = filter === undefined ? undefined : judgedBy(filter, event);
  if (judged !== undefined && judged.result !== 'passes') return ofFilter(judged.result, event, standing);
  // By itself it passes: only the budget that all filters of an event share can have kept it out, and then it is among those not named.
  if (judged !== undefined && nearMore > 0) return ofFilter('filter_budget', event, standing);
  return notRouted('The subscription matches the event; its delivery has not been recorded yet.');
};

const ofDisabled = (history: readonly ConfigurationChange[], position: number): Why => {
  const disabled = disabledAt(history, position);
  if (disabled === undefined) return { result: 'disabled', summary: 'The subscription was disabled.' };
  const { reason, by, since } = disabled;
  const how = { by_user: `by ${by}`, gone: `because its receiver had answered 410 (${by})`, failing: `because it had failed for too long (${by})` }[reason];
  return { result: 'disabled', summary: `The subscription was disabled, since ${since}, ${how}.`, disabled };
};

type Judged =
  | { readonly result: 'passes' }
  | { readonly result: 'filter_false' | 'filter_failed'; readonly reason?: string; readonly saw: readonly EvaluatedPart[]; readonly more: number };

const judgedBy = (filter: string, { envelope, data }: AcceptedEvent): Judged => {
  const explained = explainFilter(filter, new EventInput(envelope, data));
  if (explained.kind === 'refused') return { result: 'filter_failed', reason: explained.message, saw: [], more: 0 };
  const { verdict, parts: saw, more } = explained;
  if (verdict.matches) return { result: 'passes' };
  return verdict.reason === undefined ? { result: 'filter_false', saw, more } : { result: 'filter_failed', reason: verdict.reason, saw, more };
};

/** What it came to by the router's word, and how by evaluating it again: the same filter on the same event. */
const ofFilter = (result: 'filter_false' | 'filter_failed' | 'filter_budget', event: AcceptedEvent, standing: Standing): Why => {
  const expression = standing.kind === 'there' ? standing.state.filter : undefined;
  if (expression === undefined) return { result, summary: FILTER_SUMMARY[result] };
  const judged = judgedBy(expression, event);
  const { reason, saw, more } = judged.result === 'passes' || result === 'filter_budget' ? NOTHING_SEEN : { reason: undefined, ...judged };
  return {
    result,
    summary: reason === undefined ? FILTER_SUMMARY[result] : `${FILTER_SUMMARY[result].slice(0, -1)}: ${reason}.`,
    filter: { expression, ...(reason !== undefined && { reason }), saw, ...(more > 0 && { more }) },
  };
};

const NOTHING_SEEN = { reason: undefined, saw: [], more: 0 } as const;

const FILTER_SUMMARY = {
  filter_false: 'The filter was false for this event.',
  filter_failed: 'The filter could not be evaluated for this event, and counts as false.',
  filter_budget: 'The filters before it had used up what one event may cost, so that it was not evaluated and counts as false.',
} as const;

const ofRejection = ({ id, rejected_at, reason }: RejectedEventView): Why => ({
  result: 'rejected',
  summary: `The event was refused at ${rejected_at}: ${reason.message}.`,
  rejection: { id, rejected_at, ...reason },
});

const ofDuplicates = ({ count, last_at }: Duplicates): Why => ({
  result: 'deduplicated',
  summary: `An event with this id had been accepted before; it came ${counted(count, 'more time')}, last at ${last_at}, and was acknowledged without being delivered again.`,
});
