import { partitionOf } from '@posthorn/contracts';
import { isRefusal, KafkaError, messageOf } from './errors.js';
import { FETCH_PARTITION_BYTES } from './pace.js';
import { batchLength, partsOf, sizeOf } from './packing.js';
import type { Logger } from './settings.js';
import { realTime, type Time } from './time.js';
import { MAX_MESSAGE_BYTES } from './topics.js';

export type OutgoingRecord = {
  /** Name on the broker. */
  readonly topic: string;
  /** Absent: by the key; without a key, the batches take turns. */
  readonly partition?: number | undefined;
  readonly key?: string | Buffer | undefined;
  readonly value: Buffer | string | null;
  readonly headers?: Readonly<Record<string, string | Buffer>> | undefined;
};

export interface Producer {
  /**
   * Resolves when all in-sync replicas have the record. One request is in flight at a time; whatever arrives meanwhile goes with the
   * next: no delay when idle, large batches under load (`paceMs`), order kept per partition, also across retries. A record may be written twice
   * when an answer is lost. What fails is sent again for ever; with `deadlineMs`, the promise rejects after that time with code
   * `unavailable` (the record may or may not have been written). What Kafka does not take rejects alone with code `refused`.
   * With a guard, each record is written once: one that has been tried is not given up at its deadline, because its fate would be unknown.
   */
  send(record: OutgoingRecord, options?: { readonly deadlineMs?: number | undefined }): Promise<void>;
  /** Size of what is queued and in flight; for back-pressure. */
  readonly pendingBytes: number;
  /** Resolves when everything sent before the call has been settled, one way or the other. */
  flush(): Promise<void>;
  /** Refuses new records, waits for the pending ones, at most 10 s, and disconnects. */
  close(): Promise<void>;
}

/** `send`: it may be sent (again). `written`: it is in the log already. `withdraw`: it must not be sent; it rejects. */
export type GuardVerdict = 'send' | 'written' | 'withdraw';

/**
 * Asked before each attempt. Undefined: all may be sent. When it rejects it is asked again later.
 * @param isRepetition an earlier attempt has failed, and may have written any of the records all the same
 */
export type ProducerGuard = (records: readonly OutgoingRecord[], isRepetition: boolean) => Promise<readonly GuardVerdict[]> | undefined;

export type ProducerOptions = {
  readonly guard?: ProducerGuard | undefined;
  /**
   * Under load, from the beginning of one request to the beginning of the next; default 5 ms. Load is when the last request carried two records
   * of one topic or more: a record that comes alone leaves at once. A request costs the broker what dozens of records cost it.
   */
  readonly paceMs?: number | undefined;
  /** Records of one request, before encoding; default: what a reader fetches of a partition, because a batch is read whole. A larger record goes alone. */
  readonly maxBatchBytes?: number | undefined;
};

/** A record on its way to the broker. */
export type PlacedRecord = OutgoingRecord & { readonly partition: number };

/** What the producer needs of a Kafka client. */
export type Transport = {
  /** One attempt; everything is written, or it rejects and perhaps a part was. */
  send(records: readonly PlacedRecord[]): Promise<void>;
  partitions(topic: string): Promise<number>;
  close(): Promise<void>;
};

type Pending = {
  record: OutgoingRecord;
  /** -1 until it is decided, when the record's batch is formed. */
  partition: number;
  readonly topic: string;
  readonly bytes: number;
  readonly expiresAtMs: number;
  isTried: boolean;
  settled: boolean;
  readonly resolve: () => void;
  readonly reject: (error: KafkaError) => void;
};

const DEFAULT_PACE_MS = 5;
const CLOSE_TIMEOUT_MS = 10_000;
const FIRST_BACKOFF_MS = 20;
const MAX_BACKOFF_MS = 1_000;
const DEADLINE_RESOLUTION_MS = 20;

export class PackingProducer implements Producer {
  readonly #paceMs: number;
  readonly #maxBatchBytes: number;
  readonly #guard: ProducerGuard | undefined;
  readonly #queue: Pending[] = [];
  #head = 0;
  #pendingBytes = 0;
  #isPumping = false;
  #isClosed = false;
  /** When the next request may begin. */
  #notBeforeMs = -Infinity;
  /** The batch being delivered. */
  #current: readonly Pending[] = [];
  #accepted = 0;
  #finished = 0;
  #flushes: { readonly upTo: number; readonly resolve: () => void }[] = [];
  #withDeadline = 0;
  #stopWatching: (() => void) | undefined;
  #outageSinceMs: number | undefined;
  #turn = 0;

  constructor(
    private readonly transport: Transport,
    private readonly log: Logger,
    { paceMs = DEFAULT_PACE_MS, maxBatchBytes = FETCH_PARTITION_BYTES, guard }: ProducerOptions = {},
    private readonly time: Time = realTime,
  ) {
    this.#paceMs = paceMs;
    this.#maxBatchBytes = maxBatchBytes;
    this.#guard = guard;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  send(record: OutgoingRecord, { deadlineMs }: { readonly deadlineMs?: number | undefined } = {}): Promise<void> {
    if (this.#isClosed) return Promise.reject(new KafkaError('closed', 'the producer is closed'));
    const bytes = sizeOf(record);
    if (bytes > MAX_MESSAGE_BYTES) {
      return Promise.reject(new KafkaError('refused', `a record of ${bytes} bytes for ${record.topic}, more than ${MAX_MESSAGE_BYTES}`));
    }
    return new Promise((resolve, reject) => {
      const expiresAtMs = deadlineMs === undefined ? Infinity : this.time.nowMs() + deadlineMs;
      this.#queue.push({ record, partition: -1, topic: record.topic, bytes, expiresAtMs, isTried: false, settled: false, resolve, reject });
      this.#accepted++;
      this.#pendingBytes += bytes;
      if (deadlineMs !== undefined) this.#watchDeadlines();
      if (!this.#isPumping) {
        this.#isPumping = true;
        // A microtask later, so that a caller that sends several in a row sends one batch.
        queueMicrotask(() => void this.#pump());
      }
    });
  }

  flush(): Promise<void> {
    const upTo = this.#accepted;
    if (this.#finished >= upTo) return Promise.resolve();
    return new Promise((resolve) => void this.#flushes.push({ upTo, resolve }));
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    let cancel: (() => void) | undefined;
    const timeout = new Promise<void>((resolve) => (cancel = this.time.after(CLOSE_TIMEOUT_MS, resolve)));
    await Promise.race([this.flush(), timeout]);
    cancel?.();
    this.#stopWatching?.();
    for (const pending of this.#unsettled()) this.#fail(pending, new KafkaError('closed', 'closed before Kafka had answered'));
    await this.transport.close();
  }

  async #pump(): Promise<void> {
    while (this.#head < this.#queue.length) {
      const waitMs = this.#notBeforeMs - this.time.nowMs();
      if (waitMs > 0) await this.#sleep(waitMs);
      const batch = this.#takeBatch();
      this.#current = batch;
      this.#pace(batch);
      await this.#place(batch);
      await this.#deliver(batch);
      this.#current = [];
      this.#finished += batch.length;
      this.#flushes = this.#flushes.filter(({ upTo, resolve }) => upTo > this.#finished || resolve());
    }
    this.#isPumping = false;
  }

  /** What did not fit follows at once: to wait would only make more of it. */
  #pace(batch: readonly Pending[]): void {
    const isAll = this.#head === this.#queue.length;
    const isLoad = new Set(batch.map(({ topic }) => topic)).size < batch.length;
    if (isAll && isLoad) this.#notBeforeMs = this.time.nowMs() + this.#paceMs;
  }

  #takeBatch(): readonly Pending[] {
    const length = batchLength(this.#fromHead(), this.#maxBatchBytes);
    const batch = this.#queue.slice(this.#head, this.#head + length);
    this.#head += length;
    if (this.#head * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#head);
      this.#head = 0;
    }
    return batch;
  }

  *#fromHead(): Generator<Pending> {
    for (let i = this.#head; i < this.#queue.length; i++) {
      const pending = this.#queue[i];
      if (pending) yield pending;
    }
  }

  *#unsettled(): Generator<Pending> {
    for (const pending of this.#current) if (!pending.settled) yield pending;
    for (const pending of this.#fromHead()) if (!pending.settled) yield pending;
  }

  /** Decides the partitions. The client would silently drop a record for a partition that does not exist. */
  async #place(batch: readonly Pending[]): Promise<void> {
    const counts = new Map<string, number>();
    const turn = this.#turn++;
    for (const pending of batch) {
      const { record, topic } = pending;
      const count = counts.get(topic) ?? (await this.#partitions(topic, batch));
      counts.set(topic, count);
      pending.partition = record.partition ?? (record.key === undefined ? turn % Math.max(count, 1) : partitionOf(record.key, count));
      if (count === 0) this.#fail(pending, new KafkaError('refused', `there is no topic ${topic}`));
      else if (pending.partition >= count) {
        this.#fail(pending, new KafkaError('refused', `${topic} has ${count} partitions, none numbered ${pending.partition}`));
      }
    }
  }

  /** 0 when Kafka says that there is no such topic. */
  async #partitions(topic: string, batch: readonly Pending[]): Promise<number> {
    for (let attempt = 0; batch.some(({ settled }) => !settled); attempt++) {
      try {
        return await this.transport.partitions(topic);
      } catch (error) {
        if (isRefusal(error)) return 0;
        await this.#backOff(attempt, error);
      }
    }
    return 0;
  }

  async #deliver(batch: readonly Pending[], isRepetition = false): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (batch.every(({ settled }) => settled)) return;
      try {
        if (this.#guard) await this.#applyGuard(this.#guard, batch, isRepetition || attempt > 0);
      } catch (error) {
        await this.#backOff(attempt, error);
        continue;
      }
      const live = batch.filter(({ settled }) => !settled);
      const [first] = live;
      if (!first) return;
      for (const pending of live) pending.isTried = true;
      try {
        await this.transport.send(live.map(({ record, partition }) => ({ ...record, partition })));
        this.#outageEnds();
        for (const pending of live) this.#succeed(pending);
        return;
      } catch (error) {
        if (!isRefusal(error)) await this.#backOff(attempt, error);
        else if (live.length === 1) {
          this.#fail(first, new KafkaError('refused', `Kafka refused a record for ${first.topic}: ${messageOf(error)}`, { cause: error }));
        } else {
          // What goes to other partitions may have been written.
          for (const part of partsOf(live)) await this.#deliver(part, true);
        }
      }
    }
  }

  async #applyGuard(guard: ProducerGuard, batch: readonly Pending[], isRepetition: boolean): Promise<void> {
    const live = batch.filter(({ settled }) => !settled);
    const verdicts = await guard(live.map(({ record }) => record), isRepetition);
    verdicts?.forEach((verdict, n) => {
      const pending = live[n];
      if (!pending || verdict === 'send') return;
      if (verdict === 'written') this.#succeed(pending);
      else this.#fail(pending, new KafkaError('withdrawn', 'the record must not be sent any more'));
    });
  }

  async #backOff(attempt: number, error: unknown): Promise<void> {
    if (this.#outageSinceMs === undefined) {
      this.#outageSinceMs = this.time.nowMs();
      this.log.warn({ error: messageOf(error) }, 'Kafka does not take records; trying until it does');
    }
    await this.#sleep(Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(attempt, 16)));
  }

  #outageEnds(): void {
    if (this.#outageSinceMs === undefined) return;
    this.log.info({ seconds: Math.round(this.time.nowMs() - this.#outageSinceMs) / 1000 }, 'Kafka takes records again');
    this.#outageSinceMs = undefined;
  }

  #succeed(pending: Pending): void {
    if (this.#settle(pending)) pending.resolve();
  }

  #fail(pending: Pending, error: KafkaError): void {
    if (this.#settle(pending)) pending.reject(error);
  }

  #settle(pending: Pending): boolean {
    if (pending.settled) return false;
    pending.settled = true;
    this.#pendingBytes -= pending.bytes;
    if (pending.expiresAtMs !== Infinity && --this.#withDeadline === 0) {
      this.#stopWatching?.();
      this.#stopWatching = undefined;
    }
    return true;
  }

  #watchDeadlines(): void {
    this.#withDeadline++;
    this.#stopWatching ??= this.time.every(DEADLINE_RESOLUTION_MS, () => {
      const nowMs = this.time.nowMs();
      for (const pending of this.#unsettled()) {
        if (pending.expiresAtMs <= nowMs && !(this.#guard && pending.isTried)) this.#fail(pending, new KafkaError('unavailable', 'Kafka did not acknowledge the record in time'));
      }
    });
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.time.after(ms, resolve));
  }
}
