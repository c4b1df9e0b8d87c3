import type { RecordName } from './records.js';

/** A record's `schema` header. A reader ignores unknown fields and refuses an unknown version. */
export const SCHEMA_HEADER = 'schema';
export const SCHEMA_VERSION = '1';

/** A record of our own topics in a version this process does not know: reading on would lose it. */
export class UnknownSchemaError extends Error {
  override readonly name = 'UnknownSchemaError';
}

/** @throws {UnknownSchemaError} */
export const requireKnownSchema = (headers: Readonly<Record<string, Uint8Array | undefined>>): void => {
  const version = headers[SCHEMA_HEADER];
  if (version?.toString() === SCHEMA_VERSION) return;
  throw new UnknownSchemaError(`schema version ${version?.toString() ?? '(none)'} is not known here, only ${SCHEMA_VERSION}`);
};

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** The tiers of the delay wheel, shortest first (design.md, "Delay"). */
export const delayTiers = [
  { name: '1s', ms: 1_000 },
  { name: '5s', ms: 5_000 },
  { name: '30s', ms: 30_000 },
  { name: '2m', ms: 120_000 },
  { name: '10m', ms: 600_000 },
  { name: '1h', ms: HOUR },
  { name: '6h', ms: 6 * HOUR },
] as const;

/**
 * Partitions of the smallest tier: each holds what is due within one part of its six seconds, 400 ms, then what is due a turn later. More would be
 * more exact, and more for its reader to hold.
 */
export const DELAY_SLOTS = 15;

export type DelayTier = (typeof delayTiers)[number]['name'];

export type TopicName =
  | 'events.inbound'
  | 'events.rejected'
  | 'events.accepted'
  | 'events.duplicated'
  | 'registry.log'
  | 'registry.state'
  | 'keys.used'
  | 'operations'
  | 'deliveries.routed'
  | 'deliveries.requested'
  | 'deliveries.attempted'
  | 'deliveries.cancelled'
  | 'deliveries.rounds'
  | `deliveries.delayed.${DelayTier}`;

export type Topic = {
  readonly name: TopicName;
  /** What the record key holds, in words. */
  readonly key: string;
  readonly partitions: number;
  readonly cleanup: 'delete' | 'compact';
  /** How long records are kept; absent on compacted topics and where the log is the only truth (kept for ever). */
  readonly retentionMs?: number;
  /** Whose clock stamps the records. The broker's where the stamp must come out the same when a record is read twice. */
  readonly timestamps: 'producer' | 'broker';
  /** Schema of the record's value; absent for `events.inbound`, whose values are the producers' own. */
  readonly record?: RecordName;
  readonly writers: readonly string[];
  readonly readers: readonly string[];
};

const topic = (name: TopicName, rest: Omit<Topic, 'name' | 'cleanup' | 'timestamps'> & Partial<Topic>): Topic => ({
  name,
  cleanup: 'delete',
  timestamps: 'producer',
  ...rest,
});

/** Partitions of every topic that carries events or deliveries. Equal, so that one subscription's records share a number. */
export const DEFAULT_PARTITIONS = 12;

/**
 * Every topic Posthorn uses. `registry.log` and `registry.state` have one partition each: their order is the order of the event
 * store, which is what lets a single number say how far a reader has come.
 */
export const topics: readonly Topic[] = [
  topic('events.inbound', {
    key: "the producer's own",
    partitions: DEFAULT_PARTITIONS,
    retentionMs: 7 * DAY,
    timestamps: 'broker',
    writers: ['producers'],
    readers: ['event-ingestion'],
  }),
  topic('events.rejected', {
    key: 'tenant',
    partitions: 1,
    retentionMs: 14 * DAY,
    record: 'rejected',
    writers: ['event-ingestion'],
    readers: ['delivery-audit'],
  }),
  topic('events.accepted', {
    key: 'ordering key, else tenant and event id',
    partitions: DEFAULT_PARTITIONS,
    retentionMs: 7 * DAY,
    record: 'accepted',
    writers: ['event-ingestion'],
    readers: ['dispatcher router', 'delivery-audit'],
  }),
  topic('events.duplicated', {
    key: 'its writer: a process, for a time',
    partitions: 1,
    retentionMs: 7 * DAY,
    record: 'duplicated',
    writers: ['event-ingestion'],
    readers: ['delivery-audit'],
  }),
  topic('registry.log', {
    key: 'aggregate id',
    partitions: 1,
    record: 'domainEvent',
    writers: ['subscription-registry'],
    readers: ['delivery-audit', 'operators'],
  }),
  topic('registry.state', {
    key: 'aggregate id',
    partitions: 1,
    cleanup: 'compact',
    record: 'registryState',
    writers: ['subscription-registry'],
    readers: ['subscription-registry', 'event-ingestion', 'dispatcher', 'delivery-audit'],
  }),
  topic('keys.used', {
    key: 'API key and service',
    partitions: 1,
    cleanup: 'compact',
    record: 'keyUsed',
    writers: ['subscription-registry', 'event-ingestion', 'delivery-audit'],
    readers: ['subscription-registry'],
  }),
  topic('operations', {
    key: 'tenant',
    partitions: 1,
    retentionMs: 14 * DAY,
    record: 'operation',
    writers: ['subscription-registry', 'dispatcher sender'],
    readers: ['operators'],
  }),
  topic('deliveries.routed', {
    key: 'event id',
    partitions: DEFAULT_PARTITIONS,
    retentionMs: 7 * DAY,
    record: 'routed',
    writers: ['dispatcher router'],
    readers: ['delivery-audit'],
  }),
  topic('deliveries.requested', {
    key: 'partition of the subscription',
    partitions: DEFAULT_PARTITIONS,
    retentionMs: 7 * DAY,
    record: 'requested',
    writers: ['dispatcher router', 'dispatcher delay', 'delivery-audit'],
    readers: ['dispatcher sender'],
  }),
  topic('deliveries.attempted', {
    key: 'subscription',
    partitions: DEFAULT_PARTITIONS,
    retentionMs: 7 * DAY,
    record: 'attempted',
    writers: ['dispatcher sender'],
    readers: ['delivery-audit', 'subscription-registry'],
  }),
  topic('deliveries.cancelled', {
    key: 'subscription; the partition is that of the delivery in `deliveries.requested`',
    partitions: DEFAULT_PARTITIONS,
    // Longer than the longest wait of a retry schedule, a week and its jitter: whoever comes back from that is to find it here.
    retentionMs: 14 * DAY,
    record: 'cancelled',
    writers: ['delivery-audit'],
    readers: ['dispatcher sender', 'delivery-audit'],
  }),
  topic('deliveries.rounds', {
    key: 'subscription',
    partitions: DEFAULT_PARTITIONS,
    retentionMs: 7 * DAY,
    record: 'rounds',
    writers: ['delivery-audit'],
    readers: ['delivery-audit'],
  }),
  ...delayTiers.map(({ name, ms }) =>
    topic(`deliveries.delayed.${name}`, {
      key: name === '1s' ? 'subscription; the partition is that of its due time' : 'subscription',
      partitions: name === '1s' ? DELAY_SLOTS : 3,
      retentionMs: Math.max(7 * DAY, 28 * ms),
      record: 'requested',
      writers: ['dispatcher sender', 'dispatcher delay'],
      readers: ['dispatcher delay'],
    }),
  ),
];

/** `posthorn.events.inbound.v1`: the name on the broker. */
export const topicOnBroker = (prefix: string, name: TopicName): string => `${prefix}.${name}.v1`;
