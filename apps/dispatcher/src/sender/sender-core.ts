import { Fifo } from '../fifo.js';
import type { LaneTerms } from './lane-terms.js';

export type Offer<D> = {
  readonly delivery: D;
  /** Whose limits hold: a subscription, or the part of it that one partition has. */
  readonly lane: string;
  readonly bytes: number;
  /** It was postponed before, and its place in the lane's rate is its own. */
  readonly isReserved: boolean;
};

/** How an attempt went, as far as its lane depends on it. */
export type Ending = {
  /**
   * `throttled`: the receiver lives and asks for time. `not_attempted`: says nothing of the receiver, because no request was made, or it did
   * not depend on the receiver what came of it.
   */
  readonly kind: 'success' | 'failure' | 'throttled' | 'not_attempted';
  /** Since its start, by the clock that the core is called with. */
  readonly durationMs: number;
  /** With `throttled`. */
  readonly retryAfterMs?: number;
};

export type PostponeCause = 'rate_limit' | 'breaker' | 'slow';
export type BreakerState = 'closed' | 'open' | 'half_open';

export type SenderCoreParts<D> = {
  /** Attempts under way, or not yet recorded, in all. */
  readonly maxInFlight: number;
  /** Bytes that may wait in one lane. */
  readonly laneBytes: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly start: (delivery: D, nowMs: number) => void;
  readonly postpone: (delivery: D, dueAtMs: number, cause: PostponeCause) => void;
  readonly onBreaker: (to: BreakerState, lane: string) => void;
};

/** A subscription's own queue. It exists only while something waits or is under way in it. */
type Lane<D> = {
  readonly waiting: Fifo<Offer<D>>;
  waitingBytes: number;
  underWay: number;
  maxConcurrency: number;
  /** It is in the queue of lanes that may start their next. */
  queued: boolean;
};

const MOST_WAITING = 1_000;
const SOONEST_RETURN_MS = 1_000;

/**
 * Decides which delivery is attempted next: at most `maxInFlight` at a time in all, at most `maxConcurrency` at a time for one
 * subscription, the subscriptions taking turns, one delivery each. No clock, no I/O.
 *
 * Invariant: a lane is queued exactly when it has something waiting and room for one more.
 */
export class SenderCore<D> {
  readonly #lanes = new Map<string, Lane<D>>();
  readonly #ready = new Fifo<Lane<D>>();
  readonly #parts: SenderCoreParts<D>;
  #inFlight = 0;

  constructor(parts: SenderCoreParts<D>) {
    this.#parts = parts;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** When `tick` is to be called, at the latest. */
  get nextTickMs(): number | undefined {
    return undefined;
  }

  /** Lanes by what they do: `waiting` ones have more than they may send at once, `sending` ones do not. */
  countLanes(): { readonly sending: number; readonly waiting: number } {
    let waiting = 0;
    for (const lane of this.#lanes.values()) if (lane.waiting.length > 0) waiting += 1;
    return { sending: this.#lanes.size - waiting, waiting };
  }

  offer(offer: Offer<D>, { maxConcurrency }: LaneTerms, nowMs: number): void {
    let lane = this.#lanes.get(offer.lane);
    if (lane === undefined) {
      lane = { waiting: new Fifo(), waitingBytes: 0, underWay: 0, maxConcurrency, queued: false };
      this.#lanes.set(offer.lane, lane);
    }
    lane.maxConcurrency = maxConcurrency;
    const isFull = lane.waiting.length >= MOST_WAITING || lane.waitingBytes + offer.bytes > this.#parts.laneBytes;
    if (isFull && lane.waiting.length > 0) {
      this.#parts.postpone(offer.delivery, nowMs + SOONEST_RETURN_MS, 'slow');
      return;
    }
    lane.waiting.push(offer);
    lane.waitingBytes += offer.bytes;
    this.#enqueue(lane);
    this.#startReady(nowMs);
  }

  /** Each started delivery is told of once, when its attempt has ended or none is made: its lane has room for the next. */
  finished(key: string, _ending: Ending, nowMs: number): void {
    const lane = this.#lanes.get(key);
    if (lane === undefined || lane.underWay === 0) throw new Error(`nothing is under way for ${key}`);
    lane.underWay -= 1;
    if (lane.underWay === 0 && lane.waiting.length === 0) this.#lanes.delete(key);
    else this.#enqueue(lane);
    this.#startReady(nowMs);
  }

  /**
   * Each started delivery is told of once more, after `finished`: what came of it is in Kafka, and its slot is free. So no more than
   * `maxInFlight` requests can ever be repeated after a crash.
   */
  recorded(nowMs: number): void {
    this.#inFlight -= 1;
    this.#startReady(nowMs);
  }

  tick(nowMs: number): void {
    this.#startReady(nowMs);
  }

  /** Until when the lane's receiver is left alone; 0 when it is not. */
  notBeforeMs(_lane: string): number {
    return 0;
  }

  #enqueue(lane: Lane<D>): void {
    if (lane.queued || lane.waiting.length === 0 || lane.underWay >= lane.maxConcurrency) return;
    lane.queued = true;
    this.#ready.push(lane);
  }

  #startReady(nowMs: number): void {
    while (this.#inFlight < this.#parts.maxInFlight) {
      const lane = this.#ready.shift();
      const offer = lane?.waiting.shift();
      if (lane === undefined || offer === undefined) return;
      lane.waitingBytes -= offer.bytes;
      lane.queued = false;
      lane.underWay += 1;
      this.#inFlight += 1;
      this.#enqueue(lane);
      this.#parts.start(offer.delivery, nowMs);
    }
  }
}
