import {
  deliveryId,
  TENANT_ID,
  type Attempted,
  type DeliveryStatus,
  type Envelope,
  type Outcome,
  type Rejection,
  type Routed,
  unframe,
} from '@posthorn/contracts';

/** A row's values are what COPY takes: times are RFC 3339 in UTC, `headers`, `request` and the like JSON text. */
export type EventRow = {
  readonly day: string;
  readonly tenant: string;
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly subject: string | null;
  readonly time: string;
  readonly accepted_at: string;
  readonly key: string | null;
  readonly content_type: string | null;
  readonly traceparent: string | null;
  readonly headers: string | null;
  readonly context: string | null;
  readonly extensions: string | null;
  readonly data: Buffer;
};

/** What one record says of a delivery: that it is to be made (round 0, number 0), or where it stands after an outcome. */
export type DeliveryRow = {
  readonly day: string;
  readonly id: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly subject: string | null;
  readonly subscription_id: string;
  readonly created_at: string;
  readonly round: number;
  readonly number: number;
  readonly status: DeliveryStatus;
  readonly updated_at: string;
  readonly next_attempt_at: string | null;
  readonly last_status_code: number | null;
  readonly last_error: string | null;
  readonly finished_at: string | null;
};

export type AttemptRow = {
  readonly day: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly number: number;
  readonly tenant: string;
  readonly subscription_id: string;
  readonly trigger: string;
  readonly status: DeliveryStatus;
  readonly started_at: string;
  readonly duration_ms: number;
  readonly status_code: number | null;
  readonly error_code: string | null;
  readonly request: string;
  readonly response: string | null;
  readonly error: string | null;
};

export type RejectedEventRow = {
  readonly day: string;
  readonly id: string;
  readonly tenant: string | null;
  readonly rejected_at: string;
  readonly door: Rejection['door'];
  readonly code: string;
  readonly message: string;
  readonly path: string | null;
  readonly errors: string | null;
  readonly event_id: string | null;
  readonly record: string | null;
  readonly headers: string;
  readonly value: Buffer;
  readonly truncated: 'true' | 'false';
};

/** What the router saw when it decided about an event. */
export type DecisionRow = {
  readonly day: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly position: number;
  readonly near: string | null;
  readonly near_more: number;
};

export type Rows = {
  readonly events: readonly EventRow[];
  readonly decisions: readonly DecisionRow[];
  readonly deliveries: readonly DeliveryRow[];
  readonly attempts: readonly AttemptRow[];
  readonly rejectedEvents: readonly RejectedEventRow[];
};

export const countOf = ({ events, decisions, deliveries, attempts, rejectedEvents }: Rows): number =>
  events.length + decisions.length + deliveries.length + attempts.length + rejectedEvents.length;

const UTC_MILLISECONDS = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

/** @throws {RangeError} when it is no time */
const utc = (time: string): string => (UTC_MILLISECONDS.test(time) ? time : new Date(time).toISOString());

const utcOrNull = (time: string | undefined): string | null => (time === undefined ? null : utc(time));

/** The partition: the UTC day of an event's acceptance, or of its refusal. */
export const dayOf = (utcTime: string): string => utcTime.slice(0, 'yyyy-mm-dd'.length);

const jsonOrNull = (value: unknown): string | null => (value === undefined ? null : JSON.stringify(value));

export const noRows: Rows = { events: [], decisions: [], deliveries: [], attempts: [], rejectedEvents: [] };

/**
 * `events.accepted` → the event's row.
 * @throws {SyntaxError | TypeError | RangeError} when it is no such record; so do those below
 */
export const rowsOfAccepted = (value: Buffer): Rows => {
  const { head, data } = unframe<Envelope>(value);
  const acceptedAt = utc(head.acceptedtime);
  return {
    ...noRows,
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

/** `deliveries.routed` → one pending delivery per subscription that matched, whichever part it is in; and the decision. */
export const rowsOfRouted = (value: Buffer): Rows => {
  const routed = JSON.parse(value.toString()) as Routed;
  const acceptedAt = utc(routed.accepted_at);
  return {
    ...noRows,
    decisions: decisionOf(routed, acceptedAt),
    deliveries: routed.subscriptions.map((subscription) => ({
      day: dayOf(acceptedAt),
      id: deliveryId(routed.tenant, routed.event_id, subscription),
      tenant: routed.tenant,
      event_id: routed.event_id,
      event_type: routed.event_type,
      subject: routed.subject ?? null,
      subscription_id: subscription,
      created_at: acceptedAt,
      round: 0,
      number: 0,
      status: 'pending',
      updated_at: acceptedAt,
      next_attempt_at: null,
      last_status_code: null,
      last_error: null,
      finished_at: null,
    })),
  };
};

const deliveryAfter = (outcome: Outcome): DeliveryRow => {
  const acceptedAt = utc(outcome.accepted_at);
  const at = utc(outcome.at);
  return {
    day: dayOf(acceptedAt),
    id: outcome.delivery_id,
    tenant: outcome.tenant,
    event_id: outcome.event_id,
    event_type: outcome.event_type,
    subject: outcome.subject ?? null,
    subscription_id: outcome.subscription_id,
    created_at: acceptedAt,
    round: outcome.round,
    number: outcome.number,
    status: outcome.status,
    updated_at: at,
    next_attempt_at: utcOrNull(outcome.next_attempt_at),
    last_status_code: outcome.attempt?.response?.status ?? null,
    last_error: outcome.attempt?.error?.code ?? outcome.reason ?? null,
    finished_at: outcome.status === 'retrying' ? null : at,
  };
};

const attemptOf = ({ attempt, ...outcome }: Outcome): AttemptRow | undefined =>
  attempt && {
    day: dayOf(utc(outcome.accepted_at)),
    delivery_id: outcome.delivery_id,
    round: outcome.round,
    number: outcome.number,
    tenant: outcome.tenant,
    subscription_id: outcome.subscription_id,
    trigger: outcome.trigger,
    status: outcome.status,
    started_at: utc(attempt.started_at),
    duration_ms: attempt.duration_ms,
    status_code: attempt.response?.status ?? null,
    error_code: attempt.error?.code ?? null,
    request: JSON.stringify(attempt.request),
    response: jsonOrNull(attempt.response),
    error: jsonOrNull(attempt.error),
  };

/** `deliveries.attempted` → where each delivery stands, and a row per request made; a cancellation may come without one. */
export const rowsOfAttempted = (value: Buffer): Rows => {
  const { outcomes } = JSON.parse(value.toString()) as Attempted;
  return {
    ...noRows,
    deliveries: outcomes.map(deliveryAfter),
    attempts: outcomes.map(attemptOf).filter((row) => row !== undefined),
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
    rejectedEvents: [
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
