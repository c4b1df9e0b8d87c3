import { requireKnownSchema, type TopicName } from '@posthorn/contracts';
import type { IncomingRecord, Kafka } from '@posthorn/kafka';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfDuplicated, rowsOfRejected, rowsOfRounds, rowsOfRouted } from './records.js';
import { rowsOfRegistryLog } from './registry-log.js';
import type { RecordRows } from './rows.js';

/** What the tables are folded from, by topic: a record's value → rows. */
const foldsByTopic = {
  'events.accepted': rowsOfAccepted,
  'deliveries.routed': rowsOfRouted,
  'deliveries.attempted': rowsOfAttempted,
  'deliveries.cancelled': rowsOfCancelled,
  'deliveries.rounds': rowsOfRounds,
  'events.rejected': rowsOfRejected,
  'events.duplicated': rowsOfDuplicated,
  'registry.log': rowsOfRegistryLog,
} as const satisfies Partial<Record<TopicName, (value: Buffer) => RecordRows>>;

export const foldedTopics = Object.keys(foldsByTopic) as readonly (keyof typeof foldsByTopic)[]; // What it was declared with

/** By the topic's name on the broker. */
export type Folds = ReadonlyMap<string, (value: Buffer) => RecordRows>;

export const foldsOf = (kafka: Pick<Kafka, 'topic'>): Folds => new Map(foldedTopics.map((name) => [kafka.topic(name), foldsByTopic[name]]));

/**
 * @param folds of the topic that the record is from, among others
 * @throws {Error} when the record is not what it should be
 */
export const foldRecord = (folds: Folds, { topic, value, headers }: Pick<IncomingRecord, 'topic' | 'value' | 'headers'>): RecordRows => {
  requireKnownSchema(headers);
  const fold = folds.get(topic);
  if (fold === undefined) throw new TypeError('this topic is not one of the audit');
  if (value === null) throw new TypeError('the record has no value');
  return fold(value);
};
