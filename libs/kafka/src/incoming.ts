import type { FetchedMessage } from './kafkajs-internals.js';
import { sizeOf } from './packing.js';
import type { PartitionWindow, Progress, Slot } from './partition-window.js';

export interface IncomingRecord {
  readonly topic: string;
  readonly partition: number;
  readonly offset: string;
  /** The broker's clock or the producer's, as the topic is configured. */
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  /** Of a header that is repeated, the last one. */
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  /** True once the partition was taken away: whoever still holds the record drops it; done() is then without effect. */
  readonly revoked: boolean;
  /** The record has had its whole effect (what follows from it is acknowledged by Kafka or PostgreSQL). Any order; once. */
  done(): void;
}

/** A partition that this process reads. */
export type Partition = {
  readonly topic: string;
  readonly partition: number;
  window: PartitionWindow;
  /** End of the log when it was last seen. */
  end: number;
  isPaused: boolean;
  /** What is done above the watermark does not fit into the metadata: no further until it does. */
  isScattered: boolean;
  /** What the group was last told; a commit that says the same is not sent. */
  committed: Progress;
  /** Records in flight, found by their slot when the group turns out to have done them already. */
  readonly records: Map<Slot, Incoming>;
};

export class Incoming implements IncomingRecord {
  #isRevoked = false;
  readonly #finish: (record: Incoming) => void;

  constructor(
    readonly home: Partition,
    readonly slot: Slot,
    readonly offset: string,
    readonly timestampMs: number,
    readonly key: Buffer | null,
    readonly value: Buffer | null,
    readonly headers: Readonly<Record<string, Buffer | undefined>>,
    finish: (record: Incoming) => void,
  ) {
    this.#finish = finish;
  }

  get topic(): string {
    return this.home.topic;
  }

  get partition(): number {
    return this.home.partition;
  }

  get revoked(): boolean {
    return this.#isRevoked;
  }

  revoke(): void {
    this.#isRevoked = true;
  }

  done(): void {
    if (!this.#isRevoked) this.#finish(this);
  }
}

/**
 * A buffer of its own for data that is much smaller than what it was read with: a record in flight would otherwise hold the broker's
 * whole response in memory, and the bytes of the window would be a fiction.
 */
const detached = (data: Buffer): Buffer => (data.buffer.byteLength > 2 * data.byteLength + 8192 ? Buffer.from(data) : data);

const NO_HEADERS = {};

const same = (data: Buffer): Buffer => data;

export const headersOf = (
  headers: FetchedMessage['headers'],
  keep: (data: Buffer) => Buffer = same,
): Readonly<Record<string, Buffer | undefined>> => {
  let own: Record<string, Buffer> | undefined;
  for (const name in headers) {
    const value = headers[name];
    const last = Array.isArray(value) ? value.at(-1) : value;
    // Kafka has headers without a value; what is null to some is not there to others.
    if (!last) continue;
    // Names are the producer's: `__proto__` is one like any other.
    own ??= Object.create(null) as Record<string, Buffer>;
    own[name] = keep(last);
  }
  return own ?? NO_HEADERS;
};

/** The record to hand over; `undefined` when the window knows it to be done. */
export const receive = (home: Partition, message: FetchedMessage, finish: (record: Incoming) => void): Incoming | undefined => {
  const { offset, timestamp } = message;
  const key = message.key && detached(message.key);
  const value = message.value && detached(message.value);
  const headers = headersOf(message.headers, detached);
  const slot = home.window.offer(Number(offset), sizeOf({ key, value, headers }));
  if (!slot) return undefined;
  const record = new Incoming(home, slot, offset, Number(timestamp), key, value, headers, finish);
  home.records.set(slot, record);
  return record;
};
