import type { Consumer, Kafka as Client } from 'kafkajs';
import { KafkaError, messageOf } from './errors.js';
import { Fetching, HEARTBEAT_MS, type Fetched } from './fetching.js';
import { committedProgress, keyOf, logOffsets } from './group-offsets.js';
import type { IncomingRecord, Partition } from './incoming.js';
import { capturing, hook, type Cluster, type ConsumerGroup, type FetchingGroup, type GroupHooks, type PartitionCommit, type TopicPartitions } from './kafkajs-internals.js';
import { PACE } from './pace.js';
import type { Progress } from './partition-window.js';
import { Reading } from './reading.js';
import type { Logger } from './settings.js';
import { whenSettled } from './settling.js';
import { realTime, type Time } from './time.js';
import { Watchdog, type Stall } from './watchdog.js';

export type ConsumeOptions = {
  readonly groupId: string;
  /** Names on the broker. A group that has not committed yet begins at the beginning. */
  readonly topics: readonly string[];
  /** Must neither throw nor wait: a record is finished by its `done()`. */
  readonly onRecord: (record: IncomingRecord) => void;
  /**
   * The partition is ours to read: called before its first record, and again whenever the group has been joined anew and it has stayed.
   * @param committed no record below this offset will be handed over
   */
  readonly onAssigned?: ((topic: string, partition: number, committed: number) => void) | undefined;
  /** The partition has gone to another member; its records in flight are `revoked`. */
  readonly onRevoked?: ((topic: string, partition: number) => void) | undefined;
  /** Bytes in flight at which a partition is paused until half of them are done; default 4 MiB. */
  readonly windowBytes?: number | undefined;
  /** The same for all partitions together; default 16 MiB. */
  readonly totalBytes?: number | undefined;
  /**
   * For a reader whom nobody waits for: what comes alone is read at once, and after a fetch that brought anything, but less than there was and less than
   * so much, the next one begins so long after it began. Default: a few milliseconds, and only after two records or more. It also bounds how late a
   * partition is read again that is resumed while others are read; default 100 ms.
   */
  readonly patience?: { readonly minBytes: number; readonly maxWaitMs: number } | undefined;
  /** How long a rebalance or close() waits for the records in flight; default 10 s. */
  readonly drainMs?: number | undefined;
  /**
   * For a reader that keeps records which do not get done by waiting for them. Asked when partitions may be taken away: nothing more is to be begun
   * until one is assigned, and a rebalance or close() waits for what was begun, rather than for all records in flight. It will be somebody else's to
   * do what was not.
   */
  readonly hold?: (() => Promise<void>) | undefined;
  /** A partition with work that makes no progress for so long is reported by `stalled`; default 5 min. Infinity: nobody looks. */
  readonly stallMs?: number | undefined;
  /** After twice `stallMs`; default: log and end the process, because a new start is the one remedy left. */
  readonly onStalled?: ((stall: Stall) => void) | undefined;
};

export interface Consumption {
  /** Records up to the end of the log that are not done, per topic, over the partitions assigned here. */
  readonly lag: ReadonlyMap<string, number>;
  /**
   * When the oldest record that is not done was written (ms since the epoch, by the clock that stamps the topic), per topic, over the partitions
   * assigned here; undefined when nothing that was read is in flight. What was not read yet is younger than what keeps it waiting.
   */
  readonly oldestMs: ReadonlyMap<string, number | undefined>;
  readonly inFlight: number;
  readonly inFlightBytes: number;
  /** The offset that the group has committed: whoever reads the partition begins there. Undefined when it is not assigned here. */
  committed(topic: string, partition: number): number | undefined;
  /** Whether the group knows that a record is done: it is not handed over again, to nobody. */
  isCommitted(topic: string, partition: number, offset: number): boolean;
  /** Asks the group whether it still counts on this member: not while it changes, nor when it has gone on without it, which a member hears of later. */
  isMember(): Promise<boolean>;
  /** Member of the group, and reading what it was assigned. */
  readonly assigned: boolean;
  /** A reason not to be ready, in words. */
  readonly stalled: string | undefined;
  /** Stops reading, waits for the records in flight up to `drainMs`, commits, leaves the group. */
  close(): Promise<void>;
}

/** Ends the process; what it logs before says why. */
export type Exit = (fields: object, reason: string) => void;

const MIB = 1024 * 1024;
const COMMIT_INTERVAL_MS = 500;
const WATCH_INTERVAL_MS = 1_000;
/** Short, so that a process that was killed does not hold up its partitions, and with them the whole group, for long. */
const SESSION_TIMEOUT_MS = 10_000;
const RESUME_MS = 100;
/** On closing. Others who join may keep the group waiting for longer. */
const JOIN_PATIENCE_MS = 5_000;

const at = ({ topic, partition }: Partition): readonly TopicPartitions[] => [{ topic, partitions: [partition] }];

/** One member of a consumer group, from joining to leaving. */
export class GroupConsumption implements Consumption, GroupHooks {
  readonly #reading: Reading;
  #isAssigned = false;
  /**
   * The windows hold what the group has committed. Not so between a join and what follows it: another member may have come further meanwhile, and
   * to commit what a window knew before would take the group back.
   */
  #isUpToDate = false;
  #isClosing = false;
  #group: ConsumerGroup | undefined;
  #consumer: Consumer | undefined;
  #committing: Promise<void> | undefined;
  #joining: Promise<void> | undefined;
  #timers: readonly (() => void)[] = [];
  #stalled: string | undefined;
  #hasStalled = false;
  readonly #watchdog: Watchdog;
  readonly #drainMs: number;
  readonly #fetching: Fetching;

  constructor(
    private readonly options: ConsumeOptions,
    private readonly log: Logger,
    private readonly exit: Exit,
    private readonly time: Time = realTime,
  ) {
    this.#reading = new Reading({
      windowBytes: options.windowBytes ?? 4 * MIB,
      totalBytes: options.totalBytes ?? 16 * MIB,
      onRecord: (record) => this.#handOver(record),
      onPaused: (partition) => this.#group?.pause(at(partition)),
      onResumed: (partition) => {
        this.#group?.resume(at(partition));
        this.#fetching.resumed();
      },
    });
    this.#drainMs = options.drainMs ?? 10_000;
    this.#watchdog = new Watchdog(options.stallMs ?? 300_000);
    const { patience } = options;
    this.#fetching = new Fetching({
      pace: patience ? { minRecords: 1, enoughBytes: patience.minBytes, everyMs: patience.maxWaitMs } : PACE,
      resumeMs: patience?.maxWaitMs ?? RESUME_MS,
      time,
      isPaused: (topic, partition) => this.#reading.get(topic, partition)?.isPaused ?? true,
      onFetched: (fetched) => this.take(fetched),
    });
  }

  /** Resolves when the group has been joined; or when the first attempt has failed, further ones being under way. */
  async start(client: Client): Promise<void> {
    const { groupId, topics } = this.options;
    const consumer = client.consumer({
      groupId,
      sessionTimeout: SESSION_TIMEOUT_MS,
      heartbeatInterval: HEARTBEAT_MS,
      // Others of the group may drain for as long as we may before they join.
      rebalanceTimeout: this.#drainMs + 30_000,
      allowAutoTopicCreation: false,
      partitionAssigners: [capturing((cluster: Cluster) => hook(cluster, this))],
    });
    this.#consumer = consumer;
    consumer.on('consumer.crash', ({ payload: { error, restart } }) => {
      this.#isAssigned = false;
      this.#reading.stop();
      if (this.#isClosing) {
        // The client sets the timer of its restart after this.
        if (restart) setImmediate(() => void consumer.stop());
        return;
      }
      if (restart) this.log.warn({ groupId, error: messageOf(error) }, 'consumer lost Kafka; joining the group again');
      else this.exit({ groupId, error }, 'consumer failed for good');
    });
    await consumer.connect();
    await whenSettled(() => consumer.subscribe({ topics: [...topics], fromBeginning: true }));
    this.#timers = [
      this.time.every(COMMIT_INTERVAL_MS, () => void this.#commit()),
      ...(this.#watchdog.stallMs === Infinity ? [] : [this.time.every(Math.min(WATCH_INTERVAL_MS, this.#watchdog.stallMs / 2), () => this.#watch())]),
    ];
    await consumer.run({ autoCommit: false });
  }

  get lag(): ReadonlyMap<string, number> {
    return this.#reading.lag(this.options.topics);
  }

  get oldestMs(): ReadonlyMap<string, number | undefined> {
    return this.#reading.oldestMs(this.options.topics);
  }

  get inFlight(): number {
    return this.#reading.inFlight;
  }

  get inFlightBytes(): number {
    return this.#reading.inFlightBytes;
  }

  committed(topic: string, partition: number): number | undefined {
    return this.#reading.get(topic, partition)?.committed.offset;
  }

  isCommitted(topic: string, partition: number, offset: number): boolean {
    return this.#reading.isCommitted(topic, partition, offset);
  }

  async isMember(): Promise<boolean> {
    const { coordinator, groupId, memberId, generationId } = this.#group ?? {};
    if (!coordinator || !groupId || !memberId || generationId == null) return false;
    return coordinator.heartbeat({ groupId, memberId, groupGenerationId: generationId }).then(() => true, () => false);
  }

  get assigned(): boolean {
    return this.#isAssigned;
  }

  get stalled(): string | undefined {
    return this.#stalled;
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    this.#reading.stop();
    await this.#drained();
    for (const cancel of this.#timers) cancel();
    await this.#commit();
    await this.#joined();
    const leaving = this.#consumer?.disconnect();
    this.#fetching.callAway();
    await leaving;
    this.#isAssigned = false;
    for (const partition of this.#reading.partitions) this.#drop(partition);
  }

  /** Resolves when no join is under way, or after a while: who is cut off while it joins stays a member until its session ends. */
  async #joined(): Promise<void> {
    await this.#orAfter(JOIN_PATIENCE_MS, this.#joining);
  }

  /** Resolves when nothing is in flight, or nothing of it begun, or after `drainMs`. */
  async #drained(): Promise<void> {
    await this.#orAfter(this.#drainMs, this.options.hold ? this.options.hold() : this.#reading.idle());
  }

  async #orAfter(ms: number, promise: Promise<void> | undefined): Promise<void> {
    let cancel: (() => void) | undefined;
    const late = new Promise<void>((resolve) => (cancel = this.time.after(ms, resolve)));
    await Promise.race([promise, late]).finally(() => cancel?.());
  }

  /** What has been read. In the simulator whoever stands in for Kafka hands it over. */
  take({ topic, partition, messages, lastOffset, highWatermark }: Fetched): void {
    const home = this.#reading.get(topic, partition);
    // A rebalance or the end is under way: not resolved, so it will be read again by whoever is to have it.
    if (!home || !this.#reading.isOpen) return;
    this.#reading.handOver(home, messages, Number(lastOffset) + 1, Number(highWatermark));
    this.#group?.resolveOffset({ topic, partition, offset: lastOffset });
  }

  #handOver(record: IncomingRecord): void {
    try {
      this.options.onRecord(record);
    } catch (error) {
      const { topic, partition, offset } = record;
      this.exit({ topic, partition, offset, error }, 'the handler of a record threw');
    }
  }

  // The group

  fetch(group: FetchingGroup, nodeId: string): Promise<void> {
    return this.#fetching.fetch(group, nodeId);
  }

  onJoining(joined: Promise<void>): void {
    this.#joining = joined.catch(() => undefined);
  }

  async beforeJoin(group: ConsumerGroup): Promise<void> {
    this.#isAssigned = false;
    this.#reading.stop();
    await this.#handBack(group);
    this.#isUpToDate = false;
    // The client's stop does not reach one that is about to join: it would go on reading, unseen, until the process ends.
    if (this.#isClosing) throw new KafkaError('closed', 'the consumer is closed');
  }

  /** Before the group takes the partitions away. */
  async #handBack(group: ConsumerGroup): Promise<void> {
    // After a restart of the client the group object is new. As the member it was, it need not wait until the coordinator has given that one up.
    if (group !== this.#group) group.memberId ??= this.#group?.memberId ?? null;
    const { coordinator, groupId, memberId, generationId } = group;
    // Without these the group has already gone on without us: nothing that we could still commit would count.
    if (!coordinator || !memberId || generationId === null || this.#reading.partitions.length === 0) {
      void this.options.hold?.();
      return;
    }
    const stopHeartbeat = this.time.every(HEARTBEAT_MS, () => {
      coordinator.heartbeat({ groupId, memberId, groupGenerationId: generationId }).catch(() => undefined);
    });
    const { inFlight } = this;
    if (inFlight > 0) this.log.info({ groupId, inFlight }, 'waiting for the records in flight before the group changes');
    await this.#drained();
    stopHeartbeat();
    await this.#commit();
  }

  async afterJoin(group: ConsumerGroup): Promise<void> {
    this.#group = group;
    const assigned = group.assigned();
    const progress = await committedProgress(group, assigned);
    const ends = await logOffsets(group.cluster, assigned, false);
    for (const partition of this.#reading.partitions) {
      if (!progress.has(keyOf(partition.topic, partition.partition))) this.#drop(partition);
    }
    for (const { topic, partitions } of assigned) {
      for (const partition of partitions) {
        const key = keyOf(topic, partition);
        this.#assign(group, topic, partition, progress.get(key), ends.get(key));
      }
    }
    this.#isUpToDate = true;
    if (this.#isClosing) {
      await group.leave();
      throw new KafkaError('closed', 'the consumer is closed');
    }
    this.#isAssigned = true;
    // The client remembers pauses from before the join, but not across its own restart.
    group.resume(assigned);
    // With several brokers one may still be asked for what was ours before.
    this.#fetching.callAway();
    this.#reading.open();
    this.log.info({ groupId: group.groupId, assigned, inFlight: this.inFlight }, 'joined the group');
  }

  #assign(group: ConsumerGroup, topic: string, partition: number, progress: Progress = { offset: 0, done: [] }, end = 0): void {
    const hasComeBack = this.#reading.assign(topic, partition, progress, end);
    const position = this.#reading.get(topic, partition)?.window.position ?? 0;
    if (hasComeBack) group.resolveOffset({ topic, partition, offset: String(position - 1) });
    this.options.onAssigned?.(topic, partition, progress.offset);
  }

  #drop(partition: Partition): void {
    this.#reading.drop(partition);
    this.options.onRevoked?.(partition.topic, partition.partition);
  }

  outOfRange(topic: string, partition: number): void {
    const assigned = this.#reading.get(topic, partition);
    if (!assigned) return;
    this.log.error(
      { topic, partition, offset: assigned.window.position },
      'records were deleted before they were read, or the topic was made anew; going on at its beginning',
    );
    this.#reading.startOver(assigned);
  }

  // Commits

  /** One at a time: a commit that overtook an earlier one would take the group back. */
  async #commit(): Promise<void> {
    while (this.#committing) await this.#committing;
    this.#committing = this.#commitChanges().finally(() => (this.#committing = undefined));
    await this.#committing;
  }

  async #commitChanges(): Promise<void> {
    if (!this.#isUpToDate || !this.#group?.memberId) return;
    const changes = this.#reading.changes();
    if (changes.length === 0) return;
    const byTopic = new Map<string, PartitionCommit[]>();
    for (const { partition: { topic, partition }, offset, metadata } of changes) {
      const commits = byTopic.get(topic) ?? [];
      commits.push({ partition, offset: String(offset), metadata });
      byTopic.set(topic, commits);
    }
    try {
      await this.#group.commitOffsets({ topics: [...byTopic].map(([topic, partitions]) => ({ topic, partitions })) });
      for (const { commit } of changes) commit();
    } catch (error) {
      // The next one, half a second later, says the same and more.
      this.log.debug({ groupId: this.options.groupId, error: messageOf(error) }, 'commit failed');
    }
    this.#reading.regulate();
  }

  // Watchdog

  #watch(): void {
    const [worst] = this.#watchdog.look(this.#reading.pulses, this.time.nowMs());
    if (!worst) {
      this.#stalled = undefined;
      this.#hasStalled = false;
      return;
    }
    const { topic, partition, offset, forMs } = worst;
    if (this.#stalled === undefined) this.log.error({ ...worst }, 'a partition makes no progress');
    this.#stalled = `${topic} partition ${partition} has been at offset ${offset} for ${Math.round(forMs / 1000)} s`;
    if (forMs < 2 * this.#watchdog.stallMs || this.#hasStalled) return;
    this.#hasStalled = true;
    if (this.options.onStalled) this.options.onStalled(worst);
    else this.exit({ ...worst }, 'a partition makes no progress; a new start may help');
  }
}
