import kafkajs, { type PartitionAssigner } from 'kafkajs';
import { createRequire } from 'node:module';
import type { Headers } from './headers.js';
import { readEveryCompression } from './kafkajs-compression.js';
import { decodeRecordsOurselves } from './kafkajs-decoding.js';
import { gatherHeadersOurselves } from './kafkajs-headers.js';
import { encodeProduceRequestsOurselves } from './kafkajs-produce.js';

/**
 * What this library uses of kafkajs 2.2.4 beyond its public interface, and the places where it changes it. The version is pinned in
 * package.json: whoever raises it reads these modules again.
 */
const KNOWN_VERSION = '2.2.4';

export type TopicPartitions = { readonly topic: string; readonly partitions: readonly number[] };
type PartitionOffset = { readonly partition: number; readonly offset: string };
export type PartitionCommit = PartitionOffset & { readonly metadata: string | null };

/** Of buffers of its own: it does not hold the answer in memory that it came with. */
export type FetchedMessage = {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Headers;
  readonly isControlRecord: boolean;
  /** Absent in old formats, which know no transactions. */
  readonly batchContext?: { readonly producerId: string; readonly inTransaction: boolean };
};

export type AbortedTransaction = { readonly producerId: string; readonly firstOffset: string };

/** `nextOffset`: one past the last offset of the batches that they came in, some of which may not hold that record any more, or none. */
export type FetchedMessages = readonly FetchedMessage[] & { readonly nextOffset?: number | undefined };

export type FetchedPartition = {
  readonly partition: number;
  readonly highWatermark: string;
  /** The end, for those who do not read open transactions. */
  readonly lastStableOffset: string;
  readonly messages: FetchedMessages;
  /** Null or empty when there are none, and for those who read open transactions. */
  readonly abortedTransactions?: readonly AbortedTransaction[] | null;
};

export type FetchRequest = {
  readonly isolationLevel: number;
  readonly maxWaitTime: number;
  readonly minBytes: number;
  readonly maxBytes: number;
  readonly topics: readonly {
    readonly topic: string;
    readonly partitions: readonly { readonly partition: number; readonly fetchOffset: string; readonly maxBytes: number }[];
  }[];
};

export type FetchedTopic = { readonly topicName: string; readonly partitions: readonly FetchedPartition[] };

type Connection = {
  readonly socket?: { destroy(error: Error): void };
  readonly authHandlers: { onError(): void } | null;
};

export type Broker = {
  /** Two: one for fetches, one for everything else. */
  readonly connectionPool: { readonly pool: readonly Connection[] };
  fetch(request: FetchRequest): Promise<{ readonly responses: readonly FetchedTopic[] }>;
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

/** What it takes to read in the client's place. */
export type FetchingGroup = ConsumerGroup & {
  readonly offsetManager: {
    committedOffsets(): Readonly<Record<string, Readonly<Record<number, string | undefined>>>>;
    nextOffset(topic: string, partition: number): object;
  };
  /** Throws when a topic has got more partitions, which the group has to share out. */
  checkForStaleAssignment(): void;
  /** Asks where the group has come to, of partitions of which that is not known. */
  seekOffsets(partitions: readonly TopicPartitions[]): Promise<void>;
  /** Unless there was one in the last `interval` ms. Fails when the group is being put together anew. */
  heartbeat(at: { readonly interval: number }): Promise<void>;
};

type ClientsGroup = FetchingGroup & {
  fetch(nodeId: string): Promise<readonly unknown[]>;
  /** What the client does after a fetch that has failed; throws what it has no remedy for. */
  recoverFromFetch(error: unknown): Promise<void>;
};

export type GroupHooks = {
  /** A join has begun, which ends with this promise. */
  onJoining(joined: Promise<void>): void;
  /** Before every join; the group still has its old generation, if any. */
  beforeJoin(group: ConsumerGroup): Promise<void>;
  /** After every join, before the first fetch. When it fails the group joins again. */
  afterJoin(group: ConsumerGroup): Promise<void>;
  /** Reads from one broker, in the client's place, until something has come or it has waited long enough. Never two at once from the same one. */
  fetch(group: FetchingGroup, nodeId: string): Promise<void>;
  /** The broker does not have the offset that was to be read next; reading goes on at the beginning of the log. */
  outOfRange(topic: string, partition: number): void;
};

type RequestQueue = {
  readonly pending: readonly unknown[];
  readonly throttledUntil: number;
  readonly inflight: ReadonlyMap<number, { readonly sentAt: number; readonly requestTimeout: number; timeoutRequest(): void }>;
  readonly isConnected: () => boolean;
  requestTimeoutIntervalId: NodeJS.Timeout | undefined;
  scheduleCheckPendingRequests(): void;
  scheduleRequestTimeoutCheck(): void;
  destroy(): void;
};

type ConnectionState = {
  chunks: readonly Buffer[];
  bytesBuffered: number;
  bytesNeeded: number;
  isConnected(): boolean;
  connect(): Promise<boolean>;
};

type CoordinatorFinder = { findGroupCoordinatorMetadata(group: object): Promise<unknown> };

const require = createRequire(import.meta.url);
const groupPrototype = (require('kafkajs/src/consumer/consumerGroup.js') as { readonly prototype: ClientsGroup }).prototype;
const clusterPrototype = (require('kafkajs/src/cluster/index.js') as { readonly prototype: CoordinatorFinder }).prototype;
const queuePrototype = (require('kafkajs/src/network/requestQueue/index.js') as { readonly prototype: RequestQueue }).prototype;
const connectionPrototype = (require('kafkajs/src/network/connection.js') as { readonly prototype: ConnectionState }).prototype;

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

const FETCH_CONNECTION = 1;

/** When it is aborted, the connection is given up: a broker answers the requests of a connection in turn. Rejects then. */
export const fetchFrom = async (broker: Broker, request: FetchRequest, signal: AbortSignal): Promise<readonly FetchedTopic[]> => {
  signal.throwIfAborted();
  const hangUp = (): void => {
    const connection = broker.connectionPool.pool[FETCH_CONNECTION];
    // The client does not tell whoever waits to be authenticated that the socket has failed.
    connection?.authHandlers?.onError();
    connection?.socket?.destroy(new Error('called away from a fetch'));
  };
  signal.addEventListener('abort', hangUp, { once: true });
  try {
    return (await broker.fetch(request)).responses;
  } finally {
    signal.removeEventListener('abort', hangUp);
  }
};

/** Joins again while the hook after it fails; kafkajs would go on with a group that has been left half prepared. */
const JOIN_ATTEMPTS = 5;

const hookConsumerGroup = (): void => {
  const join = groupPrototype.joinAndSync;
  const fetch = groupPrototype.fetch;
  groupPrototype.fetch = async function fetchHooked(this: ClientsGroup, nodeId) {
    const hooks = hooksOf.get(this.cluster);
    if (!hooks) return fetch.call(this, nodeId);
    try {
      await hooks.fetch(this, nodeId);
    } catch (error) {
      await this.recoverFromFetch(error);
    }
    // Nothing is left for the client to hand over. It sees to its heartbeat.
    return [];
  };
  const joinHooked = async (group: ClientsGroup, hooks: GroupHooks): Promise<void> => {
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
  groupPrototype.joinAndSync = function joinAndSync(this: ClientsGroup) {
    const hooks = hooksOf.get(this.cluster);
    if (!hooks) return join.call(this);
    const joined = joinHooked(this, hooks);
    hooks.onJoining(joined);
    return joined;
  };
  const recover = groupPrototype.recoverFromOffsetOutOfRange;
  groupPrototype.recoverFromOffsetOutOfRange = async function recoverFromOffsetOutOfRange(this: ClientsGroup, error) {
    await recover.call(this, error);
    hooksOf.get(this.cluster)?.outOfRange(error.topic, error.partition);
  };
};

const TIMEOUT_CHECK_MS = 1_000;

/** In the place of kafkajs' own, which looks ten times a second on each connection whether a request has waited for its 30 s. */
function scheduleRequestTimeoutCheck(this: RequestQueue): void {
  this.destroy();
  this.requestTimeoutIntervalId = setInterval(() => {
    const nowMs = Date.now();
    for (const request of this.inflight.values()) if (nowMs - request.sentAt > request.requestTimeout) request.timeoutRequest();
    if (!this.isConnected()) this.destroy();
  }, TIMEOUT_CHECK_MS);
}

/** kafkajs wakes up every millisecond for each connection, to see whether a request is waiting (its issue 1751): only when one can be. */
const calmRequestQueue = (): void => {
  const schedule = queuePrototype.scheduleCheckPendingRequests;
  queuePrototype.scheduleCheckPendingRequests = function scheduleCheckPendingRequests(this: RequestQueue) {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
  queuePrototype.scheduleRequestTimeoutCheck = scheduleRequestTimeoutCheck;
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

/** An answer begins with its length. */
const LENGTH_BYTES = 4;

/**
 * The client connects again with what it had of an answer when the connection ended, and takes the next answer for the rest of it: whatever is
 * asked from then on waits until it times out, and is never read.
 */
const beginAnswersAnew = (): void => {
  const connect = connectionPrototype.connect;
  connectionPrototype.connect = function connectAnew(this: ConnectionState) {
    if (!this.isConnected()) {
      this.chunks = [];
      this.bytesBuffered = 0;
      this.bytesNeeded = LENGTH_BYTES;
    }
    return connect.call(this);
  };
};

/** In another version what is replaced here may not be used any more: records would be fetched, and handed over to nobody. */
export const assertKnown = (version: string): void => {
  if (version !== KNOWN_VERSION) throw new Error(`kafkajs is ${version}, and what is changed of it is known of ${KNOWN_VERSION} only`);
};

assertKnown((require('kafkajs/package.json') as { readonly version: string }).version);
hookConsumerGroup();
awaitCoordinators();
beginAnswersAnew();
calmRequestQueue();
encodeProduceRequestsOurselves();
// Before anything requires the decoding of batches, which keeps the decoder of records that it finds.
gatherHeadersOurselves();
decodeRecordsOurselves();
readEveryCompression();
