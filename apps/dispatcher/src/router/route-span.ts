import type { Envelope } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';
import type { SpanEnd, SpanStart } from '@posthorn/service-kit';
import type { Decision } from './decision.js';

type Decided = Pick<Decision, 'byPartition' | 'nearCounts'>;

export const routing = ({ traceparent }: Envelope): SpanStart => ({ name: 'posthorn.route', kind: 'consumer', parent: traceparent });

/** A filter that is false has done its work; one that cannot be evaluated keeps an event from a subscriber who may have wanted it. */
export const failureOf = ({ nearCounts }: Decided): 'filter_failed' | 'filter_budget' | undefined => {
  if (nearCounts.filter_failed > 0) return 'filter_failed';
  return nearCounts.filter_budget > 0 ? 'filter_budget' : undefined;
};

export const spanOfRouting = (
  { topic, partition, offset }: Pick<IncomingRecord, 'topic' | 'partition' | 'offset'>,
  { id, type, tenant }: Envelope,
  { decision, position }: { readonly decision: Decided; readonly position: number },
): SpanEnd => {
  let matched = 0;
  for (const together of decision.byPartition.values()) matched += together.length;
  return {
    attributes: {
      'messaging.system': 'kafka',
      'messaging.operation.name': 'route',
      'messaging.operation.type': 'process',
      'messaging.destination.name': topic,
      'messaging.destination.partition.id': String(partition),
      'messaging.kafka.offset': Number(offset),
      'cloudevents.event_id': id,
      'cloudevents.event_type': type,
      'posthorn.tenant': tenant,
      'posthorn.matched': matched,
      'posthorn.near_matches': Object.values(decision.nearCounts).reduce((sum, count) => sum + count, 0),
      'posthorn.registry.position': position,
    },
    error: failureOf(decision),
  };
};
