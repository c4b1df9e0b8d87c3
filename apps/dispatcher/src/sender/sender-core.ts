import { Fifo } from '../fifo.js';

/** A subscription's own queue. It exists only while something waits or is under way in it. */
type Lane<D> = {
  readonly subscription: string;
  readonly waiting: Fifo<D>;
  underWay: number;
  maxConcurrency: number;
  /** It is in the queue of lanes that may start their next. */
  queued: boolean;
};

/**
 * Decides which delivery is attempted next: at most `maxInFlight` at a time in all, at most `maxConcurrency` at a time for one
 * subscription, the subscriptions taking turns, one delivery each. No clock, no I/O.
 *
 * Invariant: a lane is queued exactly when it has something waiting and room for one more.
 */
export class SenderCore<D> {
  readonly #lanes = new Map<string, Lane<D>>();
  readonly #ready = new Fifo<Lane<D>>();
  readonly #maxInFlight: number;
  readonly #start: (delivery: D) => void;
  #inFlight = 0;

  constructor({ maxInFlight, start }: { maxInFlight: number; start: (delivery: D) => void }) {
    this.#maxInFlight = maxInFlight;
    this.#start = start;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Lanes by what they do: `waiting` ones have more than they may send at once, `sending` ones do not. */
  countLanes(): { readonly sending: number; readonly waiting: number } {
    let waiting = 0;
    for (const lane of this.#lanes.values()) if (lane.waiting.length > 0) waiting += 1;
    return { sending: this.#lanes.size - waiting, waiting };
  }

  offer(subscription: string, maxConcurrency: number, delivery: D): void {
    let lane = this.#lanes.get(subscription);
    if (lane === undefined) {
      lane = { subscription, waiting: new Fifo(), underWay: 0, maxConcurrency, queued: false };
      this.#lanes.set(subscription, lane);
    }
    lane.maxConcurrency = maxConcurrency;
    lane.waiting.push(delivery);
    this.#enqueue(lane);
    this.#startReady();
  }

  /** Each started delivery is reported once, however it ended. */
  finished(subscription: string): void {
    const lane = this.#lanes.get(subscription);
    if (lane === undefined) throw new Error(`nothing is under way for ${subscription}`);
    lane.underWay -= 1;
    this.#inFlight -= 1;
    if (lane.underWay === 0 && lane.waiting.length === 0) this.#lanes.delete(subscription);
    else this.#enqueue(lane);
    this.#startReady();
  }

  #enqueue(lane: Lane<D>): void {
    if (lane.queued || lane.waiting.length === 0 || lane.underWay >= lane.maxConcurrency) return;
    lane.queued = true;
    this.#ready.push(lane);
  }

  #startReady(): void {
    while (this.#inFlight < this.#maxInFlight) {
      const lane = this.#ready.shift();
      const delivery = lane?.waiting.shift();
      if (lane === undefined || delivery === undefined) return;
      lane.queued = false;
      lane.underWay += 1;
      this.#inFlight += 1;
      this.#enqueue(lane);
      this.#start(delivery);
    }
  }
}
