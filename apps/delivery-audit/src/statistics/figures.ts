import { attemptErrorCode, type DeliveryStatus } from '@posthorn/contracts';
import { Counts } from './counts.js';
import { Sketch } from './sketch.js';
import { ForeignBytes, VarintReader, VarintWriter } from './varints.js';

/** What is told apart when attempts and ended deliveries are counted. Their places in this list are in the database: it only grows at its end. */
const COUNTED = [
  'attempts.succeeded',
  'attempts.failed',
  'deliveries.delivered',
  'deliveries.failed',
  'deliveries.cancelled',
  ...attemptErrorCode.options.map((code) => `errors.${code}` as const),
] as const;
export type Counted = (typeof COUNTED)[number];

const PLACES: ReadonlyMap<string, number> = new Map(COUNTED.map((counted, place) => [counted, place]));
const place = (counted: Counted): number => PLACES.get(counted) ?? 0;

const SUCCEEDED = place('attempts.succeeded');
const FAILED = place('attempts.failed');
const ENDS: Readonly<Partial<Record<DeliveryStatus, number>>> = {
  delivered: place('deliveries.delivered'),
  failed: place('deliveries.failed'),
  cancelled: place('deliveries.cancelled'),
};

/** Of a row of `attempts`, what is counted. */
export type CountedAttempt = { readonly status: DeliveryStatus; readonly duration_ms: number; readonly error_code: string | null };
/** Of a row of `deliveries` that has ended. */
export type EndedDelivery = { readonly status: DeliveryStatus; readonly round: number; readonly createdMs: number; readonly finishedMs: number };

const FORMAT = 1;

/**
 * The figures of the attempts that began, and of the deliveries that ended, in a time. They make a group under `add`: in any order, and what was
 * wrong is taken away by adding it minus one times. So they can be kept beside what they tell of without ever being counted anew.
 */
export class Figures {
  readonly #counts: Counts;
  /** Of attempts that had an answer or not, in milliseconds. */
  readonly durations: Sketch;
  /** From an event's acceptance to the end of its delivery, if that came in its first round; a redelivery's says nothing of how quick we are. */
  readonly latencies: Sketch;

  constructor(counts = new Counts(), durations = new Sketch(), latencies = new Sketch()) {
    this.#counts = counts;
    this.durations = durations;
    this.latencies = latencies;
  }

  addAttempt({ status, duration_ms, error_code }: CountedAttempt, times: number): void {
    this.#counts.add(status === 'delivered' ? SUCCEEDED : FAILED, times);
    const code = error_code === null ? undefined : PLACES.get(`errors.${error_code}`);
    if (code !== undefined) this.#counts.add(code, times);
    this.durations.add(duration_ms, times);
  }

  addDelivery({ status, round, createdMs, finishedMs }: EndedDelivery, times: number): void {
    const end = ENDS[status];
    if (end === undefined) return;
    this.#counts.add(end, times);
    if (status === 'delivered' && round === 0) this.latencies.add(Math.max(0, finishedMs - createdMs), times);
  }

  add(other: Figures): void {
    this.#counts.addAll(other.#counts);
    this.durations.addAll(other.durations);
    this.latencies.addAll(other.latencies);
  }

  of(counted: Counted): number {
    return this.#counts.of(place(counted));
  }

  get isEmpty(): boolean {
    return this.#counts.isEmpty && this.durations.isEmpty && this.latencies.isEmpty;
  }

  encode(): Buffer {
    const writer = new VarintWriter().unsigned(FORMAT);
    this.#counts.write(writer);
    this.durations.write(writer);
    this.latencies.write(writer);
    return writer.written();
  }

  /** @throws {ForeignBytes} */
  static decode(bytes: Buffer): Figures {
    const reader = new VarintReader(bytes);
    if (reader.unsigned() !== FORMAT) throw new ForeignBytes('they are of a form that is not known');
    const figures = new Figures(Counts.read(reader, COUNTED.length), Sketch.read(reader), Sketch.read(reader));
    reader.end();
    return figures;
  }
}
