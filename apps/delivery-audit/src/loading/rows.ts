import type { DeliveryStatus, PostponeCause, Rejection, Trigger } from '@posthorn/contracts';

/** A row's values are what COPY takes: times are RFC 3339 in UTC, `headers`, `request` and the like JSON text, ids of deliveries as they are stored. */
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

/** What the router saw when it decided about an event. */
export type DecisionRow = {
  readonly day: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly position: number;
  readonly near: string | null;
  readonly near_more: number;
};

/** Of which event and subscription a delivery is. */
export type DeliveryOrigin = {
  readonly event_type: string;
  readonly subject: string | null;
  readonly created_at: string;
};

/** Where a delivery stands: after an outcome, after a cancellation (number 0), in a round that begins (number 0). */
export type DeliveryStanding = {
  readonly round: number;
  readonly number: number;
  readonly status: DeliveryStatus;
  readonly updated_at: string;
  readonly next_attempt_at: string | null;
  readonly last_status_code: number | null;
  readonly last_error: string | null;
  readonly finished_at: string | null;
};

/** Which attempt was put off last, if any was. */
export type DeliveryWaiting = {
  readonly waiting_round: number | null;
  readonly waiting_number: number | null;
  readonly waiting_since: string | null;
  readonly waiting_until: string | null;
  readonly waiting_cause: PostponeCause | null;
  readonly waiting_behind: string | null;
};

export type DeliveryRow = {
  readonly day: string;
  readonly id: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly subscription_id: string;
} & DeliveryOrigin &
  DeliveryStanding &
  DeliveryWaiting;

export type AttemptRow = {
  readonly day: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly number: number;
  /** Tenant and subscription are those of the delivery: for who counts attempts, not stored again. */
  readonly tenant: string;
  readonly subscription_id: string;
  readonly subscription_version: number | null;
  readonly trigger: Trigger;
  readonly status: DeliveryStatus;
  readonly started_at: string;
  readonly duration_ms: number;
  readonly status_code: number | null;
  readonly error_code: string | null;
  /** What was sent and answered, as `exchange.ts` packs it. */
  readonly exchange: string;
};

/** A round that was asked for. */
export type RoundRow = {
  readonly day: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly tenant: string;
  readonly trigger: Trigger;
  readonly at: string;
  readonly actor: string;
  readonly replay_id: string | null;
  readonly forced: 'true' | 'false';
};

/** A round that was called off. */
export type CancellationRow = {
  readonly day: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly tenant: string;
  readonly at: string;
  readonly actor: string;
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

/** How often one writer of `events.duplicated` saw an event come again. */
export type DuplicateRow = {
  readonly day: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly writer: string;
  readonly count: number;
  readonly first_at: string;
  readonly last_at: string;
};

/** An event of the registry. It has no day: it may be asked for as long as there are events that came after it. */
export type ConfigurationRow = {
  readonly stream: string;
  readonly version: number;
  readonly position: number;
  readonly type: string;
  readonly data: string;
  readonly actor: string;
  readonly at: string;
};

/** The rows of each table, by its name. */
export type Rows = {
  readonly events: readonly EventRow[];
  readonly decisions: readonly DecisionRow[];
  readonly deliveries: readonly DeliveryRow[];
  readonly attempts: readonly AttemptRow[];
  readonly rounds: readonly RoundRow[];
  readonly cancellations: readonly CancellationRow[];
  readonly rejected_events: readonly RejectedEventRow[];
  readonly duplicates: readonly DuplicateRow[];
  readonly configuration: readonly ConfigurationRow[];
};
export type TableName = keyof Rows;

export const noRows: Rows = {
  events: [],
  decisions: [],
  deliveries: [],
  attempts: [],
  rounds: [],
  cancellations: [],
  rejected_events: [],
  duplicates: [],
  configuration: [],
};

/** A closed list: why something that a record says of a delivery is not recorded. */
export const refusalReasons = ['foreign_delivery', 'impossible_number'] as const;

/** What a record says of a delivery and cannot be true. It is left out; the rest of the record stands. */
export type Refused = {
  readonly reason: (typeof refusalReasons)[number];
  readonly tenant: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly number: number | undefined;
};

/** Something that a record tells of and whose trace is recorded: the recording of it has a span, too. */
export type Traced = {
  /** Of who wrote it. */
  readonly traceparent: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly delivery_id?: string;
};

/** What one record comes to. */
export type RecordRows = Rows & { readonly refused?: readonly Refused[]; readonly traced?: readonly Traced[] };

export const countOf = (rows: Rows): number => Object.values(rows).reduce((sum, { length }) => sum + length, 0);
