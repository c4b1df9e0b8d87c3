import type { AttemptRow, DecisionRow, DeliveryRow, EventRow, RejectedEventRow } from './rows.js';

/** The columns of each table in the order in which they are copied. */
export const columns = {
  events: [
    'day', 'tenant', 'id', 'type', 'source', 'subject', 'time', 'accepted_at',
    'key', 'content_type', 'traceparent', 'headers', 'context', 'extensions', 'data',
  ] satisfies (keyof EventRow)[],
  decisions: ['day', 'tenant', 'event_id', 'position', 'near', 'near_more'] satisfies (keyof DecisionRow)[],
  deliveries: [
    'day', 'id', 'tenant', 'event_id', 'event_type', 'subject', 'subscription_id', 'created_at', 'round', 'number',
    'status', 'updated_at', 'next_attempt_at', 'last_status_code', 'last_error', 'finished_at',
  ] satisfies (keyof DeliveryRow)[],
  attempts: [
    'day', 'delivery_id', 'round', 'number', 'tenant', 'subscription_id', 'trigger', 'status',
    'started_at', 'duration_ms', 'status_code', 'error_code', 'request', 'response', 'error',
  ] satisfies (keyof AttemptRow)[],
  rejected_events: [
    'day', 'id', 'tenant', 'rejected_at', 'door', 'code', 'message', 'path', 'errors', 'event_id', 'record', 'headers', 'value', 'truncated',
  ] satisfies (keyof RejectedEventRow)[],
} as const;
