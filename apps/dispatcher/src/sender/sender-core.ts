import { Agenda } from './agenda.js';
import type { BreakerState } from './breaker.js';
import { Lane, type Ending, type PostponeCause } from './lane.js';
import type { LaneTerms } from './lane-terms.js';
import { Ring } from './ring.js';

export type { BreakerState } from './breaker.js';
export type { Ending, PostponeCause } from './lane.js';

export type Offer<D> = {
  readonly delivery: D;
  /** Whose limits hold: a subscription, or the part of it that one partition has. */
  readonly lane: string;
  /** What it takes to send it. */
  readonly bytes: number;
  /** What it takes in memory: of a record that others have, too, its part. */
  readonly heldBytes: number;
  /** It was postponed before, and comes at the place that was set aside for it. */
  readonly isReserved: boolean;
  /** Of the window of its partition: what is left to each, when all lanes that use it lately have as much. */
  readonly share: number;
};

export type SenderCoreParts<D> = {
  /** Attempts under way, or not yet recorded, in all. */
  readonly maxInFlight: number;
  /**
   * Starts between two calls of `turn`. Answers to what began in one turn of the event loop wait for each other in the next ones: of a thousand, the
   * last would find its receiver slow, when it is we who are.
   */
  readonly startsATurn: number;
  /** What a partition may have in memory. A lane has its share of that; a single delivery may be larger. */
  readonly windowBytes: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /**
   * It must be told of by `finished` and `recorded`, at once or later.
   * @param isHeld it came reserved, or its own lane let it wait: its limits, its failures, its slowness
   */
  readonly start: (delivery: D, nowMs: number, isHeld: boolean) => void;
  /** To come back, reserved, not before it is due. */
  readonly postpone: (delivery: D, dueAtMs: number, cause: PostponeCause) => void;
  readonly onBreaker: (to: BreakerState, lane: string) => void;
};

export type LaneState = 'sending' | 'waiting' | 'paused' | 'open' | 'half_open';

/** Lanes that are slow may together hold so much of all slots. */
const SLOW_SHARE = 3 / 4;
/** What a lane may send in a round, and what each delivery takes of it beside its bytes: an ordinary one is one a round. */
const CREDIT_BYTES = 4_096;
const DELIVERY_BYTES = 1_024;
/** Lanes with something under way are looked at so often, whether they hang. */
const LOOK_MS = 500;
/** How long a lane is known after it last had something to do, or mattered. */
const REMEMBER_MS = 60_000;
/** Lanes that are known though they have nothing to do; 0.7 KB each. */
const MOST_REMEMBERED = 50_000;

/**
 * Decides which delivery is attempted next, and which cannot wait for its turn here. At most `maxInFlight` at a time in all; in a lane at
 * most what its terms and its breaker allow; lanes take turns, by bytes; who is slow leaves a quarter of the slots to others; nothing
 * waits longer than its patience but for a slot. No clock, no timer, no I/O: whoever calls says what time it is, and calls `tick` when
 * `nextTickMs` has come. Each call costs O(log n) of the lanes at most, O(1) as a rule.
 *
 * Where a lane is:
 *
 *   ready  it has something waiting, which may start as soon as there is a slot: only then are slots scarce
 *   held   the same, but it is slow, and the slow ones have all slots that they may have
 *   idle   nothing waits or is under way; it is remembered for a while
 *   none   something is under way; what waits, waits for that or for its rate, at most for as long as it has patience
 *
 * And a lane that is to be looked at by itself, because of its patience, its rate, what may hang in it, or to be forgotten, is in the agenda.
 */
export class SenderCore<D> {
  readonly #lanes = new Map<string, Lane<D>>();
  readonly #ready = new Ring<Lane<D>>();
  readonly #held = new Ring<Lane<D>>();
  readonly #idle = new Ring<Lane<D>>();
  readonly #agenda = new Agenda<Lane<D>>();
  readonly #parts: SenderCoreParts<D>;
  readonly #mostSlow: number;
  #inFlight = 0;
  /** Under way in lanes that are slow. */
  #slow = 0;
  #isStarting = false;
  /** In this turn. */
  #begun = 0;
  /** Our time never goes back: `#aheadMs` is by how much the clock has. */
  #nowMs = Number.NEGATIVE_INFINITY;
  #aheadMs = 0;

  constructor(parts: SenderCoreParts<D>) {
    this.#parts = parts;
    this.#mostSlow = Math.max(1, Math.floor(parts.maxInFlight * SLOW_SHARE));
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** When `tick` is to be called, at the latest. */
  get nextTickMs(): number | undefined {
    const nextMs = this.#agenda.nextMs;
    return nextMs === undefined ? undefined : nextMs - this.#aheadMs;
  }

  /** Lanes by what they do. Those that do nothing are not counted. */
  countLanes(): Readonly<Record<LaneState, number>> {
    const counts = { sending: 0, waiting: 0, paused: 0, open: 0, half_open: 0 };
    for (const lane of this.#lanes.values()) {
      const state = this.#stateOf(lane);
      if (state !== undefined) counts[state] += 1;
    }
    return counts;
  }

  #stateOf(lane: Lane<D>): LaneState | undefined {
    if (lane.breaker.state !== 'closed') return lane.breaker.state;
    if (lane.closedUntilMs > this.#nowMs) return 'paused';
    if (lane.waiting > 0) return 'waiting';
    return lane.underWay > 0 ? 'sending' : undefined;
  }

  offer(offer: Offer<D>, terms: LaneTerms, clockMs: number): void {
    const nowMs = this.#read(clockMs);
    const lane = this.#laneOf(offer.lane, terms, nowMs);
    lane.share = offer.share;
    if (lane.breaker.reopens(nowMs)) this.#parts.onBreaker('half_open', lane.key);
    const cause = this.#refusal(lane, offer, nowMs);
    if (cause !== undefined) {
      this.#postpone(lane, offer.delivery, cause, nowMs);
      this.#settle(lane, nowMs);
      return;
    }
    if (!offer.isReserved) lane.takePlace(nowMs);
    if (lane.waiting === 0 && this.#hasSlotFor(lane) && lane.mayStartAtMs(nowMs) <= nowMs) {
      this.#begin(lane, offer.delivery, nowMs, offer.isReserved);
      return;
    }
    lane.push({ delivery: offer.delivery, bytes: offer.bytes, heldBytes: offer.heldBytes, sinceMs: nowMs, isHeld: offer.isReserved || lane.holdsBack(nowMs) });
    this.#settle(lane, nowMs);
    this.#startReady(nowMs);
  }

  /** Each started delivery is told of once, when its attempt has ended or none is made: its lane has room for the next. */
  finished(key: string, ending: Ending, clockMs: number): void {
    const nowMs = this.#read(clockMs);
    const lane = this.#lanes.get(key);
    if (lane === undefined || lane.underWay === 0) throw new Error(`nothing is under way for ${key}`);
    if (lane.isSlow) this.#slow -= 1;
    lane.ended(ending, nowMs);
    this.#weigh(lane, nowMs);
    this.#tellBreaker(lane, ending, nowMs);
    if (ending.kind === 'throttled') {
      lane.pause(ending.retryAfterMs ?? 0, nowMs);
      if (lane.closedUntilMs > nowMs) this.#postponeAll(lane, 'rate_limit', nowMs);
    }
    this.#settle(lane, nowMs);
    this.#startReady(nowMs);
  }

  /**
   * Each started delivery is told of once more, after `finished`: what came of it is in Kafka, and its slot is free. So no more than
   * `maxInFlight` requests can ever be repeated after a crash.
   */
  recorded(clockMs: number): void {
    this.#inFlight -= 1;
    this.#startReady(this.#read(clockMs));
  }

  tick(clockMs: number): void {
    const nowMs = this.#read(clockMs);
    for (let lane = this.#agenda.takeDue(nowMs); lane !== undefined; lane = this.#agenda.takeDue(nowMs)) this.#look(lane, nowMs);
    this.#startReady(nowMs);
  }

  /** A new turn of the event loop, after one in which something was started. */
  turn(clockMs: number): void {
    this.#begun = 0;
    this.#startReady(this.#read(clockMs));
  }

  /** Until when the lane's receiver is to be left alone; in the past when it need not be. */
  notBeforeMs(key: string): number {
    const lane = this.#lanes.get(key);
    return lane === undefined ? Number.NEGATIVE_INFINITY : Math.ceil(lane.closedUntilMs - this.#aheadMs);
  }

  /** A clock that goes back would hold up what has a place in time: for us it stands still instead, and goes on from there. */
  #read(clockMs: number): number {
    const nowMs = clockMs + this.#aheadMs;
    if (nowMs >= this.#nowMs) this.#nowMs = nowMs;
    else this.#aheadMs += this.#nowMs - nowMs;
    return this.#nowMs;
  }

  #laneOf(key: string, terms: LaneTerms, nowMs: number): Lane<D> {
    let lane = this.#lanes.get(key);
    if (lane === undefined) {
      lane = new Lane(key, terms, nowMs);
      this.#lanes.set(key, lane);
    } else {
      lane.setTerms(terms, nowMs);
    }
    return lane;
  }

  #refusal(lane: Lane<D>, { heldBytes, isReserved }: Offer<D>, nowMs: number): PostponeCause | undefined {
    if (lane.closedUntilMs > nowMs) return lane.breaker.state === 'open' ? 'breaker' : 'rate_limit';
    const { windowBytes } = this.#parts;
    return isReserved ? lane.refusesReserved(heldBytes, windowBytes) : lane.refuses(heldBytes, windowBytes, nowMs);
  }

  /** Another one may be started at all. */
  get #hasSlot(): boolean {
    return this.#inFlight < this.#parts.maxInFlight && this.#begun < this.#parts.startsATurn;
  }

  /** Whether there is one that nobody waits for. */
  #hasSlotFor(lane: Lane<D>): boolean {
    return this.#hasSlot && this.#ready.size === 0 && (!lane.isSlow || this.#slow < this.#mostSlow);
  }

  #begin(lane: Lane<D>, delivery: D, nowMs: number, isHeld: boolean): void {
    if (lane.underWay === 0) {
      this.#idle.remove(lane);
      this.#lookBy(lane, nowMs + LOOK_MS);
    }
    lane.began(nowMs);
    this.#inFlight += 1;
    this.#begun += 1;
    if (lane.isSlow) this.#slow += 1;
    this.#parts.start(delivery, nowMs - this.#aheadMs, isHeld);
  }

  #postpone(lane: Lane<D>, delivery: D, cause: PostponeCause, nowMs: number): void {
    this.#parts.postpone(delivery, lane.setAside(nowMs) - this.#aheadMs, cause);
  }

  #postponeAll(lane: Lane<D>, cause: PostponeCause, nowMs: number): void {
    for (let first = lane.shift(); first !== undefined; first = lane.shift()) this.#postpone(lane, first.delivery, cause, nowMs);
  }

  #tellBreaker(lane: Lane<D>, { kind, durationMs }: Ending, nowMs: number): void {
    const { breaker } = lane;
    const startedMs = nowMs - durationMs;
    if (kind === 'success') {
      if (breaker.succeeded(startedMs, nowMs)) this.#parts.onBreaker('closed', lane.key);
    } else if (kind === 'failure' && breaker.failed(startedMs, nowMs, this.#parts.random())) {
      lane.awaitProbe();
      this.#parts.onBreaker('open', lane.key);
      this.#postponeAll(lane, 'breaker', nowMs);
    }
  }

  /** Whether it is slow, and with it what it has under way. */
  #weigh(lane: Lane<D>, nowMs: number): void {
    const isSlow = lane.looksSlow(nowMs);
    if (isSlow === lane.isSlow) return;
    lane.isSlow = isSlow;
    this.#slow += isSlow ? lane.underWay : -lane.underWay;
  }

  /** Puts it where it belongs after whatever has changed. */
  #settle(lane: Lane<D>, nowMs: number): void {
    if (lane.waiting === 0) {
      lane.credit = 0;
      if (lane.underWay === 0) this.#rest(lane, nowMs);
      else lane.ring?.remove(lane);
      return;
    }
    const atMs = lane.mayStartAtMs(nowMs);
    if (atMs > nowMs) {
      lane.ring?.remove(lane);
      this.#agenda.add(lane, Math.min(atMs, lane.impatientAtMs));
    } else if (lane.ring !== this.#ready && !(lane.ring === this.#held && lane.isSlow)) {
      this.#ready.push(lane);
    }
  }

  #rest(lane: Lane<D>, nowMs: number): void {
    if (lane.ring === this.#idle) return;
    lane.idleSinceMs = nowMs;
    this.#idle.push(lane);
    this.#lookBy(lane, nowMs + REMEMBER_MS);
    const eldest = this.#idle.first;
    if (eldest !== undefined && this.#idle.size > MOST_REMEMBERED) this.#forget(eldest);
  }

  #forget(lane: Lane<D>): void {
    this.#idle.remove(lane);
    this.#agenda.remove(lane);
    this.#lanes.delete(lane.key);
  }

  /** Looks that are not urgent are made together. */
  #lookBy(lane: Lane<D>, atMs: number): void {
    this.#agenda.add(lane, Math.ceil(atMs / LOOK_MS) * LOOK_MS);
  }

  #look(lane: Lane<D>, nowMs: number): void {
    if (lane.isIdle) {
      const untilMs = Math.max(lane.idleSinceMs + REMEMBER_MS, lane.mattersUntilMs);
      if (untilMs <= nowMs) this.#forget(lane);
      else this.#lookBy(lane, untilMs);
      return;
    }
    this.#weigh(lane, nowMs);
    this.#settle(lane, nowMs);
    // Whoever waits for nothing but a slot has a sender that is too small for all, and would not find it larger later.
    if (lane.ring !== this.#ready && lane.impatientAtMs <= nowMs) {
      this.#dismissImpatient(lane, nowMs);
      this.#settle(lane, nowMs);
    }
    if (!lane.isIdle) this.#lookBy(lane, nowMs + LOOK_MS);
    if (lane.ring === this.#held) this.#agenda.add(lane, lane.impatientAtMs);
  }

  #dismissImpatient(lane: Lane<D>, nowMs: number): void {
    while (lane.impatientAtMs <= nowMs) {
      const first = lane.shift();
      if (first === undefined) return;
      this.#postpone(lane, first.delivery, lane.causeOfWaiting, nowMs);
    }
  }

  /** Deficit round robin over the lanes that are ready. One may start while it owes nothing; what it takes it owes, and pays off by rounds. */
  #startReady(nowMs: number): void {
    if (this.#isStarting) return;
    this.#isStarting = true;
    while (this.#hasSlot) {
      const lane = this.#nextReady();
      if (lane === undefined) break;
      lane.credit = Math.min(lane.credit + CREDIT_BYTES, CREDIT_BYTES);
      const first = lane.credit > 0 ? lane.shift() : undefined;
      if (first === undefined) {
        this.#ready.push(lane);
        continue;
      }
      lane.credit -= DELIVERY_BYTES + first.bytes;
      this.#begin(lane, first.delivery, nowMs, first.isHeld);
      this.#settle(lane, nowMs);
    }
    this.#isStarting = false;
  }

  #nextReady(): Lane<D> | undefined {
    if (this.#held.size > 0 && this.#slow < this.#mostSlow) return this.#held.shift();
    for (let lane = this.#ready.shift(); lane !== undefined; lane = this.#ready.shift()) {
      if (!lane.isSlow || this.#slow < this.#mostSlow) return lane;
      this.#held.push(lane);
      this.#agenda.add(lane, lane.impatientAtMs);
    }
    return undefined;
  }
}
