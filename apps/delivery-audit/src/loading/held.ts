import { Recent } from './recent.js';
import type { DeliveryRow } from './rows.js';

export type HeldLimits = {
  /** After so long a beginning is written without what follows: a delivery that waits is seen to. */
  readonly leastMs: number;
  /** Who is behind holds for as long as that, up to this: what follows has been told long ago, and is only not read yet. */
  readonly mostMs: number;
  /** So much is held at most; beyond it the oldest goes first. */
  readonly bytes: number;
};

/** With a fetch and a batch, what was decided is read within half a second, also where nobody answers. */
export const HELD_LIMITS: HeldLimits = { leastMs: 200, mostMs: 2_000, bytes: 1024 * 1024 };

/** Deliveries of which more than the beginning was heard of late: an outcome may be read before the decision. */
const RECENT_DELIVERIES = 10_000;

/** That it is to be sent, and nothing else: what the router decided. */
const isBeginning = ({ round, number, status, waiting_round }: DeliveryRow): boolean => round === 0 && number === 0 && status === 'pending' && waiting_round === null;

type Sized = { readonly bytes: number };
type Waiting<Item> = { readonly item: Item; readonly untilMs: number; readonly deliveries: readonly string[]; left: number };

/**
 * Decisions whose deliveries nobody has heard of yet. The first outcome is a matter of milliseconds, as a rule: written together with it, a delivery
 * is inserted; written before, it is inserted, and updated with all its indexes a moment later. What is held is not done, so nothing is lost with it.
 */
export class Held<Item extends Sized> {
  readonly #limits: HeldLimits;
  /** Oldest first. */
  readonly #waiting = new Set<Waiting<Item>>();
  readonly #byDelivery = new Map<string, Waiting<Item>>();
  readonly #heardOf = new Recent(RECENT_DELIVERIES);
  #bytes = 0;

  constructor(limits: HeldLimits = HELD_LIMITS) {
    this.#limits = limits;
  }

  /**
   * Returns what is to be written now: what was waiting for this item, what there is no room for, and the item, unless it is held.
   * @param behindMs since the item was told
   */
  add(item: Item, deliveries: readonly DeliveryRow[], nowMs: number, behindMs: number): readonly Item[] {
    const free: Item[] = [];
    const awaited: string[] = [];
    for (const delivery of deliveries) {
      if (!isBeginning(delivery)) this.#hear(delivery.id, free);
      else if (!this.#heardOf.has(delivery.id)) awaited.push(delivery.id);
    }
    if (awaited.length === 0) return [...free, item];
    const { leastMs, mostMs } = this.#limits;
    this.#hold({ item, untilMs: nowMs + Math.min(Math.max(behindMs, leastMs), mostMs), deliveries: awaited, left: awaited.length });
    for (const oldest of this.#waiting) {
      if (this.#bytes <= this.#limits.bytes) break;
      free.push(this.#letGo(oldest));
    }
    return free;
  }

  /** How long until something has waited for long enough; undefined when nothing waits. */
  dueInMs(nowMs: number): number | undefined {
    for (const { untilMs } of this.#waiting) return Math.max(0, untilMs - nowMs);
    return undefined;
  }

  /** What has waited for long enough, oldest first. */
  take(nowMs: number): readonly Item[] {
    const free: Item[] = [];
    for (const waiting of this.#waiting) {
      if (waiting.untilMs > nowMs) break;
      free.push(this.#letGo(waiting));
    }
    return free;
  }

  #hear(delivery: string, free: Item[]): void {
    this.#heardOf.add(delivery);
    const waiting = this.#byDelivery.get(delivery);
    if (waiting === undefined) return;
    this.#byDelivery.delete(delivery);
    waiting.left -= 1;
    if (waiting.left === 0) free.push(this.#letGo(waiting));
  }

  #hold(waiting: Waiting<Item>): void {
    this.#waiting.add(waiting);
    this.#bytes += waiting.item.bytes;
    // Of a decision that is told twice the former is not heard of: it waits its time.
    for (const delivery of waiting.deliveries) this.#byDelivery.set(delivery, waiting);
  }

  #letGo(waiting: Waiting<Item>): Item {
    this.#waiting.delete(waiting);
    this.#bytes -= waiting.item.bytes;
    for (const delivery of waiting.deliveries) if (this.#byDelivery.get(delivery) === waiting) this.#byDelivery.delete(delivery);
    return waiting.item;
  }
}
