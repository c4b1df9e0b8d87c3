import type { Rejection } from '@posthorn/contracts';
import type { SpanEnd, SpanStart } from '@posthorn/service-kit';
import type { Accepted } from './acceptance/accept.js';
import type { Ended } from './deduplication/deduplicator.js';

type Door = Rejection['door'];

/** @param startedMs when the event arrived, by performance.now() */
export const accepting = (door: Door, parent: string | undefined, startedMs: number): SpanStart => ({
  name: 'posthorn.accept',
  kind: door === 'kafka' ? 'consumer' : 'server',
  parent,
  startMs: Date.now() - (performance.now() - startedMs),
});

/** The names are those of OpenTelemetry's conventions for messaging and CloudEvents, where they have one. */
export const spanOfAcceptance = ({ envelope, data }: Accepted, door: Door, topic: string, outcome: Ended | 'unavailable'): SpanEnd => ({
  attributes: {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'accept',
    'messaging.operation.type': 'send',
    'messaging.destination.name': topic,
    'messaging.message.body.size': data.length,
    'cloudevents.event_id': envelope.id,
    'cloudevents.event_type': envelope.type,
    'posthorn.tenant': envelope.tenant,
    'posthorn.door': door,
    'posthorn.outcome': outcome,
  },
  error: outcome === 'unavailable' ? outcome : undefined,
});

/** Why, by its code alone: what was wrong with the event may quote it. */
export const spanOfRejection = ({ door, tenant, event_id, rejection_id, reason, record }: Rejection): SpanEnd => ({
  attributes: {
    'cloudevents.event_id': event_id,
    'posthorn.tenant': tenant,
    'posthorn.door': door,
    'posthorn.outcome': 'rejected',
    'posthorn.rejection': rejection_id,
    ...(record !== undefined && {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'accept',
      'messaging.operation.type': 'process',
      'messaging.destination.name': record.topic,
      'messaging.destination.partition.id': String(record.partition),
      'messaging.kafka.offset': Number(record.offset),
    }),
  },
  error: reason.code,
});
