import { KafkaError, messageOf, protocolError } from './errors.js';
import { nextPosition, readableEnd } from './fetched.js';
import type { IncomingRecord } from './incoming.js';
import { fetchFrom, type Broker, type Cluster, type FetchedPartition } from './kafkajs-internals.js';
import { PACE, FETCH_BYTES, FETCH_PARTITION_BYTES, inTurn, restMs, yieldOf } from './pace.js';
import type { Logger } from './settings.js';
import { whenSettled } from './settling.js';

export type FollowedRecord = Pick<IncomingRecord, 'key' | 'value' | 'headers' | 'offset' | 'partition' | 'timestampMs'>;

export type FollowOptions = {
  /** Name on the broker. */
  readonly topic: string;
  /** Where to begin, by partition; where nothing is said, or the log does not go back so far, at its beginning. */
  readonly from?: ReadonlyMap<number, number> | undefined;
  /** In order per partition; must neither throw nor wait. */
  readonly onRecord: (record: FollowedRecord) => void;
  /** Asked before more is fetched, of which it may be too much to hold; default: at once. Whoever closes the following resolves it. */
  readonly whenReady?: (() => Promise<void>) | undefined;
};

export interface Following {
  /** Has read up to the end as it was at the start. */
  readonly caughtUp: Promise<void>;
  /** Records up to the end of the log, as far as it has been seen. */
  readonly lag: number;
  /** Resolves when everything in the topic at the moment of the call has been handed over. */
  readToEnd(): Promise<void>;
  close(): Promise<void>;
}

/** What following needs of a Kafka client. */
export type Source = {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  /** First offset, or one past the last, of every partition. */
  offsets(end: 'first' | 'last'): Promise<ReadonlyMap<number, number>>;
  /** Partitions by the broker that leads them. */
  leaders(): Promise<readonly (readonly number[])[]>;
  /** From partitions that one broker leads; waits up to `maxWaitMs` for the first record. Rejects soon when it is aborted. */
  fetch(positions: ReadonlyMap<number, number>, maxWaitMs: number, signal: AbortSignal): Promise<readonly FetchedPartition[]>;
  /** After a failure: forgets what it knew of the cluster. */
  refresh(error: unknown): Promise<void>;
};

/** How long a fetch waits when nothing comes. */
const IDLE_MS = 5_000;
/** The same when one partition is asked alone, and the others wait. */
const HOLE_MS = 250;
const MAX_BACKOFF_MS = 1_000;
const READ_COMMITTED = 1;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Reading from the brokers that lead the partitions, until one of them fails. */
type Session = { readonly over: AbortController; isAlive: boolean };

type Waiter = { readonly upTo: ReadonlyMap<number, number>; readonly resolve: () => void; readonly reject: (error: KafkaError) => void };

/** Reads a topic from its beginning, or from where it is told to, and goes on: no group, no commits, every process for itself. */
export class TopicFollowing implements Following {
  readonly caughtUp: Promise<void>;
  readonly #positions = new Map<number, number>();
  readonly #ends = new Map<number, number>();
  #waiters: readonly Waiter[] = [];
  #isClosed = false;
  #session: Session | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(
    private readonly options: FollowOptions,
    private readonly source: Source,
    private readonly log: Logger,
    private readonly exit: (fields: object, reason: string) => void,
    private readonly onClosed: () => void = () => undefined,
  ) {
    this.caughtUp = new Promise((resolve, reject) => void (this.#onCaughtUp = { resolve, reject }));
    // Whoever does not ask for it need not handle that it was closed before.
    this.caughtUp.catch(() => undefined);
  }

  #onCaughtUp: Pick<Waiter, 'resolve' | 'reject'> = { resolve: () => undefined, reject: () => undefined };

  async start(): Promise<void> {
    const { first, last } = await this.#open();
    for (const [partition, offset] of first) this.#positions.set(partition, this.#beginning(offset, last.get(partition) ?? offset, partition));
    for (const [partition, offset] of last) this.#ends.set(partition, offset);
    this.#await({ upTo: last, ...this.#onCaughtUp });
    this.#running = this.#run();
  }

  #beginning(first: number, last: number, partition: number): number {
    return Math.min(Math.max(first, this.options.from?.get(partition) ?? first), last);
  }

  /** A topic that another service has just made is listed before every broker that is to lead a partition of it does. */
  #open(): Promise<{ readonly first: ReadonlyMap<number, number>; readonly last: ReadonlyMap<number, number> }> {
    const open = async () => {
      await this.source.connect();
      return { first: await this.source.offsets('first'), last: await this.source.offsets('last') };
    };
    return whenSettled(open, { between: (error) => this.source.refresh(error) });
  }

  get lag(): number {
    let lag = 0;
    for (const [partition, end] of this.#ends) lag += Math.max(0, end - (this.#positions.get(partition) ?? 0));
    return lag;
  }

  async readToEnd(): Promise<void> {
    if (this.#isClosed) throw new KafkaError('closed', 'no longer following');
    const upTo = await this.source.offsets('last');
    await new Promise<void>((resolve, reject) => this.#await({ upTo, resolve, reject }));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#session?.over.abort();
    await this.#running;
    await this.source.disconnect();
    const error = new KafkaError('closed', `no longer following ${this.options.topic}`);
    for (const { reject } of this.#waiters) reject(error);
    this.#onCaughtUp.reject(error);
    this.onClosed();
  }

  /** One loop per broker; when one fails all end, and begin anew with what the cluster looks like then. */
  async #run(): Promise<void> {
    for (let failures = 0; !this.#isClosed; ) {
      let failure: unknown;
      const session: Session = { over: new AbortController(), isAlive: false };
      this.#session = session;
      try {
        const leaders = await this.source.leaders();
        const loops = leaders.map((partitions) => this.#readBroker(partitions, session));
        await Promise.all(loops.map((loop) => loop.catch((error: unknown) => void ((failure ??= error), session.over.abort()))));
      } catch (error) {
        failure = error;
      }
      if (failure === undefined || this.#isClosed) continue;
      failures = session.isAlive ? 1 : failures + 1;
      if (failures === 1) this.log.warn({ topic: this.options.topic, error: messageOf(failure) }, 'reading failed; trying until it does not');
      await sleep(Math.min(MAX_BACKOFF_MS, 50 * 2 ** Math.min(failures, 8)));
      await this.#recover(failure).catch(() => undefined);
    }
  }

  async #recover(failure: unknown): Promise<void> {
    await this.source.refresh(failure);
    if (protocolError(failure) !== 'OFFSET_OUT_OF_RANGE') return;
    const [first, last] = [await this.source.offsets('first'), await this.source.offsets('last')];
    for (const [partition, offset] of first) {
      const position = this.#positions.get(partition) ?? 0;
      if (position >= offset && position <= (last.get(partition) ?? 0)) continue;
      this.log.error({ topic: this.options.topic, partition, position }, 'the log no longer has what was to be read; reading it from its beginning');
      this.#positions.set(partition, offset);
    }
    this.#release();
  }

  async #readBroker(partitions: readonly number[], session: Session): Promise<void> {
    const { signal } = session.over;
    let isHole = false;
    for (let turn = 0; !signal.aborted && !this.#isClosed; turn++) {
      const asked = isHole ? partitions.filter((partition) => this.#isBehind(partition)).slice(0, 1) : inTurn(partitions, turn);
      const positions = new Map(asked.map((partition) => [partition, this.#positions.get(partition) ?? 0]));
      if (this.options.whenReady) {
        await this.options.whenReady();
        if (signal.aborted || this.#isClosed) return;
      }
      const beganMs = performance.now();
      const fetched = await this.source.fetch(positions, isHole ? HOLE_MS : IDLE_MS, signal);
      session.isAlive = true;
      let isEmpty = true;
      for (const partition of fetched) {
        const hasCome = this.#handOver(partition);
        isEmpty &&= !hasCome;
      }
      isHole = this.#leaveHole(asked, isEmpty, isHole);
      this.#release();
      const pauseMs = restMs(yieldOf(fetched, beganMs), PACE, performance.now());
      if (pauseMs > 0) await sleep(pauseMs);
    }
  }

  #isBehind(partition: number): boolean {
    return (this.#positions.get(partition) ?? 0) < (this.#ends.get(partition) ?? 0);
  }

  /**
   * Nothing came although the log goes on: the offsets were compacted away, and not even an empty batch was left in their place. Asked alone
   * (otherwise the answer may merely have been full), the partition steps over one.
   */
  #leaveHole(asked: readonly number[], isEmpty: boolean, wasHole: boolean): boolean {
    if (!isEmpty) return false;
    const [alone] = asked;
    if (wasHole && alone !== undefined && this.#isBehind(alone)) this.#positions.set(alone, (this.#positions.get(alone) ?? 0) + 1);
    return asked.some((partition) => this.#isBehind(partition)) || wasHole;
  }

  /** Whether anything has come, be it an empty batch. */
  #handOver(fetched: FetchedPartition): boolean {
    const { partition, messages } = fetched;
    this.#ends.set(partition, readableEnd(fetched));
    const position = this.#positions.get(partition) ?? 0;
    for (const { offset, isControlRecord, key, value, timestamp, headers } of messages) {
      // A batch is fetched whole, also when the position is in its middle.
      if (isControlRecord || Number(offset) < position) continue;
      try {
        this.options.onRecord({ key, value, headers, offset, partition, timestampMs: Number(timestamp) });
      } catch (error) {
        this.exit({ topic: this.options.topic, partition, offset, error }, 'the handler of a record threw');
      }
    }
    const next = nextPosition(fetched, position);
    this.#positions.set(partition, next);
    return next > position;
  }

  #await(waiter: Waiter): void {
    this.#waiters = [...this.#waiters, waiter];
    this.#release();
  }

  #release(): void {
    this.#waiters = this.#waiters.filter(({ upTo, resolve }) => {
      for (const [partition, end] of upTo) if ((this.#positions.get(partition) ?? 0) < end) return true;
      resolve();
      return false;
    });
  }
}

/** Through the cluster of a consumer that never joins its group. */
export const sourceOf = (cluster: Cluster, topic: string): Source => {
  const partitions = (): readonly number[] => cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId);
  const leaderOf = new Map<number, string>();
  const brokerOf = async (asked: Iterable<number>): Promise<Broker> => {
    const [first = 0] = asked;
    return cluster.findBroker({ nodeId: leaderOf.get(first) ?? '' });
  };
  return {
    async connect() {
      await cluster.connect();
      await cluster.addTargetTopic(topic);
    },
    disconnect: () => cluster.disconnect(),
    async offsets(end) {
      await cluster.refreshMetadataIfNecessary();
      const [answer] = await cluster.fetchTopicsOffset([
        { topic, fromBeginning: end === 'first', partitions: partitions().map((partition) => ({ partition })) },
      ]);
      return new Map(answer?.partitions.map(({ partition, offset }) => [partition, Number(offset)]));
    },
    async leaders() {
      await cluster.refreshMetadataIfNecessary();
      const byNode = Object.entries(cluster.findLeaderForPartitions(topic, partitions()));
      for (const [node, led] of byNode) for (const partition of led) leaderOf.set(partition, node);
      return byNode.map(([, led]) => led);
    },
    async fetch(positions, maxWaitMs, signal) {
      const asked = [...positions].map(([partition, offset]) => ({ partition, fetchOffset: String(offset), maxBytes: FETCH_PARTITION_BYTES }));
      const request = { isolationLevel: READ_COMMITTED, maxWaitTime: maxWaitMs, minBytes: 1, maxBytes: FETCH_BYTES, topics: [{ topic, partitions: asked }] };
      return (await fetchFrom(await brokerOf(positions.keys()), request, signal)).flatMap(({ partitions }) => partitions);
    },
    async refresh(error) {
      if (hasAddress(error)) cluster.removeBroker(error);
      await cluster.refreshMetadata();
    },
  };
};

const hasAddress = (error: unknown): error is Error & { readonly host: string; readonly port: number } =>
  error instanceof Error && 'host' in error && typeof error.host === 'string' && 'port' in error && typeof error.port === 'number';
