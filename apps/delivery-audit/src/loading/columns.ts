import type {
  AttemptRow,
  CancellationRow,
  ConfigurationRow,
  DecisionRow,
  DeliveryOrigin,
  DeliveryRow,
  DeliveryStanding,
  DeliveryWaiting,
  DuplicateRow,
  EventRow,
  RejectedEventRow,
  RoundRow,
} from './rows.js';

/** The parts of a delivery's row that are replaced as a whole, each by its own rule (`fold.ts`). */
export const deliveryParts = {
  origin: ['created_at', 'event_type', 'subject'] satisfies (keyof DeliveryOrigin)[],
  standing: [
    'round', 'number', 'status', 'updated_at', 'next_attempt_at', 'last_status_code', 'last_error', 'finished_at',
  ] satisfies (keyof DeliveryStanding)[],
  waiting: [
    'waiting_round', 'waiting_number', 'waiting_since', 'waiting_until', 'waiting_cause', 'waiting_behind',
  ] satisfies (keyof DeliveryWaiting)[],
} as const;

/** The columns of each table in the order in which they are copied. */
export const columns = {
  events: [
    'day', 'tenant', 'id', 'type', 'source', 'subject', 'time', 'accepted_at',
    'key', 'content_type', 'traceparent', 'headers', 'context', 'extensions', 'data',
  ] satisfies (keyof EventRow)[],
  decisions: ['day', 'tenant', 'event_id', 'position', 'near', 'near_more'] satisfies (keyof DecisionRow)[],
  deliveries: [
    'day', 'id', 'tenant', 'event_id', 'subscription_id', ...deliveryParts.origin, ...deliveryParts.standing, ...deliveryParts.waiting,
  ] satisfies (keyof DeliveryRow)[],
  attempts: [
    'day', 'delivery_id', 'round', 'number', 'subscription_version', 'trigger', 'status',
    'started_at', 'duration_ms', 'status_code', 'error_code', 'exchange',
  ] satisfies (keyof AttemptRow)[],
  rounds: ['day', 'delivery_id', 'round', 'tenant', 'trigger', 'at', 'actor', 'replay_id', 'forced'] satisfies (keyof RoundRow)[],
  cancellations: ['day', 'delivery_id', 'round', 'tenant', 'at', 'actor'] satisfies (keyof CancellationRow)[],
  rejected_events: [
    'day', 'id', 'tenant', 'rejected_at', 'door', 'code', 'message', 'path', 'errors', 'event_id', 'record', 'headers', 'value', 'truncated',
  ] satisfies (keyof RejectedEventRow)[],
  duplicates: ['day', 'tenant', 'event_id', 'writer', 'count', 'first_at', 'last_at'] satisfies (keyof DuplicateRow)[],
  configuration: ['stream', 'version', 'position', 'type', 'data', 'actor', 'at'] satisfies (keyof ConfigurationRow)[],
} as const;
