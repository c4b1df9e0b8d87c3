import { delayTiers, requireKnownSchema, unframe, SCHEMA_HEADER, SCHEMA_VERSION, type DelayTier, type RequestedHead, type TopicName } from '@posthorn/contracts';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import { Heap } from '../heap.js';
import { leavesAt, type Wheel } from './wheel.js';

export type DelayParts = {
  readonly topic: (name: TopicName) => string;
  readonly wheel: Wheel;
  /** Where the delivery of an event to a subscription goes. */
  readonly partitionOf: (subscription: string, eventId: string) => number;
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly fatal: (error: unknown) => void;
  /** The time of day, which may be set forward and back. */
  readonly nowMs: () => number;
  /** Returns what calls it off. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
  /** How soon it is noticed that the time of day was set forward: timers go by another clock. Default 250. */
  readonly lookMs?: number | undefined;
};

type Held = {
  readonly record: IncomingRecord;
  readonly tier: DelayTier;
  readonly subscription: string;
  readonly eventId: string;
  readonly enteredMs: number;
  readonly dueMs: number;
  leavesMs: number;
};

/**
 * When a record was put into its tier, by the clock of the one who put it there: Kafka's own timestamp may be the broker's, and one that is
 * behind would have us move a record on as soon as it is written, again and again.
 */
const ENTERED_HEADER = 'entered';

const LOOK_MS = 250;

/**
 * Turns the wheel: each record sits out its tier and goes, its bytes untouched, to a smaller tier or back to
 * `deliveries.requested`. Only as many records are held as the consumer's window admits; the rest waits in Kafka.
 */
export class Delay {
  readonly #parts: DelayParts;
  readonly #tiers: ReadonlyMap<string, DelayTier>;
  readonly #held = new Heap<Held>(({ leavesMs }) => leavesMs);
  #seenMs = 0;
  #timer: { readonly ringsMs: number; readonly cancel: () => void } | undefined;
  /** Records on their way to where they go from here. */
  #leaving = 0;
  #whenNoneLeaves: (() => void)[] = [];
  #isHolding = false;

  constructor(parts: DelayParts) {
    this.#parts = parts;
    this.#tiers = new Map(delayTiers.map(({ name }) => [parts.topic(`deliveries.delayed.${name}`), name]));
  }

  readonly onRecord = (record: IncomingRecord): void => {
    requireKnownSchema(record.headers);
    const tier = this.#tiers.get(record.topic);
    if (tier === undefined || record.value === null) throw new TypeError(`not a delayed delivery: ${record.topic}`);
    const { event, subscriptions, due_at } = unframe<RequestedHead>(record.value).head;
    const dueMs = due_at === undefined ? 0 : Date.parse(due_at);
    const enteredMs = Number(record.headers[ENTERED_HEADER]?.toString() ?? record.timestampMs);
    const nowMs = this.#now();
    const leavesMs = leavesAt(tier, { enteredMs, dueMs, nowMs });
    this.#held.push({ record, tier, subscription: subscriptions[0] ?? '', eventId: event.id, enteredMs, dueMs, leavesMs });
    this.#wake(nowMs);
  };

  /**
   * Partitions may be taken away: what leaves its tier from now on would leave it once more with who has them next. Resolves when what is on its
   * way has arrived, and is done.
   */
  readonly hold = async (): Promise<void> => {
    this.#isHolding = true;
    this.#timer?.cancel();
    this.#timer = undefined;
    if (this.#leaving > 0) await new Promise<void>((resolve) => this.#whenNoneLeaves.push(resolve));
  };

  readonly onAssigned = (): void => {
    this.#isHolding = false;
    this.#wake(this.#now());
  };

  readonly onRevoked = (topic: string, partition: number): void => {
    this.#held.rebuild((held) => held.filter(({ record }) => record.topic !== topic || record.partition !== partition));
  };

  /** How long the most overdue record has been waiting past its time: it should be next to nothing. */
  overdueMs(nowMs: number): number {
    return Math.max(0, nowMs - (this.#held.peek()?.leavesMs ?? nowMs));
  }

  #look(): void {
    this.#timer = undefined;
    const nowMs = this.#now();
    for (let first = this.#held.peek(); first !== undefined && first.leavesMs <= nowMs; first = this.#held.peek()) {
      this.#held.shift();
      this.#release(first, nowMs);
    }
    this.#wake(nowMs);
  }

  /** When the time of day was set back, what was to leave soon would stay, and keep what is behind it in the log: it is all reckoned anew. */
  #now(): number {
    const nowMs = this.#parts.nowMs();
    if (nowMs < this.#seenMs) {
      this.#held.rebuild((held) => {
        for (const one of held) one.leavesMs = leavesAt(one.tier, { ...one, nowMs });
        return held;
      });
    }
    this.#seenMs = nowMs;
    return nowMs;
  }

  /** Sees to it that the timer rings when the first one leaves. */
  #wake(nowMs: number): void {
    const first = this.#held.peek();
    if (first === undefined || this.#isHolding) return;
    const waitMs = Math.min(Math.max(first.leavesMs - nowMs, 0), this.#parts.lookMs ?? LOOK_MS);
    if (this.#timer !== undefined && this.#timer.ringsMs <= nowMs + waitMs) return;
    this.#timer?.cancel();
    this.#timer = { ringsMs: nowMs + waitMs, cancel: this.#parts.setTimer(waitMs, () => this.#look()) };
  }

  #release({ record, subscription, eventId, dueMs }: Held, nowMs: number): void {
    if (record.revoked) return;
    const { topic, wheel, partitionOf, send, fatal } = this.#parts;
    const outgoing: OutgoingRecord =
      dueMs <= nowMs
        ? { ...requestedPlace(topic('deliveries.requested'), partitionOf(subscription, eventId)), value: record.value, headers }
        : { ...wheel.placeFor(subscription, nowMs, dueMs), value: record.value, headers: { ...headers, [ENTERED_HEADER]: String(nowMs) } };
    this.#leaving += 1;
    send(outgoing).then(() => {
      record.done();
      this.#left();
    }, fatal);
  }

  #left(): void {
    this.#leaving -= 1;
    if (this.#leaving === 0) for (const resolve of this.#whenNoneLeaves.splice(0)) resolve();
  }
}

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

const requestedPlace = (topic: string, partition: number) => ({ topic, partition, key: String(partition) });
