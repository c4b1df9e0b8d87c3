import type { IncomingRecord } from '@posthorn/kafka';
import type { Tracing } from '@posthorn/service-kit';
import type { IntakeOptions } from './intake.js';
import type { Traced } from './rows.js';

/** From the reading of a record to its rows' commit: a span for each thing it tells of, under that of who did it. */
const traceRecording = (tracing: Tracing, { topic, partition, offset }: Pick<IncomingRecord, 'topic' | 'partition' | 'offset'>, { traceparent, tenant, event_id, delivery_id }: Traced, readMs: number): void => {
  const attributes = {
    'messaging.system': 'kafka',
    'messaging.operation.name': 'record',
    'messaging.operation.type': 'process',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.kafka.offset': Number(offset),
    'cloudevents.event_id': event_id,
    'posthorn.tenant': tenant,
    'posthorn.delivery': delivery_id,
  };
  tracing.record({ name: 'posthorn.record', kind: 'consumer', parent: traceparent, startMs: readMs }, { attributes });
};

export const tracingRecords = (tracing: Tracing | undefined): Pick<IntakeOptions, 'onTraced'> =>
  tracing === undefined
    ? {}
    : {
        onTraced: (record, traced, readMs) => {
          for (const one of traced) traceRecording(tracing, record, one, readMs);
        },
      };
