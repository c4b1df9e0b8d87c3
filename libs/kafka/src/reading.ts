import { encodeDone } from './commit-metadata.js';
import { keyOf } from './group-offsets.js';
import { receive, type Incoming, type IncomingRecord, type Partition } from './incoming.js';
import type { FetchedMessage } from './kafkajs-internals.js';
import { isDone, PartitionWindow, type Progress } from './partition-window.js';
import type { Pulse } from './watchdog.js';

export type ReadingParts = {
  /** Bytes in flight at which a partition is paused until half of them are done. */
  readonly windowBytes: number;
  /** The same for all partitions together. */
  readonly totalBytes: number;
  /** Must not throw. */
  readonly onRecord: (record: IncomingRecord) => void;
  readonly onPaused: (partition: Partition) => void;
  readonly onResumed: (partition: Partition) => void;
};

/** What the group is to be told of a partition. */
export type Change = {
  readonly partition: Partition;
  readonly offset: number;
  /** What is done above the offset; null when nothing is, or it does not fit. */
  readonly metadata: string | null;
  /** The group has been told. */
  readonly commit: () => void;
};

const sameProgress = (a: Progress, b: Progress): boolean =>
  a.offset === b.offset &&
  a.done.length === b.done.length &&
  a.done.every(({ start, end }, i) => start === b.done[i]?.start && end === b.done[i]?.end);

/** The partitions that a member of a group reads, and what is in flight of them. Pure: the group is the consumption's. */
export class Reading {
  readonly #partitions = new Map<string, Partition>();
  readonly #parts: ReadingParts;
  #inFlight = 0;
  #inFlightBytes = 0;
  #paused = 0;
  #isOpen = false;
  #whenIdle: (() => void)[] = [];
  readonly #finish = (record: Incoming): void => this.#done(record);

  constructor(parts: ReadingParts) {
    this.#parts = parts;
  }

  /** Whether it is read: not while the group changes, nor at the end. */
  get isOpen(): boolean {
    return this.#isOpen;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes;
  }

  get partitions(): readonly Partition[] {
    return [...this.#partitions.values()];
  }

  get(topic: string, partition: number): Partition | undefined {
    return this.#partitions.get(keyOf(topic, partition));
  }

  /** Records up to the end of the log that are not done, per topic. */
  lag(topics: readonly string[]): ReadonlyMap<string, number> {
    const lag = new Map<string, number>(topics.map((topic) => [topic, 0]));
    for (const { topic, end, window } of this.#partitions.values()) {
      lag.set(topic, (lag.get(topic) ?? 0) + Math.max(0, end - window.low));
    }
    return lag;
  }

  /** When the oldest record that is not done was written, per topic. */
  oldestMs(topics: readonly string[]): ReadonlyMap<string, number | undefined> {
    const oldest = new Map<string, number | undefined>(topics.map((topic) => [topic, undefined]));
    for (const { topic, window, records } of this.#partitions.values()) {
      const record = window.oldest && records.get(window.oldest);
      if (record) oldest.set(topic, Math.min(record.timestampMs, oldest.get(topic) ?? Infinity));
    }
    return oldest;
  }

  isCommitted(topic: string, partition: number, offset: number): boolean {
    const committed = this.get(topic, partition)?.committed;
    return committed !== undefined && isDone(committed, offset);
  }

  get pulses(): readonly Pulse[] {
    return this.partitions.map(({ topic, partition, window, end }) => ({
      topic,
      partition,
      low: window.low,
      completed: window.completed,
      busy: window.inFlight > 0 || end > window.low,
    }));
  }

  // Records in, completions back

  /** @param next the offset at which reading goes on; `end` that of the log */
  handOver(partition: Partition, messages: readonly FetchedMessage[], next: number, end: number): void {
    for (const message of messages) {
      const record = receive(partition, message, this.#finish);
      if (!record) continue;
      this.#inFlight++;
      this.#inFlightBytes += record.slot.bytes;
      this.#parts.onRecord(record);
    }
    partition.window.passTo(next);
    partition.end = end;
    this.regulate();
  }

  #done(record: Incoming): void {
    const { home, slot } = record;
    if (!home.window.complete(slot)) return;
    this.#forget(record);
    if (this.#paused > 0) this.regulate();
  }

  #forget({ home, slot }: Incoming): void {
    home.records.delete(slot);
    this.#inFlight--;
    this.#inFlightBytes -= slot.bytes;
    if (this.#inFlight === 0) for (const resolve of this.#whenIdle.splice(0)) resolve();
  }

  /** Resolves when nothing is in flight. */
  async idle(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#whenIdle.push(resolve));
  }

  // Pause and resume

  /** Pauses the partitions whose window, or all when the total, is full; resumes at half, so that it does not flutter. */
  regulate(): void {
    if (!this.#isOpen) return;
    const { windowBytes, totalBytes } = this.#parts;
    const isTotalFull = this.#inFlightBytes >= totalBytes;
    const isTotalLow = this.#inFlightBytes <= totalBytes / 2;
    for (const partition of this.#partitions.values()) {
      const { isPaused, isScattered, window } = partition;
      if (!isPaused && (isTotalFull || isScattered || window.bytes >= windowBytes)) this.#pause(partition);
      if (isPaused && isTotalLow && !isScattered && window.bytes <= windowBytes / 2) this.#resume(partition);
    }
  }

  #pause(partition: Partition): void {
    partition.isPaused = true;
    this.#paused++;
    this.#parts.onPaused(partition);
  }

  #resume(partition: Partition): void {
    partition.isPaused = false;
    this.#paused--;
    this.#parts.onResumed(partition);
  }

  /** Nothing more is read, and everything paused. */
  stop(): void {
    this.#isOpen = false;
    for (const partition of this.#partitions.values()) if (!partition.isPaused) this.#pause(partition);
  }

  /** All that is assigned is read, whatever was paused before: the caller has resumed it. */
  open(): void {
    this.#isOpen = true;
    for (const partition of this.#partitions.values()) {
      partition.isPaused = false;
      // Others may have done what it was that could not be told. The next commit sees.
      partition.isScattered = false;
    }
    this.#paused = 0;
    this.regulate();
  }

  // Partitions come and go

  /**
   * One that has come back keeps its window: what is in flight stays so, unless others have done it, and reading goes on where it was. A new one starts
   * where the group has come to, without the records that a former owner has done above that.
   * @returns whether it has come back
   */
  assign(topic: string, partition: number, progress: Progress, end: number): boolean {
    const known = this.get(topic, partition);
    if (!known) {
      const window = new PartitionWindow(progress);
      this.#partitions.set(keyOf(topic, partition), { topic, partition, window, end, isPaused: false, isScattered: false, committed: progress, records: new Map() });
      return false;
    }
    known.committed = progress;
    known.end = Math.max(end, known.end);
    for (const slot of known.window.absorb(progress)) {
      const record = known.records.get(slot);
      record?.revoke();
      if (record) this.#forget(record);
    }
    return true;
  }

  drop(partition: Partition): void {
    this.#partitions.delete(keyOf(partition.topic, partition.partition));
    if (partition.isPaused) this.#paused--;
    this.#revokeAll(partition);
  }

  /** From the beginning of a log that is no longer the one it was. */
  startOver(partition: Partition): void {
    this.#revokeAll(partition);
    partition.isScattered = false;
    // Of the old log. The next answer tells that of the new one, if there is anything in it: without one there is nothing to do.
    partition.end = 0;
    partition.committed = { offset: 0, done: [] };
    partition.window = new PartitionWindow(partition.committed);
  }

  #revokeAll(partition: Partition): void {
    for (const record of partition.records.values()) {
      record.revoke();
      this.#forget(record);
    }
  }

  /** What the group does not know yet. A partition of which not all can be told is paused until it can: what a crash repeats stays bounded. */
  changes(): readonly Change[] {
    const changes: Change[] = [];
    for (const partition of this.#partitions.values()) {
      const progress = partition.window.progress();
      if (sameProgress(progress, partition.committed)) continue;
      const { offset, done } = progress;
      const metadata = encodeDone(offset, done) ?? null;
      partition.isScattered = metadata === null && done.length > 0;
      const told: Progress = partition.isScattered ? { offset, done: [] } : progress;
      changes.push({ partition, offset, metadata, commit: () => (partition.committed = told) });
    }
    return changes;
  }
}
