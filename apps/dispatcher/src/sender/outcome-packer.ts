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

/** How long a fact waits for others to go with: it is on the way to nobody, and each request to Kafka has its price. */
const COMPANY_MS = 20;

/** @property isDue what waits has waited long enough: it goes as soon as nothing is under way */
type Lane = { readonly outcomes: Waiting<Outcome>[]; readonly postponed: Waiting<Postponement>[]; underWay: boolean; isDue: boolean };

export type OutcomePackerParts = {
  /** Name on the broker. */
  readonly topic: string;
  /** Resolves when Kafka has acknowledged it. */
  readonly send: (record: OutgoingRecord) => Promise<void>;
  /** Runs it after what is going on in this turn of the event loop. */
  readonly soon: (run: () => void) => void;
  /** Runs it once, so many milliseconds from now. */
  readonly setTimer: (ms: number, run: () => void) => void;
};

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/**
 * Packs the outcomes of one partition's subscriptions, and what is to be told of those that wait, into records of `deliveries.attempted`. What has
 * ended waits a moment for others, and then all partitions write at once: one request to Kafka under any load. Who is waited for, and a
 * full pack, go without delay. One record of a partition is under way at a time. Outcomes go first: a thousand deliveries that are put off at
 * once do not hold up what has ended.
 */
export class OutcomePacker {
  readonly #lanes = new Map<number, Lane>();
  readonly #parts: OutcomePackerParts;
  #awaitsCompany = false;

  constructor(parts: OutcomePackerParts) {
    this.#parts = parts;
  }

  /**
   * Resolves when Kafka has acknowledged it.
   * @param isAwaited something is held up until then
   */
  write(partition: number, outcome: Outcome, isAwaited: boolean): Promise<void> {
    const lane = this.#laneOf(partition);
    return this.#add(partition, lane, lane.outcomes, outcome, isAwaited || lane.outcomes.length >= PACK - 1);
  }

  /** The same for what is put off. */
  writePostponement(partition: number, postponement: Postponement, isAwaited: boolean): Promise<void> {
    const lane = this.#laneOf(partition);
    return this.#add(partition, lane, lane.postponed, postponement, isAwaited || lane.postponed.length >= POSTPONED_PACK - 1);
  }

  #add<Fact>(partition: number, lane: Lane, waiting: Waiting<Fact>[], fact: Fact, isDue: boolean): Promise<void> {
    return new Promise((written, failed) => {
      waiting.push({ fact, written, failed });
      if (isDue) this.#due(partition, lane);
      else if (!lane.isDue) this.#awaitCompany();
    });
  }

  #awaitCompany(): void {
    if (this.#awaitsCompany) return;
    this.#awaitsCompany = true;
    this.#parts.setTimer(COMPANY_MS, () => {
      this.#awaitsCompany = false;
      for (const [partition, lane] of this.#lanes) if (lane.outcomes.length + lane.postponed.length > 0) this.#due(partition, lane);
    });
  }

  #due(partition: number, lane: Lane): void {
    lane.isDue = true;
    if (lane.underWay) return;
    lane.underWay = true;
    // Not at once: what ends in the same turn of the event loop goes into the same record.
    this.#parts.soon(() => this.#next(partition, lane));
  }

  #next(partition: number, lane: Lane): void {
    const [first] = lane.outcomes.length > 0 ? lane.outcomes : lane.postponed;
    if (first === undefined || !lane.isDue) {
      lane.underWay = false;
      return;
    }
    const outcomes = take(lane.outcomes, PACK, PACK_BYTES);
    const postponed = take(lane.postponed, POSTPONED_PACK, PACK_BYTES - outcomes.bytes);
    const waits = postponed.texts.length === 0 ? '' : `,"postponed":[${postponed.texts.join()}]`;
    const value = `{"outcomes":[${outcomes.texts.join()}]${waits}}`;
    const pack = [...outcomes.taken, ...postponed.taken];
    lane.isDue = lane.outcomes.length + lane.postponed.length > 0;
    this.#parts
      .send({ topic: this.#parts.topic, partition, key: first.fact.subscription_id, value, headers })
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
      lane = { outcomes: [], postponed: [], underWay: false, isDue: false };
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
