import { SCHEMA_HEADER, SCHEMA_VERSION, type Outcome, type Postponement } from '@posthorn/contracts';
import type { OutgoingRecord } from '@posthorn/kafka';

/** Outcomes in one record at most, and postponements, which are smaller and may come by thousands at once. */
const PACK = 64;
const POSTPONED_PACK = 256;
/**
 * Of one record, and half of what the broker takes. An outcome of ours has 1 KB, but 4 KiB of control characters in a response are 24 KiB of JSON,
 * and a record that Kafka refuses would end the process.
 */
const PACK_BYTES = 1024 * 1024;

type Waiting<Fact> = { readonly fact: Fact; readonly written: () => void; readonly failed: (error: unknown) => void };

type Lane = { readonly outcomes: Waiting<Outcome>[]; readonly postponed: Waiting<Postponement>[]; underWay: boolean };

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/**
 * Packs the outcomes of one partition's subscriptions, and what is to be told of those that wait, into records of `deliveries.attempted`. One record
 * of a partition is under way at a time and whatever ends meanwhile goes with the next: alone an outcome is written at once, under load by
 * dozens. Outcomes go first: a thousand deliveries that are put off at once do not hold up what has ended.
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
    return this.#add(partition, lane, lane.outcomes, outcome);
  }

  /** Resolves when Kafka has acknowledged it. */
  writePostponement(partition: number, postponement: Postponement): Promise<void> {
    const lane = this.#laneOf(partition);
    return this.#add(partition, lane, lane.postponed, postponement);
  }

  #add<Fact>(partition: number, lane: Lane, waiting: Waiting<Fact>[], fact: Fact): Promise<void> {
    return new Promise((written, failed) => {
      waiting.push({ fact, written, failed });
      // Not at once: what ends in the same turn of the event loop goes into the same record.
      if (!lane.underWay) {
        lane.underWay = true;
        this.#soon(() => this.#next(partition, lane));
      }
    });
  }

  #next(partition: number, lane: Lane): void {
    const [first] = lane.outcomes.length > 0 ? lane.outcomes : lane.postponed;
    if (first === undefined) {
      lane.underWay = false;
      return;
    }
    const outcomes = take(lane.outcomes, PACK, PACK_BYTES);
    const postponed = take(lane.postponed, POSTPONED_PACK, PACK_BYTES - outcomes.bytes);
    const waits = postponed.texts.length === 0 ? '' : `,"postponed":[${postponed.texts.join()}]`;
    const value = `{"outcomes":[${outcomes.texts.join()}]${waits}}`;
    const pack = [...outcomes.taken, ...postponed.taken];
    this.#send({ topic: this.#topic, partition, key: first.fact.subscription_id, value, headers })
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
      lane = { outcomes: [], postponed: [], underWay: false };
      this.#lanes.set(partition, lane);
    }
    return lane;
  }
}

/** Takes as many of the first as there is room for, as JSON; one in any case. */
const take = <Fact>(waiting: Waiting<Fact>[], most: number, mostBytes: number) => {
  const texts: string[] = [];
  let bytes = 0;
  for (const { fact } of waiting.slice(0, most)) {
    const text = JSON.stringify(fact);
    const size = Buffer.byteLength(text);
    if (bytes + size > mostBytes && texts.length > 0) break;
    bytes += size;
    texts.push(text);
  }
  return { texts, bytes, taken: waiting.splice(0, texts.length) };
};
