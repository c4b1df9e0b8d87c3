import type { AttemptView, DeliveryView, TimelineEntry as TimelineView, Waiting as WaitingView, WholeDeliveryView } from '@posthorn/contracts';
import type { AskedRound, Attempt, Delivery, TimelineEntry, Waiting } from '@posthorn/contracts/grpc/audit';
import { toTime } from '@posthorn/service-kit/grpc';
import { deliveryStatuses } from './words.js';

const toWaiting = ({ cause, since, until, behind }: WaitingView): Waiting => ({ cause, since: toTime(since), until: toTime(until), behind });

export const toDelivery = (view: DeliveryView): Delivery => ({
  id: view.id,
  tenant: view.tenant,
  event_id: view.event_id,
  event_type: view.event_type,
  subscription_id: view.subscription_id,
  status: deliveryStatuses.to(view.status),
  attempts: view.attempts,
  next_attempt_at: toTime(view.next_attempt_at),
  last_status_code: view.last_status_code,
  last_error: view.last_error,
  created_at: toTime(view.created_at),
  finished_at: toTime(view.finished_at),
  round: view.round,
  waiting: view.waiting && toWaiting(view.waiting),
});

export const toAskedRound = ({ at, forced, ...round }: WholeDeliveryView['rounds'][number]): AskedRound => ({ ...round, at: toTime(at), forced: forced === true });

export const toAttempt = (view: AttemptView): Attempt => ({
  round: view.round,
  number: view.number,
  trigger: view.trigger,
  started_at: toTime(view.started_at),
  duration_ms: view.duration_ms,
  request: view.request,
  response: view.response,
  error: view.error,
  subscription_version: view.subscription_version,
});

export const toTimelineEntry = (entry: TimelineView): TimelineEntry => ({
  ...entry,
  at: toTime(entry.at),
  status: deliveryStatuses.to('status' in entry ? entry.status : undefined),
  until: toTime('until' in entry ? entry.until : undefined),
  forced: 'forced' in entry && entry.forced === true,
});
