import kafkajs, { type PartitionAssigner } from 'kafkajs';
import { createRequire } from 'node:module';
import { readEveryCompression } from './kafkajs-compression.js';
import { gatherHeadersOurselves } from './kafkajs-headers.js';
import { encodeProduceRequestsOurselves } from './kafkajs-produce.js';

/**
 * What this library uses of kafkajs 2.2.4 beyond its public interface, and the places where it changes it. The version is pinned in
 * package.json: whoever raises it reads these modules again.
 */

export type TopicPartitions = { readonly topic: string; readonly partitions: readonly number[] };
type PartitionOffset = { readonly partition: number; readonly offset: string };
export type PartitionCommit = PartitionOffset & { readonly metadata: string | null };

export type FetchedMessage = {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | null | readonly (Buffer | null)[] | undefined>>;
  readonly isControlRecord: boolean;
};

export type FetchedPartition = {
  readonly partition: number;
  readonly highWatermark: string;
  /** The end, for those who do not read open transactions. */
  readonly lastStableOffset: string;
  readonly messages: readonly FetchedMessage[];
};

export type Broker = {
  fetch(request: {
    readonly isolationLevel: number;
    readonly maxWaitTime: number;
    readonly minBytes: number;
    readonly maxBytes: number;
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
    }[];
  }): Promise<{ readonly responses: readonly { readonly topicName: string; readonly partitions: readonly FetchedPartition[] }[] }>;
  heartbeat(request: { readonly groupId: string; readonly groupGenerationId: number; readonly memberId: string }): Promise<unknown>;
  offsetFetch(request: {
    readonly groupId: string;
    readonly topics: readonly { readonly topic: string; readonly partitions: readonly { readonly partition: number }[] }[];
  }): Promise<{
    readonly responses: readonly {
      readonly topic: string;
      readonly partitions: readonly PartitionCommit[];
    }[];
  }>;
};

export type Cluster = {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  isConnected(): boolean;
  addTargetTopic(topic: string): Promise<void>;
  refreshMetadata(): Promise<void>;
  refreshMetadataIfNecessary(): Promise<void>;
  removeBroker(address: { readonly host: string; readonly port: number }): void;
  findBroker(node: { readonly nodeId: string }): Promise<Broker>;
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number }[];
  findLeaderForPartitions(topic: string, partitions: readonly number[]): Readonly<Record<string, readonly number[]>>;
  fetchTopicsOffset(
    topics: readonly { readonly topic: string; readonly partitions: readonly { readonly partition: number }[]; readonly fromBeginning: boolean }[],
  ): Promise<readonly { readonly topic: string; readonly partitions: readonly PartitionOffset[] }[]>;
};

export type ConsumerGroup = {
  readonly cluster: Cluster;
  readonly groupId: string;
  /** Null before the first join and after this member has left or the coordinator has forgotten it. */
  memberId: string | null;
  readonly generationId: number | null;
  readonly coordinator: Broker | null;
  assigned(): readonly TopicPartitions[];
  pause(partitions: readonly TopicPartitions[]): void;
  resume(partitions: readonly TopicPartitions[]): void;
  resolveOffset(at: { readonly topic: string; readonly partition: number; readonly offset: string }): void;
  commitOffsets(offsets: {
    readonly topics: readonly {
      readonly topic: string;
      readonly partitions: readonly PartitionCommit[];
    }[];
  }): Promise<void>;
  joinAndSync(): Promise<void>;
  leave(): Promise<void>;
  recoverFromOffsetOutOfRange(error: { readonly topic: string; readonly partition: number }): Promise<void>;
};

export type GroupHooks = {
  /** A join has begun, which ends with this promise. */
  onJoining(joined: Promise<void>): void;
  /** Before every join; the group still has its old generation, if any. */
  beforeJoin(group: ConsumerGroup): Promise<void>;
  /** After every join, before the first fetch. When it fails the group joins again. */
  afterJoin(group: ConsumerGroup): Promise<void>;
  /** The broker does not have the offset that was to be read next; reading goes on at the beginning of the log. */
  outOfRange(topic: string, partition: number): void;
};

type RequestQueue = {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  scheduleCheckPendingRequests(): void;
};

type CoordinatorFinder = { findGroupCoordinatorMetadata(group: object): Promise<unknown> };

const require = createRequire(import.meta.url);
const groupPrototype = (require('kafkajs/src/consumer/consumerGroup.js') as { readonly prototype: ConsumerGroup }).prototype;
const clusterPrototype = (require('kafkajs/src/cluster/index.js') as { readonly prototype: CoordinatorFinder }).prototype;
const queuePrototype = (require('kafkajs/src/network/requestQueue/index.js') as { readonly prototype: RequestQueue }).prototype;

const hooksOf = new WeakMap<Cluster, GroupHooks>();

/** A round-robin assigner that, as the client sets it up, hands over the cluster that its consumer works with. */
export const capturing =
  (captured: (cluster: Cluster) => void): PartitionAssigner =>
  (config) => {
    // The declared type of the cluster lacks the methods above, which the object has.
    captured(config.cluster as unknown as Cluster);
    return kafkajs.PartitionAssigners.roundRobin(config);
  };

/** From now on the consumer group of this cluster, also the one after a restart, calls the hooks. */
export const hook = (cluster: Cluster, hooks: GroupHooks): void => {
  hooksOf.set(cluster, hooks);
};

/** Joins again while the hook after it fails; kafkajs would go on with a group that has been left half prepared. */
const JOIN_ATTEMPTS = 5;

const hookConsumerGroup = (): void => {
  const join = groupPrototype.joinAndSync;
  const joinHooked = async (group: ConsumerGroup, hooks: GroupHooks): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      await hooks.beforeJoin(group);
      await join.call(group);
      try {
        return await hooks.afterJoin(group);
      } catch (error) {
        if (attempt === JOIN_ATTEMPTS) throw error;
      }
    }
  };
  groupPrototype.joinAndSync = function joinAndSync(this: ConsumerGroup) {
    const hooks = hooksOf.get(this.cluster);
    if (!hooks) return join.call(this);
    const joined = joinHooked(this, hooks);
    hooks.onJoining(joined);
    return joined;
  };
  const recover = groupPrototype.recoverFromOffsetOutOfRange;
  groupPrototype.recoverFromOffsetOutOfRange = async function recoverFromOffsetOutOfRange(this: ConsumerGroup, error) {
    await recover.call(this, error);
    hooksOf.get(this.cluster)?.outOfRange(error.topic, error.partition);
  };
};

/** kafkajs wakes up every millisecond for each connection, to see whether a request is waiting (its issue 1751): only when one can be. */
const calmRequestQueue = (): void => {
  const schedule = queuePrototype.scheduleCheckPendingRequests;
  queuePrototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(this: RequestQueue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
};

/**
 * A broker that is new is still making the topic of its groups when the first of them ask for their coordinator. The client calls that final once its
 * few tries are over, and gives the consumer up; it is an outage like any other, from which it starts the consumer again.
 */
const awaitCoordinators = (): void => {
  const find = clusterPrototype.findGroupCoordinatorMetadata;
  clusterPrototype.findGroupCoordinatorMetadata = async function findGroupCoordinatorMetadata(this: CoordinatorFinder, group) {
    try {
      return await find.call(this, group);
    } catch (error) {
      if (error instanceof kafkajs.KafkaJSNonRetriableError && error.name === 'KafkaJSGroupCoordinatorNotFound') {
        throw new kafkajs.KafkaJSError(error, { retriable: true });
      }
      throw error;
    }
  };
};

hookConsumerGroup();
awaitCoordinators();
calmRequestQueue();
encodeProduceRequestsOurselves();
gatherHeadersOurselves();
readEveryCompression();
