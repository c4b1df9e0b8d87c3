import type { DeliveryStatus, DeliveryView, PostponeCause, Waiting } from '@posthorn/contracts';
import { shownDeliveryId } from '../delivery-id.js';

/** A delivery as it is stored; `DELIVERY_COLUMNS` are its columns. */
export type DeliveryRow = {
  readonly id: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly subscription_id: string;
  readonly status: DeliveryStatus;
  readonly round: number;
  readonly number: number;
  readonly attempts: number;
  readonly updated_at: Date;
  readonly next_attempt_at: Date | null;
  readonly last_status_code: number | null;
  readonly last_error: string | null;
  readonly created_at: Date;
  readonly finished_at: Date | null;
  readonly waiting_round: number | null;
  readonly waiting_number: number | null;
  readonly waiting_since: Date | null;
  readonly waiting_until: Date | null;
  readonly waiting_cause: PostponeCause | null;
  readonly waiting_behind: string | null;
};

export const DELIVERY_COLUMNS = [
  'id', 'tenant', 'event_id', 'event_type', 'subscription_id', 'status', 'round', 'number', 'attempts', 'updated_at', 'next_attempt_at',
  'last_status_code', 'last_error', 'created_at', 'finished_at',
  'waiting_round', 'waiting_number', 'waiting_since', 'waiting_until', 'waiting_cause', 'waiting_behind',
] as const satisfies (keyof DeliveryRow)[];

/** A postponement is over once an outcome has reached the attempt that it put off. */
const postponementOf = (row: DeliveryRow): Waiting | undefined => {
  const { round, number, waiting_round, waiting_number, waiting_since, waiting_until, waiting_cause, waiting_behind } = row;
  if (waiting_round === null || waiting_number === null || waiting_since === null || waiting_cause === null) return undefined;
  const isOver = waiting_round === round ? waiting_number <= number : waiting_round < round;
  if (isOver) return undefined;
  return {
    cause: waiting_cause,
    since: waiting_since.toISOString(),
    ...(waiting_until && { until: waiting_until.toISOString() }),
    ...(waiting_behind !== null && { behind: waiting_behind }),
  };
};

const waitingOf = (row: DeliveryRow): Waiting | undefined => {
  const { status, updated_at, next_attempt_at } = row;
  if (status !== 'pending' && status !== 'retrying') return undefined;
  const forRetry: Waiting | undefined = next_attempt_at
    ? { cause: 'retry', since: updated_at.toISOString(), until: next_attempt_at.toISOString() }
    : undefined;
  return postponementOf(row) ?? forRetry;
};

export const deliveryViewOf = (row: DeliveryRow): DeliveryView => {
  const waiting = waitingOf(row);
  return {
    id: shownDeliveryId(row.id),
    tenant: row.tenant,
    event_id: row.event_id,
    event_type: row.event_type,
    subscription_id: row.subscription_id,
    status: row.status,
    round: row.round,
    attempts: row.attempts,
    ...(waiting?.until !== undefined && { next_attempt_at: waiting.until }),
    ...(waiting && { waiting }),
    ...(row.last_status_code !== null && { last_status_code: row.last_status_code }),
    ...(row.last_error !== null && { last_error: row.last_error }),
    created_at: row.created_at.toISOString(),
    ...(row.finished_at && { finished_at: row.finished_at.toISOString() }),
  };
};
