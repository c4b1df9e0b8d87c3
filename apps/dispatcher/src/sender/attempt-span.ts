import { deliveryId, type Attempt, type RequestedHead } from '@posthorn/contracts';
import type { NextStep } from '@posthorn/domain';
import type { SpanEnd, SpanStart, Tracing } from '@posthorn/service-kit';

export type TracedAttempt = {
  readonly head: RequestedHead;
  readonly subscription: string;
  readonly attempt: Attempt;
  readonly status: NextStep['status'] | 'cancelled';
};

/**
 * Under the router's span. A round that was asked for is no part of what happened when the event came: its first attempt begins a trace, linked to the
 * event's, its retries follow in that.
 */
const parentOf = ({ event, round, traceparent }: RequestedHead): string | undefined => traceparent ?? (round === 0 ? event.traceparent : undefined);

/** What the subscriber was told is a trace of its own; the attempt before, and the event of a round that was asked for, are others. */
const linksOf = ({ event, round, retry_of }: RequestedHead, { request }: Attempt): readonly string[] =>
  [request.headers['traceparent'], retry_of, round > 0 ? event.traceparent : undefined].filter((link) => link !== undefined);

/** Not its path nor its query: the URL of a webhook is as good as a password to many receivers. */
const addressOf = (url: string) => {
  if (!URL.canParse(url)) return {};
  const { protocol, hostname, port } = new URL(url);
  const scheme = protocol.slice(0, -1);
  return { 'url.scheme': scheme, 'server.address': hostname, 'server.port': port === '' ? (scheme === 'https' ? 443 : 80) : Number(port) };
};

const startOf = (head: RequestedHead, attempt: Attempt): SpanStart => ({
  name: 'posthorn.attempt',
  kind: 'client',
  parent: parentOf(head),
  links: linksOf(head, attempt),
  startMs: Date.parse(attempt.started_at),
});

const endOf = ({ head: { event, round, number, trigger }, subscription, attempt, status }: TracedAttempt): SpanEnd => ({
  attributes: {
    'http.request.method': 'POST',
    'http.response.status_code': attempt.response?.status,
    ...addressOf(attempt.request.url),
    'cloudevents.event_id': event.id,
    'cloudevents.event_type': event.type,
    'posthorn.tenant': event.tenant,
    'posthorn.subscription': subscription,
    'posthorn.delivery': deliveryId(event.tenant, event.id, subscription),
    'posthorn.round': round,
    'posthorn.attempt': number,
    'posthorn.trigger': trigger,
    'posthorn.outcome': status,
  },
  error: attempt.error?.code,
  endMs: Date.parse(attempt.started_at) + attempt.duration_ms,
});

/** Makes the span of an attempt that has ended, when one is wanted: its own context, for the retry and the audit. */
export const traceAttempt = (tracing: Tracing, traced: TracedAttempt): string | undefined => {
  const { head, attempt } = traced;
  // A round that was asked for is recorded when its event was.
  if (!tracing.wants(head.traceparent ?? head.event.traceparent, attempt.error !== undefined)) return undefined;
  return tracing.record(startOf(head, attempt), endOf(traced));
};
