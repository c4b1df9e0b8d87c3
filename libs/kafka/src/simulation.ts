/** The parts of a consumer and a producer, for the dispatcher's simulator alone: it runs them against a Kafka of its own. */
export { decodeDone } from './commit-metadata.js';
export { GroupConsumption, type Exit } from './consumer.js';
export type { ConsumerGroup, FetchedMessage, PartitionCommit, TopicPartitions } from './kafkajs-internals.js';
export type { Run } from './commit-metadata.js';
export { PackingProducer, type PlacedRecord, type Transport } from './producer.js';
export type { Time } from './time.js';
