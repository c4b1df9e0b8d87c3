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

/** The record to hand over; `undefined` when the window knows it to be done. */
export const receive = (home: Partition, message: FetchedMessage, finish: (record: Incoming) => void): Incoming | undefined => {
  const { offset, timestamp, key, value, headers } = message;
  const slot = home.window.offer(Number(offset), sizeOf({ key, value, headers }));
  if (!slot) return undefined;
  const record = new Incoming(home, slot, offset, Number(timestamp), key, value, headers, finish);
  home.records.set(slot, record);
  return record;
};
