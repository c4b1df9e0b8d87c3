import { delayTiers, requireKnownSchema, unframe, SCHEMA_HEADER, SCHEMA_VERSION, type DelayTier, type RequestedHead, type TopicName } from '@posthorn/contracts';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import { Fifo } from '../fifo.js';
import { leavesAt, nextStop } from './wheel.js';

export type DelayParts = {
  readonly topic: (name: TopicName) => string;
  /** Where the delivery of an event to a subscription goes. */
  readonly partitionOf: (subscription: string, eventId: string) => number;
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly fatal: (error: unknown) => void;
};

type Delayed = { readonly record: IncomingRecord; readonly subscription: string; readonly eventId: string; readonly dueMs: number; readonly leavesMs: number };

/** The records of one tier's partition, in order; `timer` rings when the first one leaves. */
type Row = { readonly waiting: Fifo<Delayed>; timer: NodeJS.Timeout | undefined };

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/**
 * Turns the wheel: each record sits out its tier and goes, its bytes untouched, to a smaller tier or back to
 * `deliveries.requested`. Only as many records are held as the consumer's window admits; the rest waits in Kafka.
 */
export class Delay {
  readonly #parts: DelayParts;
  readonly #tiers: ReadonlyMap<string, DelayTier>;
  readonly #rows = new Map<string, Row>();

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
    const row = this.#rowOf(record);
    row.waiting.push({ record, subscription: subscriptions[0] ?? '', eventId: event.id, dueMs, leavesMs: leavesAt(tier, record.timestampMs, dueMs) });
    if (row.timer === undefined) this.#turn(row);
  };

  readonly onRevoked = (topic: string, partition: number): void => {
    const key = `${topic}/${partition}`;
    clearTimeout(this.#rows.get(key)?.timer);
    this.#rows.delete(key);
  };

  /** How long the most overdue record has been waiting past its time: it should be next to nothing. */
  overdueMs(nowMs: number): number {
    let overdue = 0;
    for (const { waiting } of this.#rows.values()) overdue = Math.max(overdue, nowMs - (waiting.peek()?.leavesMs ?? nowMs));
    return overdue;
  }

  #turn(row: Row): void {
    row.timer = undefined;
    const nowMs = Date.now();
    for (let first = row.waiting.peek(); first !== undefined; first = row.waiting.peek()) {
      if (first.leavesMs > nowMs) {
        row.timer = setTimeout(() => this.#turn(row), first.leavesMs - nowMs);
        return;
      }
      row.waiting.shift();
      this.#release(first, nowMs);
    }
  }

  #release({ record, subscription, eventId, dueMs }: Delayed, nowMs: number): void {
    if (record.revoked) return;
    const stop = nextStop(nowMs, dueMs);
    const { topic, partitionOf, send, fatal } = this.#parts;
    const outgoing: OutgoingRecord =
      stop === 'requested'
        ? { ...requestedPlace(topic('deliveries.requested'), partitionOf(subscription, eventId)), value: record.value, headers }
        : { topic: topic(`deliveries.delayed.${stop}`), key: subscription, value: record.value, headers };
    send(outgoing).then(() => record.done(), fatal);
  }

  #rowOf({ topic, partition }: IncomingRecord): Row {
    const key = `${topic}/${partition}`;
    let row = this.#rows.get(key);
    if (row === undefined) {
      row = { waiting: new Fifo(), timer: undefined };
      this.#rows.set(key, row);
    }
    return row;
  }
}

const requestedPlace = (topic: string, partition: number) => ({ topic, partition, key: String(partition) });
