import { SCHEMA_HEADER, SCHEMA_VERSION, type Outcome } from '@posthorn/contracts';
import type { OutgoingRecord } from '@posthorn/kafka';

/** Outcomes in one record at most. */
const PACK = 64;
/**
 * Of one record, and half of what the broker takes. An outcome of ours has 1 KB, but 4 KiB of control characters in a response are 24 KiB of JSON,
 * and a record that Kafka refuses would end the process.
 */
const PACK_BYTES = 1024 * 1024;

type Waiting = { readonly outcome: Outcome; readonly written: () => void; readonly failed: (error: unknown) => void };

type Lane = { waiting: Waiting[]; underWay: boolean };

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/**
 * Packs the outcomes of one partition's subscriptions into records of `deliveries.attempted`. One record of a partition is under
 * way at a time and whatever ends meanwhile goes with the next: alone an outcome is written at once, under load by dozens.
 */
export class OutcomePacker {
  readonly #lanes = new Map<number, Lane>();
  readonly #send: (record: OutgoingRecord) => Promise<void>;
  readonly #topic: string;
  readonly #soon: (run: () => void) => void;

  /** @param soon runs it after what is going on in this turn of the event loop */
  constructor(topic: string, send: (record: OutgoingRecord) => Promise<void>, soon: (run: () => void) => void = setImmediate) {
    this.#topic = topic;
    this.#send = send;
    this.#soon = soon;
  }

  /** Resolves when Kafka has acknowledged it. */
  write(partition: number, outcome: Outcome): Promise<void> {
    const lane = this.#laneOf(partition);
    return new Promise((written, failed) => {
      lane.waiting.push({ outcome, written, failed });
      // Not at once: what ends in the same turn of the event loop goes into the same record.
      if (!lane.underWay) {
        lane.underWay = true;
        this.#soon(() => this.#next(partition, lane));
      }
    });
  }

  #next(partition: number, lane: Lane): void {
    const texts = packOf(lane.waiting);
    const pack = lane.waiting.splice(0, texts.length);
    const [first] = pack;
    if (first === undefined) {
      lane.underWay = false;
      return;
    }
    const value = `{"outcomes":[${texts.join()}]}`;
    this.#send({ topic: this.#topic, partition, key: first.outcome.subscription_id, value, headers })
      .then(
        () => {
          for (const { written } of pack) written();
        },
        (error: unknown) => {
          for (const { failed } of pack) failed(error);
        },
      )
      .finally(() => this.#next(partition, lane));
  }

  #laneOf(partition: number): Lane {
    let lane = this.#lanes.get(partition);
    if (lane === undefined) {
      lane = { waiting: [], underWay: false };
      this.#lanes.set(partition, lane);
    }
    return lane;
  }
}

/** As many of the first as go into one record, as JSON; one in any case. */
const packOf = (waiting: readonly Waiting[]): readonly string[] => {
  const texts: string[] = [];
  let bytes = 0;
  for (const { outcome } of waiting.slice(0, PACK)) {
    const text = JSON.stringify(outcome);
    bytes += Buffer.byteLength(text);
    if (bytes > PACK_BYTES && texts.length > 0) break;
    texts.push(text);
  }
  return texts;
};
