import { POSITION_HEADER, SCHEMA_HEADER, SCHEMA_VERSION, type DomainEventRecord, type Operation } from '@posthorn/contracts';
import type { RecordedEvent } from '@posthorn/event-store';
import type { Kafka, Producer } from '@posthorn/kafka';
import { SECONDS } from '@posthorn/service-kit';
import type { Pool } from 'pg';
import { Histogram, type Registry } from 'prom-client';
import { SCHEMA } from './migrations/migrations.js';
import { operationsOf } from './operations.js';
import { readModels } from './read-models.js';
import { stateRecords, type StateRecord, type StateRow } from './state-records.js';
import { aggregateOf, streamOf, type AggregateKind } from './streams.js';

export type PublisherParts = {
  readonly kafka: Kafka;
  readonly producer: Producer;
  readonly pool: Pool;
  readonly metrics: Registry;
};

/** What the publisher writes to. */
export const PUBLISHED = ['registry.log', 'registry.state', 'operations'] as const;

/**
 * What the relay does with a batch: its events to `registry.log`, then the states they led to to `registry.state`, and what is worth telling
 * of them to `operations`; a state is never seen before the events that explain it. Resolves when Kafka has acknowledged all of it.
 */
export const registryPublisher = ({ kafka, producer, pool, metrics }: PublisherParts) => {
  const logTopic = kafka.topic('registry.log');
  const stateTopic = kafka.topic('registry.state');
  const operationsTopic = kafka.topic('operations');
  const propagation = new Histogram({
    name: 'posthorn_registry_propagation_seconds',
    help: 'Time from the append of a domain event to its acknowledgement in registry.state',
    buckets: SECONDS,
    registers: [metrics],
  });

  return async (batch: readonly RecordedEvent[]): Promise<void> => {
    // The database and the broker work at the same time; what is read stands for the end of the batch already.
    const [rows, operations] = await Promise.all([
      readStates(pool, batch),
      operationsOf(pool, batch),
      ...batch.map((event) => producer.send(logRecord(logTopic, event))),
    ]);
    await Promise.all([
      ...stateRecords(batch, rows).map((record) => producer.send(stateRecord(stateTopic, record))),
      ...operations.map((operation) => producer.send(operationRecord(operationsTopic, operation))),
    ]);
    const nowMs = Date.now();
    for (const { at } of batch) propagation.observe(Math.max(0, nowMs - Date.parse(at)) / 1_000);
  };
};

const logRecord = (topic: string, event: RecordedEvent) => ({
  topic,
  key: aggregateOf(event.stream).id,
  value: JSON.stringify(event satisfies DomainEventRecord),
  headers: { [POSITION_HEADER]: String(event.position), [SCHEMA_HEADER]: SCHEMA_VERSION },
});

const stateRecord = (topic: string, { id, kind, position, value }: StateRecord) => ({
  topic,
  key: id,
  value: value ? JSON.stringify(value) : null,
  headers: { [POSITION_HEADER]: String(position), kind, [SCHEMA_HEADER]: SCHEMA_VERSION },
});

const operationRecord = (topic: string, operation: Operation) => ({
  topic,
  key: operation.tenant,
  value: JSON.stringify(operation),
  headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
});

/** The rows of the batch's aggregates, by stream. */
const readStates = async (pool: Pool, batch: readonly RecordedEvent[]): Promise<ReadonlyMap<string, StateRow>> => {
  const idsOfKind = new Map<AggregateKind, Set<string>>();
  for (const { stream } of batch) {
    const { kind, id } = aggregateOf(stream);
    const ids = idsOfKind.get(kind);
    if (ids) ids.add(id);
    else idsOfKind.set(kind, new Set([id]));
  }
  const states = new Map<string, StateRow>();
  for (const { kind, table } of readModels) {
    const ids = idsOfKind.get(kind);
    if (!ids) continue;
    const { rows } = await pool.query<StateRow & { readonly id: string }>(
      `select id, version, state from ${SCHEMA}.${table} where id = any($1)`,
      [[...ids]],
    );
    for (const { id, version, state } of rows) states.set(streamOf(kind, id), { version, state });
  }
  return states;
};
