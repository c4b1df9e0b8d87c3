import {
  deliveryId,
  isSampled,
  subscriptionLimits,
  TENANT_ID,
  type AskedRound,
  type Attempted,
  type Cancellation,
  type Cancelled,
  type Duplicated,
  type Envelope,
  type Outcome,
  type Postponement,
  type Rejection,
  type Rounds,
  type Routed,
  unframe,
  validTraceparent,
} from '@posthorn/contracts';
import { storedDeliveryId } from '../delivery-id.js';
import { packExchange } from '../exchange.js';
import { noRows, type AttemptRow, type DecisionRow, type DeliveryRow, type DeliveryStanding, type DeliveryWaiting, type RecordRows, type Refused, type Rows, type Traced } from './rows.js';

/** Of the years 1 to 9998: PostgreSQL has no year 0, and the day after must have a name too, where a partition ends. */
const UTC_MILLISECONDS = /^(?!0000|9999)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z$/;

/** @throws {RangeError} when it is no time, or none of those years */
const utc = (time: string): string => {
  if (UTC_MILLISECONDS.test(time)) return time;
  const read = new Date(time).toISOString();
  if (!UTC_MILLISECONDS.test(read)) throw new RangeError(`no record is of the time ${read}`);
  return read;
};

const utcOrNull = (time: string | undefined): string | null => (time === undefined ? null : utc(time));

const DAY_LENGTH = 'yyyy-mm-dd'.length;
/** Most rows are of one day. All of them share one text, which is compared, and looked up by, in no time. */
let lastDay = '';

/** The partition: the UTC day of an event's acceptance, or of its refusal. */
export const dayOf = (utcTime: string): string => {
  if (lastDay === '' || !utcTime.startsWith(lastDay)) lastDay = utcTime.slice(0, DAY_LENGTH);
  return lastDay;
};

const jsonOrNull = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));

/** Of facts those whose trace is recorded; nothing, as a rule. What is no traceparent is none: others can write to these topics. */
const tracedOf = (facts: readonly (Omit<Traced, 'traceparent'> & { readonly traceparent?: string | undefined })[]): Pick<RecordRows, 'traced'> => {
  const traced: Traced[] = [];
  for (const { traceparent: given, tenant, event_id, delivery_id } of facts) {
    // Most are not recorded, and say so in one digit.
    const traceparent = typeof given === 'string' && isSampled(given) ? validTraceparent(given) : undefined;
    if (traceparent !== undefined) traced.push({ traceparent, tenant, event_id, ...(delivery_id !== undefined && { delivery_id }) });
  }
  return traced.length === 0 ? {} : { traced };
};

/**
 * `events.accepted` → the event's row.
 * @throws {SyntaxError | TypeError | RangeError} when it is no such record; so do those below
 */
export const rowsOfAccepted = (value: Buffer): RecordRows => {
  const { head, data } = unframe<Envelope>(value);
  const acceptedAt = utc(head.acceptedtime);
  return {
    ...noRows,
    ...tracedOf([{ traceparent: head.traceparent, tenant: head.tenant, event_id: head.id }]),
    events: [
      {
        day: dayOf(acceptedAt),
        tenant: head.tenant,
        id: head.id,
        type: head.type,
        source: head.source,
        subject: head.subject ?? null,
        time: head.time,
        accepted_at: acceptedAt,
        key: head.partitionkey ?? null,
        content_type: head.datacontenttype ?? null,
        traceparent: head.traceparent ?? null,
        headers: jsonOrNull(head.headers),
        context: jsonOrNull(head.context),
        extensions: jsonOrNull(head.extensions),
        data,
      },
    ],
  };
};

/** What the first part of a decision, which may be the only one, says of the whole. */
const decisionOf = ({ tenant, event_id, position, near, near_more = 0, part }: Routed, acceptedAt: string): readonly DecisionRow[] =>
  part === undefined || part.number === 1 ? [{ day: dayOf(acceptedAt), tenant, event_id, position, near: jsonOrNull(near), near_more }] : [];

const storedId = (id: string): string => {
  const stored = storedDeliveryId(id);
  if (stored === undefined) throw new TypeError(`${id} is not the id of a delivery`);
  return stored;
};

/** Whatever is known of a delivery makes its row: round 0 is to be sent, as the router decided, until something says more. */
const notYetSent = (acceptedAt: string): DeliveryStanding => ({
  round: 0,
  number: 0,
  status: 'pending',
  updated_at: acceptedAt,
  next_attempt_at: null,
  last_status_code: null,
  last_error: null,
  finished_at: null,
});

const neverPostponed: DeliveryWaiting = {
  waiting_round: null,
  waiting_number: null,
  waiting_since: null,
  waiting_until: null,
  waiting_cause: null,
  waiting_behind: null,
};

/** `deliveries.routed` → one pending delivery per subscription that matched, whichever part it is in; and the decision. */
export const rowsOfRouted = (value: Buffer): RecordRows => {
  const routed = JSON.parse(value.toString()) as Routed;
  const acceptedAt = utc(routed.accepted_at);
  const alike = {
    day: dayOf(acceptedAt),
    tenant: routed.tenant,
    event_id: routed.event_id,
    event_type: routed.event_type,
    subject: routed.subject ?? null,
    created_at: acceptedAt,
    ...notYetSent(acceptedAt),
    ...neverPostponed,
  };
  return {
    ...noRows,
    ...tracedOf([routed]),
    decisions: decisionOf(routed, acceptedAt),
    deliveries: routed.subscriptions.map((subscription) => ({
      ...alike,
      id: storedId(deliveryId(routed.tenant, routed.event_id, subscription)),
      subscription_id: subscription,
    })),
  };
};

type DeliveryFact = Pick<Outcome, 'delivery_id' | 'tenant' | 'event_id' | 'event_type' | 'subject' | 'accepted_at' | 'subscription_id' | 'round'> & {
  readonly number?: number;
};

/** No retry schedule has more attempts. */
const MOST_ATTEMPTS = subscriptionLimits.retries + 1;
/** What a column of rounds holds. */
const MOST_ROUNDS = 2 ** 31 - 1;

const isWithin = (value: number, least: number, most: number): boolean => Number.isInteger(value) && value >= least && value <= most;

/**
 * The id of a delivery is derived from whose it is: one that names another tenant, event or subscription would put its rows into a
 * stranger's history. No sender of ours writes such things; that its topic can be written to by others must not end the audit.
 */
const refusalOf = ({ delivery_id, tenant, event_id, subscription_id, round, number = 1 }: DeliveryFact, firstRound: number): Refused['reason'] | undefined => {
  if (delivery_id !== deliveryId(tenant, event_id, subscription_id)) return 'foreign_delivery';
  return isWithin(number, 1, MOST_ATTEMPTS) && isWithin(round, firstRound, MOST_ROUNDS) ? undefined : 'impossible_number';
};

/** Those that can be true; the others are put with the refused. */
const credible = <Fact extends DeliveryFact>(facts: readonly Fact[], refused: Refused[], firstRound = 0): readonly Fact[] =>
  facts.filter((fact) => {
    const reason = refusalOf(fact, firstRound);
    const { tenant, delivery_id, round, number } = fact;
    if (reason !== undefined) refused.push({ reason, tenant, delivery_id, round, number });
    return reason === undefined;
  });

const deliveryOf = (fact: DeliveryFact, standing: DeliveryStanding, waiting = neverPostponed): DeliveryRow => {
  const acceptedAt = utc(fact.accepted_at);
  return {
    day: dayOf(acceptedAt),
    id: storedId(fact.delivery_id),
    tenant: fact.tenant,
    event_id: fact.event_id,
    subscription_id: fact.subscription_id,
    event_type: fact.event_type,
    subject: fact.subject ?? null,
    created_at: acceptedAt,
    ...standing,
    ...waiting,
  };
};

const deliveryAfter = (outcome: Outcome): DeliveryRow => {
  const at = utc(outcome.at);
  return deliveryOf(outcome, {
    round: outcome.round,
    number: outcome.number,
    status: outcome.status,
    updated_at: at,
    next_attempt_at: utcOrNull(outcome.next_attempt_at),
    last_status_code: outcome.attempt?.response?.status ?? null,
    last_error: outcome.attempt?.error?.code ?? outcome.reason ?? null,
    finished_at: outcome.status === 'retrying' ? null : at,
  });
};

/** @param delivery the row of the same outcome */
const attemptOf = (outcome: Outcome, { day, id }: DeliveryRow): AttemptRow | undefined => {
  const { attempt } = outcome;
  if (attempt === undefined) return undefined;
  const startedAt = utc(attempt.started_at);
  return {
    day,
    delivery_id: id,
    round: outcome.round,
    number: outcome.number,
    tenant: outcome.tenant,
    subscription_id: outcome.subscription_id,
    subscription_version: outcome.subscription_version ?? null,
    trigger: outcome.trigger,
    status: outcome.status,
    started_at: startedAt,
    duration_ms: attempt.duration_ms,
    status_code: attempt.response?.status ?? null,
    error_code: attempt.error?.code ?? null,
    exchange: packExchange(attempt, Date.parse(startedAt)),
  };
};

const deliveryPutOff = (postponement: Postponement): DeliveryRow =>
  deliveryOf(postponement, notYetSent(utc(postponement.accepted_at)), {
    waiting_round: postponement.round,
    waiting_number: postponement.number,
    waiting_since: utc(postponement.at),
    waiting_until: utcOrNull(postponement.until),
    waiting_cause: postponement.cause,
    waiting_behind: postponement.behind ?? null,
  });

/** `deliveries.attempted` → where each delivery stands or waits, and a row per request made; a cancellation may come without one. */
export const rowsOfAttempted = (value: Buffer): RecordRows => {
  const attempted = JSON.parse(value.toString()) as Attempted;
  const refused: Refused[] = [];
  const outcomes = credible(attempted.outcomes, refused);
  const postponed = credible(attempted.postponed ?? [], refused);
  const deliveries: DeliveryRow[] = [];
  const attempts: AttemptRow[] = [];
  for (const outcome of outcomes) {
    const delivery = deliveryAfter(outcome);
    const attempt = attemptOf(outcome, delivery);
    deliveries.push(delivery);
    if (attempt !== undefined) attempts.push(attempt);
  }
  for (const one of postponed) deliveries.push(deliveryPutOff(one));
  return {
    ...noRows,
    deliveries,
    attempts,
    refused,
    ...tracedOf(outcomes),
  };
};

/** The `last_error` of a delivery that somebody called off. */
export const CANCELLED_BY_USER = 'cancelled_by_user';

const deliveryCalledOff = (cancellation: Cancellation): DeliveryRow => {
  const at = utc(cancellation.at);
  const nothingYet = notYetSent(at);
  return deliveryOf(cancellation, { ...nothingYet, round: cancellation.round, status: 'cancelled', last_error: CANCELLED_BY_USER, finished_at: at });
};

/** `deliveries.cancelled` → each delivery ended, and who ended it. */
export const rowsOfCancelled = (value: Buffer): RecordRows => {
  const refused: Refused[] = [];
  const cancellations = credible((JSON.parse(value.toString()) as Cancelled).cancellations, refused);
  return {
    ...noRows,
    refused,
    deliveries: cancellations.map(deliveryCalledOff),
    cancellations: cancellations.map(({ accepted_at, delivery_id, round, tenant, at, actor }) => ({
      day: dayOf(utc(accepted_at)),
      delivery_id: storedId(delivery_id),
      round,
      tenant,
      at: utc(at),
      actor,
    })),
  };
};

const deliveryAgain = (round: AskedRound): DeliveryRow => deliveryOf(round, { ...notYetSent(utc(round.at)), round: round.round });

/** `deliveries.rounds` → each delivery pending again, and who asked for it. */
export const rowsOfRounds = (value: Buffer): RecordRows => {
  const refused: Refused[] = [];
  // The first round is the router's: nobody asks for it.
  const rounds = credible((JSON.parse(value.toString()) as Rounds).rounds, refused, 1);
  return {
    ...noRows,
    refused,
    deliveries: rounds.map(deliveryAgain),
    rounds: rounds.map(({ accepted_at, delivery_id, round, tenant, trigger, at, actor, replay_id, forced }) => ({
      day: dayOf(utc(accepted_at)),
      delivery_id: storedId(delivery_id),
      round,
      tenant,
      trigger,
      at: utc(at),
      actor,
      replay_id: replay_id ?? null,
      forced: forced === true ? 'true' : 'false',
    })),
  };
};

/** `events.duplicated` → how often each event came again by what the writer saw, under the day on which it saw it first. */
export const rowsOfDuplicated = (value: Buffer): Rows => {
  const { writer, duplicates } = JSON.parse(value.toString()) as Duplicated;
  return {
    ...noRows,
    duplicates: duplicates.map(({ tenant, event_id, count, first_at, last_at }) => ({
      day: dayOf(utc(first_at)),
      tenant,
      event_id,
      writer,
      count,
      first_at: utc(first_at),
      last_at: utc(last_at),
    })),
  };
};

/** The bytes that were refused, as they came. */
const refusedBytes = ({ value, value_base64 }: Rejection): Buffer => {
  if (value !== undefined) return Buffer.from(value);
  if (value_base64 !== undefined) return Buffer.from(value_base64, 'base64');
  throw new TypeError('neither value nor value_base64');
};

/** `events.rejected` → a row. What calls itself by no tenant's name has none: nobody but who sees all tenants sees it. */
export const rowsOfRejected = (record: Buffer): Rows => {
  const rejection = JSON.parse(record.toString()) as Rejection;
  const { reason, tenant } = rejection;
  const rejectedAt = utc(rejection.rejected_at);
  return {
    ...noRows,
    rejected_events: [
      {
        day: dayOf(rejectedAt),
        id: rejection.rejection_id,
        tenant: tenant !== undefined && TENANT_ID.test(tenant) ? tenant : null,
        rejected_at: rejectedAt,
        door: rejection.door,
        code: reason.code,
        message: reason.message,
        path: reason.path ?? null,
        errors: jsonOrNull(reason.errors),
        event_id: rejection.event_id ?? null,
        record: jsonOrNull(rejection.record),
        headers: JSON.stringify(rejection.headers),
        value: refusedBytes(rejection),
        truncated: rejection.truncated ? 'true' : 'false',
      },
    ],
  };
};
