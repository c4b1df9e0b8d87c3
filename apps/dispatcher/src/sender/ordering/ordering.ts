import type { Round } from '../cancelling/cancelled-rounds.js';
import type { Later } from './keyed-queues.js';
import type { OrderedDelivery } from './ordered-delivery.js';
import { PartitionOrder, type OrderingParts } from './partition-order.js';

/** Keeps the order of keyed deliveries, each partition for itself. What is told of a partition that is not ours is of no effect. */
export class Ordering {
  readonly #parts: OrderingParts;
  readonly #partitions = new Map<number, PartitionOrder>();
  /** Not ours any more, but heads of theirs are still under way. */
  readonly #left = new Set<PartitionOrder>();
  #isHolding = false;

  constructor(parts: OrderingParts) {
    this.#parts = parts;
  }

  /** Why ordered keys may have to wait, in words. */
  get trouble(): string | undefined {
    for (const { trouble } of this.#partitions.values()) if (trouble !== undefined) return trouble;
    return undefined;
  }

  /** Keys that wait in the backlog, and deliveries in it. */
  get waiting(): { readonly keys: number; readonly deliveries: number } {
    let keys = 0;
    let deliveries = 0;
    for (const { blockedKeys, rows } of this.#partitions.values()) {
      keys += blockedKeys;
      deliveries += rows;
    }
    return { keys, deliveries };
  }

  /**
   * Before the partition's first record, and whenever the group has been joined again.
   * @param committed nothing below this offset is read again
   */
  assigned(partition: number, committed: number): void {
    const { fatal } = this.#parts;
    this.#isHolding = false;
    const order = this.#partitions.get(partition);
    const startAnew = (): void => fatal(new Error(`partition ${partition} has been another sender's meanwhile, and is to be read anew`));
    if (order === undefined) this.#partitions.set(partition, new PartitionOrder(partition, committed, this.#parts));
    else if (order.isLost) startAnew();
    else {
      order.isStillHeld().then((isHeld) => {
        if (!isHeld) startAnew();
        // The group may be changing once more by now.
        else if (!this.#isHolding) order.goOn();
      }, fatal);
    }
  }

  /** From `hold` until a partition is assigned. */
  get isHolding(): boolean {
    return this.#isHolding;
  }

  /** Rows that are under way. */
  get underWay(): number {
    let underWay = 0;
    for (const order of this.#partitions.values()) underWay += order.underWay;
    return underWay;
  }

  /** Partitions may be taken away: no row of the backlog is begun until they are assigned again. */
  hold(): void {
    this.#isHolding = true;
    for (const order of this.#partitions.values()) order.hold();
  }

  revoked(partition: number): void {
    const order = this.#partitions.get(partition);
    if (order === undefined) return;
    this.#partitions.delete(partition);
    order.close();
    if (order.underWay === 0) return;
    this.#left.add(order);
    void order.whenLeft.then(() => this.#left.delete(order));
  }

  /** In the order of the partition. */
  arrive(delivery: OrderedDelivery): void {
    this.#partitions.get(delivery.request.partition)?.arrive(delivery);
  }

  /** Whether it is ours to attempt: its record may be done, and so not revoked, while it waits in the backlog for whoever has the partition. */
  isHead(delivery: OrderedDelivery): boolean {
    return this.#partitions.get(delivery.request.partition)?.isHead(delivery) ?? false;
  }

  /** It has ended for good, and its outcome is in Kafka. */
  ended(delivery: OrderedDelivery): void {
    this.#partitions.get(delivery.request.partition)?.ended(delivery);
    this.#tellLeft(delivery, undefined);
  }

  /** It is to be attempted later; what came of it until now is in Kafka. */
  later(delivery: OrderedDelivery, { dueAtMs, ...rest }: Later): void {
    // Whole milliseconds, and none that stands for `AT_ONCE`.
    const later = { ...rest, dueAtMs: Math.max(1, Math.ceil(dueAtMs)) };
    this.#partitions.get(delivery.request.partition)?.later(delivery, later);
    this.#tellLeft(delivery, later);
  }

  /** Nothing has come of it, and nothing will: its record was taken away. If the partition was not, what is behind it goes on. */
  dropped(delivery: OrderedDelivery): void {
    this.#partitions.get(delivery.request.partition)?.ended(delivery);
    for (const order of this.#left) order.dropped(delivery);
  }

  /** The registry has something new of a subscription, or that it is gone. */
  changed(subscription: string): void {
    for (const order of this.#partitions.values()) order.changed(subscription);
  }

  /** It is not to wait any longer, but to end, and its key to go on. */
  cancelled(subscription: string, round: Round): void {
    for (const order of this.#partitions.values()) order.cancelled(subscription, round);
  }

  /** @param withinMs how long heads of the backlog that are under way may take; what takes longer is attempted again by whoever comes next */
  async close(withinMs: number): Promise<void> {
    for (const partition of this.#partitions.keys()) this.revoked(partition);
    await new Promise<void>((resolve) => {
      const cancel = this.#parts.setTimer(withinMs, resolve);
      void Promise.all([...this.#left].map((order) => order.whenLeft)).then(() => {
        cancel();
        resolve();
      });
    });
    await this.#parts.backlog.close();
  }

  #tellLeft(delivery: OrderedDelivery, later: Later | undefined): void {
    for (const order of this.#left) order.farewell(delivery, later);
  }
}
