import { nextPosition, readableEnd } from './fetched.js';
import { keyOf } from './group-offsets.js';
import { fetchFrom, type FetchedMessage, type FetchedPartition, type FetchingGroup, type FetchRequest } from './kafkajs-internals.js';
import { FETCH_BYTES, FETCH_PARTITION_BYTES, inTurn, restMs, yieldOf, type Pace, type Yield } from './pace.js';
import type { Time } from './time.js';
import { committedOf } from './transactions.js';

/** What has come of one partition: never nothing at all, but perhaps nothing for whoever reads it. */
export type Fetched = {
  readonly topic: string;
  readonly partition: number;
  /** Without control records and those of aborted transactions. */
  readonly messages: readonly FetchedMessage[];
  /** Of what was there: at least of the last record, or behind it where compaction has taken more away. */
  readonly lastOffset: string;
  /** One past the last record, as far as can be read. */
  readonly highWatermark: string;
};

type FetchingParts = {
  readonly pace: Pace;
  /** How long a fetch waits that leaves paused partitions out, and with that how late one that is resumed is read again. */
  readonly resumeMs: number;
  readonly time: Time;
  readonly isPaused: (topic: string, partition: number) => boolean;
  readonly onFetched: (fetched: Fetched) => void;
};

type Place = { readonly topic: string; readonly partition: number };

type Round = {
  readonly away: AbortController;
  /** It leaves out what is paused and would not notice for long that it no longer is. */
  missesPaused: boolean;
};

/** How long a fetch waits for the first record when nothing comes. */
const IDLE_MS = 5_000;
export const HEARTBEAT_MS = 2_000;
const READ_COMMITTED = 1;

/**
 * A group member's way to its records: one round after the other for each broker, in each of them at most one fetch. It waits for seconds when
 * nothing comes. Meanwhile it tells the coordinator that it is alive, and when the group changes, the consumer is closed or a partition is resumed
 * that was left out, it is called away: the connection is given up, because a broker answers no other fetch on it before that one.
 */
export class Fetching {
  readonly #rounds = new Set<Round>();
  readonly #last = new Map<string, Yield>();
  #turn = 0;

  constructor(private readonly parts: FetchingParts) {}

  /** One round: resolves when what has come was handed over, or nothing has. */
  async fetch(group: FetchingGroup, nodeId: string): Promise<void> {
    const round: Round = { away: new AbortController(), missesPaused: false };
    this.#rounds.add(round);
    const stopBeating = this.parts.time.every(HEARTBEAT_MS / 2, () => this.#beat(group));
    try {
      await this.#round(group, nodeId, round);
    } catch (error) {
      if (!round.away.signal.aborted) throw error;
    } finally {
      stopBeating();
      this.#rounds.delete(round);
    }
  }

  /** Ends what is waiting; what begins after this waits again. */
  callAway(): void {
    for (const { away } of this.#rounds) away.abort();
  }

  /** A partition is no longer paused. */
  resumed(): void {
    for (const { away, missesPaused } of this.#rounds) if (missesPaused) away.abort();
  }

  /** The client tells the coordinator only between fetches; this does in their midst, unless it was told lately. The client joins anew after the round. */
  #beat(group: FetchingGroup): void {
    group.heartbeat({ interval: 0.75 * HEARTBEAT_MS }).catch(() => this.callAway());
  }

  async #round(group: FetchingGroup, nodeId: string, round: Round): Promise<void> {
    const { pace, resumeMs, time, isPaused } = this.parts;
    const { signal } = round.away;
    const last = this.#last.get(nodeId);
    if (last) await this.#rest(restMs(last, pace, time.nowMs()), signal);
    await group.cluster.refreshMetadataIfNecessary();
    group.checkForStaleAssignment();
    await group.seekOffsets(group.assigned());
    const led = ledBy(group, nodeId);
    const isRead = ({ topic, partition }: Place): boolean => !isPaused(topic, partition);
    if (!led.some(isRead)) {
      round.missesPaused = true;
      return this.#rest(IDLE_MS, signal);
    }
    const broker = await group.cluster.findBroker({ nodeId });
    // From here to the request nothing is paused or resumed.
    const asked = inTurn(led.filter(isRead), this.#turn++).map(({ topic, partition }) => ({ topic, partition, offset: String(group.offsetManager.nextOffset(topic, partition)) }));
    const isComplete = asked.length === led.length;
    const isLong = isComplete || last?.records === 0;
    round.missesPaused = isLong && !isComplete;
    const beganMs = time.nowMs();
    const responses = await fetchFrom(broker, requestOf(asked, isLong ? IDLE_MS : resumeMs), signal);
    // What comes all the same may be of a time before the group has changed, and leave out what others have read in between.
    signal.throwIfAborted();
    this.#last.set(nodeId, yieldOf(responses.flatMap(({ partitions }) => partitions), beganMs));
    const offsets = new Map(asked.map(({ topic, partition, offset }) => [keyOf(topic, partition), Number(offset)]));
    for (const { topicName, partitions } of responses) {
      for (const fetched of partitions) this.#handOver(topicName, fetched, offsets.get(keyOf(topicName, fetched.partition)) ?? 0);
    }
  }

  #handOver(topic: string, fetched: FetchedPartition, from: number): void {
    const { partition, messages, abortedTransactions } = fetched;
    const next = nextPosition(fetched, from);
    // What was paused meanwhile is read again later: its window is full.
    if (next === from || this.parts.isPaused(topic, partition)) return;
    // A batch is fetched whole, also when the position is in its middle.
    const asOfPosition = messages.filter(({ offset }) => Number(offset) >= from);
    this.parts.onFetched({
      topic,
      partition,
      messages: committedOf(asOfPosition, abortedTransactions),
      lastOffset: String(next - 1),
      highWatermark: String(readableEnd(fetched)),
    });
  }

  /** Ends early when it is called away. */
  #rest(ms: number, signal: AbortSignal): Promise<void> {
    if (ms <= 0 || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = this.parts.time.after(ms, () => {
        signal.removeEventListener('abort', leave);
        resolve();
      });
      const leave = (): void => {
        cancel();
        resolve();
      };
      signal.addEventListener('abort', leave, { once: true });
    });
  }
}

const requestOf = (asked: readonly (Place & { readonly offset: string })[], maxWaitTime: number): FetchRequest => ({
  isolationLevel: READ_COMMITTED,
  maxWaitTime,
  minBytes: 1,
  maxBytes: FETCH_BYTES,
  topics: asked.map(({ topic, partition, offset }) => ({ topic, partitions: [{ partition, fetchOffset: offset, maxBytes: FETCH_PARTITION_BYTES }] })),
});

/** The partitions that are read from this broker. */
const ledBy = (group: FetchingGroup, nodeId: string): readonly Place[] => {
  const known = group.offsetManager.committedOffsets();
  return group.assigned().flatMap(({ topic, partitions }) =>
    (group.cluster.findLeaderForPartitions(topic, partitions)[nodeId] ?? [])
      // One that is being set back to the beginning of its log has no offset for a while.
      .filter((partition) => known[topic]?.[partition] != null)
      .map((partition) => ({ topic, partition })),
  );
};
