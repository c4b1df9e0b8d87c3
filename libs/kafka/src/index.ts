export type { Consumption, ConsumeOptions } from './consumer.js';
export { KafkaError, type KafkaErrorCode } from './errors.js';
export type { FollowedRecord, FollowOptions, Following } from './follow.js';
export type { IncomingRecord } from './incoming.js';
export { Kafka, type Extent, type KafkaOptions } from './kafka.js';
export type { GuardVerdict, OutgoingRecord, Producer, ProducerGuard, ProducerOptions } from './producer.js';
export type { KafkaSettings, Logger, SaslSettings } from './settings.js';
export { MAX_MESSAGE_BYTES } from './topics.js';
export type { Stall } from './watchdog.js';
