import { deliveryId, requireKnownSchema, type Cancelled, type RequestedHead } from '@posthorn/contracts';
import type { FollowedRecord } from '@posthorn/kafka';
import { dayOf, deliveryOfDay } from '../delivery.js';
import { CancelledRounds, type Round } from './cancelled-rounds.js';

export type CancellationsParts = {
  /** Resolves when everything in `deliveries.cancelled` at the call has been handed over. */
  readonly readToEnd: () => Promise<void>;
  /** How long the topic keeps a record. */
  readonly keepMs: number;
  /** Wall clock. */
  readonly nowMs: () => number;
  /** Runs it once, so many milliseconds from now, unless it is cancelled. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
  /** Told of rounds that had to be forgotten before their time, and of how many there have been in all. */
  readonly onForgotten: (count: number) => void;
  readonly fatal: (error: unknown) => void;
};

/** Some 16 MB. */
const MOST_ROUNDS = 250_000;
const RETRY_READ_MS = 500;

/**
 * What users have cancelled, as `deliveries.cancelled` says. Who takes a partition over must know what was cancelled before, whoever had it
 * then: what is read of the partition waits until the topic has been read as far as it went at that moment. All of the topic is read, not
 * only the partitions with the numbers of ours: a delivery stays cancelled where it is moved by another `policy.spread`.
 */
export class Cancellations {
  readonly #parts: CancellationsParts;
  readonly #rounds: CancelledRounds;
  readonly #listeners: ((subscription: string, round: Round) => void)[] = [];
  /** What waits for the reading, by partition; undefined: it has been read. */
  readonly #partitions = new Map<number, (() => void)[] | undefined>();

  constructor(parts: CancellationsParts) {
    this.#parts = parts;
    this.#rounds = new CancelledRounds(MOST_ROUNDS, parts.keepMs);
  }

  /** Rounds that are remembered. */
  get size(): number {
    return this.#rounds.size;
  }

  /** Called for each round that is cancelled from now on. */
  listen(listener: (subscription: string, round: Round) => void): void {
    this.#listeners.push(listener);
  }

  /** @throws {UnknownSchemaError} */
  readonly onRecord = ({ headers, value }: Pick<FollowedRecord, 'headers' | 'value'>): void => {
    requireKnownSchema(headers);
    const { cancellations } = JSON.parse(String(value)) as Cancelled; // the audit's own
    const { forgotten } = this.#rounds;
    const nowMs = this.#parts.nowMs();
    for (const { delivery_id, accepted_at, round, subscription_id, at } of cancellations) {
      const cancelled = { delivery: deliveryOfDay(delivery_id, dayOf({ acceptedtime: accepted_at })), round };
      if (!this.#rounds.add(cancelled, Date.parse(at), nowMs)) continue;
      for (const listener of this.#listeners) listener(subscription_id, cancelled);
    }
    if (this.#rounds.forgotten > forgotten) this.#parts.onForgotten(this.#rounds.forgotten - forgotten);
  };

  has(round: Round): boolean {
    return this.#rounds.size > 0 && this.#rounds.has(round);
  }

  /** Whether the round that is asked for was cancelled. Costs nothing while nothing is. */
  isCancelled({ event, round }: RequestedHead, subscription: string): boolean {
    return this.#rounds.size > 0 && this.#rounds.has({ delivery: deliveryOfDay(deliveryId(event.tenant, event.id, subscription), dayOf(event)), round });
  }

  /** Before the partition's first record, and whenever the group has been joined again. */
  assigned(partition: number): void {
    if (this.#partitions.has(partition)) return;
    const waiting: (() => void)[] = [];
    this.#partitions.set(partition, waiting);
    this.#readToEnd(partition, waiting).catch(this.#parts.fatal);
  }

  /** What waits of it is somebody else's. */
  revoked(partition: number): void {
    this.#partitions.delete(partition);
  }

  /** Runs it when what had been cancelled before the partition was ours is known: at once, or in order after what waits already. */
  whenRead(partition: number, run: () => void): void {
    const waiting = this.#partitions.get(partition);
    if (waiting === undefined) run();
    else waiting.push(run);
  }

  async #readToEnd(partition: number, waiting: readonly (() => void)[]): Promise<void> {
    while (this.#partitions.get(partition) === waiting) {
      try {
        await this.#parts.readToEnd();
        break;
      } catch {
        // Kafka is away: whatever was read of the partition waits with us.
        await new Promise<void>((resolve) => void this.#parts.setTimer(RETRY_READ_MS, resolve));
      }
    }
    if (this.#partitions.get(partition) !== waiting) return;
    this.#partitions.set(partition, undefined);
    for (const run of waiting) run();
  }
}
