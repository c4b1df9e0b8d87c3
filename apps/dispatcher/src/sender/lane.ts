import { Fifo } from '../fifo.js';
import { NOWHERE, type Appointed } from './agenda.js';
import { Breaker } from './breaker.js';
import type { LaneTerms } from './lane-terms.js';
import { RateLimit } from './rate.js';
import type { Linked, Ring } from './ring.js';

/** How an attempt went, as far as its lane depends on it. */
export type Ending = {
  /**
   * `throttled`: the receiver lives and asks for time. `not_attempted`: says nothing of the receiver, because no request was made, or what
   * came of it did not depend on the receiver.
   */
  readonly kind: 'success' | 'failure' | 'throttled' | 'not_attempted';
  /** Since its start, by the clock that the core is called with. */
  readonly durationMs: number;
  /** With `throttled`. */
  readonly retryAfterMs?: number;
};

/** Why a delivery cannot stay in its lane. */
export type PostponeCause = 'rate_limit' | 'breaker' | 'slow';

/** @property isHeld what it waits for is its own lane, not only a slot */
export type Waiting<D> = { readonly delivery: D; readonly bytes: number; readonly heldBytes: number; readonly sinceMs: number; readonly isHeld: boolean };

/** What a lane may hold up in its partition. */
type Tolerance = {
  /** As long as a delivery may wait in the lane, and with it the offset of its record. */
  readonly patienceMs: number;
  /** A place is waited for that is so near: the rest of the patience is for what delays it. */
  readonly nearMs: number;
  readonly mostWaiting: number;
};

const STRICT: Tolerance = { patienceMs: 2_000, nearMs: 1_500, mostWaiting: 4_000 };
/**
 * A quick receiver in a partition of few: that its partition is held up for a moment costs the others less than what the way through the wheel
 * takes of this sender, whose speed is theirs too.
 */
const LENIENT: Tolerance = { patienceMs: 12_000, nearMs: 8_000, mostWaiting: 50_000 };
/** The part of its partition's window that each lane of many may hold. */
export const LEAST_SHARE = 1 / 8;
/** A lane whose attempts take longer than that on average is slow. */
const SLOW_MS = 1_000;
/** What is postponed takes its way through Kafka; it is not sent there for less. */
const SOONEST_RETURN_MS = 1_000;
/** Taken for the response time of a receiver of whom nothing is known. */
const UNKNOWN_RESPONSE_MS = 10;
/** Response times that the mean is made of, at least: where more are under way at once, what has happened to all of them says no more than one. */
const FEWEST = 10;
const LONGEST_PAUSE_MS = 3_600_000;
/**
 * No place is set aside that is farther away: whoever would have it comes back then, and asks again. What the slowest rate makes of a long queue is no time of day any more,
 * and who has been cancelled in between would find that forgotten: `deliveries.cancelled` is kept for twice as long.
 */
const FARTHEST_PLACE_MS = 7 * 86_400_000;
/**
 * So long after its first start a lane does not know its pace: the first requests of a burst wait for connections and for code to be compiled. Until
 * then a place by the pace is a guess, and no farther away than this: whoever comes back for it finds out.
 */
const LEARNING_MS = 10_000;

/**
 * A subscription's own queue, its limits, and what is known of its receiver. It tells when the next one may start, and what is to come of
 * one that cannot stay; the core does it.
 *
 * A delivery that comes has a place: the moment at which it could start, by the rate and by what is before it at the receiver's pace. A place
 * that is near is waited for here. Another one is set aside, once, and the delivery comes back for it through the delay
 * wheel, `reserved`. Those set aside are spaced by the rate and the pace, so that they find their lane free when they come.
 */
export class Lane<D> implements Linked<Lane<D>>, Appointed {
  ring: Ring<Lane<D>> | undefined = undefined;
  before: Lane<D> | undefined = undefined;
  after: Lane<D> | undefined = undefined;
  wakeAtMs = 0;
  agendaPlace = NOWHERE;
  /** What it may still send in this round, in bytes. */
  credit = 0;
  isSlow = false;
  idleSinceMs = 0;
  /** Of its partition's window, as many as there are to share it. */
  share = LEAST_SHARE;

  readonly breaker = new Breaker();
  readonly #waiting = new Fifo<Waiting<D>>();
  #heldBytes = 0;
  #underWay = 0;
  /** The sum of the times at which what is under way was started: all that the mean of its age needs. */
  #startedMs = 0;
  #terms: LaneTerms;
  /** What has been started. */
  #starts: RateLimit | undefined;
  /** What has been started or will be: each delivery that came has its place here. */
  #places: RateLimit | undefined;
  #responseMs: number | undefined;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;
  /** The place after all that were set aside. */
  #nextPlaceMs = Number.NEGATIVE_INFINITY;
  #firstStartMs: number | undefined;
  #isLearning = true;
  #hasProbe = false;

  constructor(
    readonly key: string,
    terms: LaneTerms,
    nowMs: number,
  ) {
    this.#terms = terms;
    this.#obeyRate(nowMs);
  }

  get underWay(): number {
    return this.#underWay;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get isIdle(): boolean {
    return this.#underWay === 0 && this.#waiting.length === 0;
  }

  /** Until then nothing is to be sent there. */
  get closedUntilMs(): number {
    return this.breaker.state === 'open' ? Math.max(this.breaker.reopensAtMs, this.#pausedUntilMs) : this.#pausedUntilMs;
  }

  /** From then on it is as good as a new one, but for the response time. */
  get mattersUntilMs(): number {
    const owedMs = this.#places === undefined ? 0 : this.#places.owesUntilMs;
    return Math.max(this.#pausedUntilMs, this.#nextPlaceMs, this.breaker.mattersUntilMs, owedMs);
  }

  /** When the first of those that wait has done so for as long as it may. */
  get impatientAtMs(): number {
    const first = this.#waiting.peek();
    return first === undefined ? Number.POSITIVE_INFINITY : first.sinceMs + this.#tolerance.patienceMs;
  }

  /** Limits that changed hold for what comes: places under the old ones are not waited for. */
  setTerms(terms: LaneTerms, nowMs: number): void {
    if (terms === this.#terms) return;
    const { rate, maxConcurrency } = this.#terms;
    this.#terms = terms;
    if (rate?.perSecond === terms.rate?.perSecond && rate?.burst === terms.rate?.burst && maxConcurrency === terms.maxConcurrency) return;
    this.#nextPlaceMs = Number.NEGATIVE_INFINITY;
    this.#places?.clear();
    this.#obeyRate(nowMs);
  }

  #obeyRate(nowMs: number): void {
    const { rate } = this.#terms;
    if (rate === undefined) {
      this.#starts = undefined;
      this.#places = undefined;
      return;
    }
    this.#starts ??= new RateLimit();
    this.#places ??= new RateLimit();
    this.#starts.setTerms(rate, nowMs);
    this.#places.setTerms(rate, nowMs);
  }

  /** When its next may start; infinite when one under way must end first. */
  mayStartAtMs(nowMs: number): number {
    if (!this.#hasFreeSlot) return Number.POSITIVE_INFINITY;
    return this.#starts === undefined ? nowMs : this.#starts.nextMs(nowMs);
  }

  /** Whether one that comes now would have to wait though there were slots for all. */
  holdsBack(nowMs: number): boolean {
    if (this.isSlow || this.mayStartAtMs(nowMs) > nowMs) return true;
    const before = this.#waiting.length;
    if (before === 0) return false;
    return this.#starts !== undefined || this.#underWay + before >= Math.min(this.#terms.maxConcurrency, this.breaker.allowed);
  }

  get #hasFreeSlot(): boolean {
    return this.#underWay < this.#terms.maxConcurrency && this.#underWay < this.breaker.allowed;
  }

  /** The place of a delivery that comes now, by the rate. */
  #placeByRateMs(nowMs: number): number {
    if (this.#places === undefined || this.#starts === undefined) return nowMs;
    return Math.max(this.#places.nextMs(nowMs), this.#starts.nextMs(nowMs) + this.#waiting.length * this.#starts.intervalMs);
  }

  /**
   * Its place by the pace. A slot that is free is taken, though others have places set aside, where that makes one of them wait for
   * no longer than it has patience for: a receiver that has become faster than its places say is not left idle.
   */
  #placeByPaceMs(nowMs: number): number {
    this.#learn(nowMs);
    const paceMs = this.#paceMs(nowMs);
    const isFree = this.#waiting.length === 0 && this.#hasFreeSlot;
    if (isFree && (this.#nextPlaceMs <= nowMs || paceMs <= STRICT.patienceMs / 2)) return nowMs;
    const queuedMs = nowMs + this.#waiting.length * paceMs;
    // Where one is lenient, those set aside come back to a lane that others have used meanwhile: better than an idle one after a moment's delay of ours.
    return this.#isLearning || this.#tolerance === LENIENT ? queuedMs : Math.max(queuedMs, this.#nextPlaceMs);
  }

  get #tolerance(): Tolerance {
    const isLenient = this.share > LEAST_SHARE && !this.isSlow && this.breaker.state === 'closed';
    return isLenient ? LENIENT : STRICT;
  }

  /**
   * Why a delivery that comes now cannot have its place here; undefined if it can.
   * @param windowBytes of the partition, of which this lane has a share
   */
  refuses(heldBytes: number, windowBytes: number, nowMs: number): PostponeCause | undefined {
    if (this.#placeByRateMs(nowMs) - nowMs > STRICT.nearMs) return 'rate_limit';
    if (this.#placeByPaceMs(nowMs) - nowMs > this.#tolerance.nearMs) return this.causeOfWaiting;
    return this.refusesReserved(heldBytes, windowBytes);
  }

  /** The same of one that has its place already. */
  refusesReserved(heldBytes: number, windowBytes: number): PostponeCause | undefined {
    const tolerance = this.#tolerance;
    const mostBytes = windowBytes * (tolerance === LENIENT ? this.share : LEAST_SHARE);
    const hasRoom = this.#waiting.length === 0 || (this.#waiting.length < tolerance.mostWaiting && this.#heldBytes + heldBytes <= mostBytes);
    return hasRoom ? undefined : this.causeOfWaiting;
  }

  /** What holds up those that wait. */
  get causeOfWaiting(): PostponeCause {
    if (this.breaker.state !== 'closed') return 'breaker';
    return this.#starts !== undefined && this.#hasFreeSlot ? 'rate_limit' : 'slow';
  }

  /** A delivery that came without a place has got one here. */
  takePlace(nowMs: number): void {
    this.#places?.take(this.#places.nextMs(nowMs));
  }

  /**
   * Sets a place aside for one that cannot stay, and tells when that is. While the breaker is open the first one comes back as it
   * reopens, and is the probe; the others when it is known what has come of that. What would have to wait for more than a week gets no place yet.
   */
  setAside(nowMs: number): number {
    const { state } = this.breaker;
    const soonestMs = Math.max(nowMs + SOONEST_RETURN_MS, this.closedUntilMs);
    if (state === 'open' && !this.#hasProbe) {
      this.#hasProbe = true;
      return Math.ceil(soonestMs);
    }
    this.#learn(nowMs);
    const paceMs = this.#paceMs(nowMs);
    const probedMs = state === 'closed' ? soonestMs : soonestMs + this.#terms.timeoutMs;
    const byPaceMs = Math.max(probedMs, this.#nextPlaceMs, nowMs + this.#waiting.length * paceMs);
    const isGuess = this.#isLearning && state === 'closed' && byPaceMs > nowMs + LEARNING_MS;
    const nearMs = isGuess ? soonestMs + ((byPaceMs - soonestMs) % LEARNING_MS) : byPaceMs;
    const placeMs = this.#places === undefined ? nearMs : this.#places.nextMs(nearMs);
    if (placeMs > nowMs + FARTHEST_PLACE_MS) return Math.ceil(nowMs + FARTHEST_PLACE_MS);
    this.#places?.take(placeMs);
    this.#nextPlaceMs = Math.max(byPaceMs, placeMs) + paceMs;
    return Math.ceil(placeMs);
  }

  /** When it has learned, its guesses are over: whoever has one comes back soon. */
  #learn(nowMs: number): void {
    if (!this.#isLearning || this.#firstStartMs === undefined || nowMs - this.#firstStartMs < LEARNING_MS) return;
    this.#isLearning = false;
    if (this.breaker.state === 'closed') this.#nextPlaceMs = Number.NEGATIVE_INFINITY;
  }

  push(waiting: Waiting<D>): void {
    this.#waiting.push(waiting);
    this.#heldBytes += waiting.heldBytes;
  }

  shift(): Waiting<D> | undefined {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) this.#heldBytes -= waiting.heldBytes;
    return waiting;
  }

  began(nowMs: number): void {
    this.#underWay += 1;
    this.#startedMs += nowMs;
    this.#starts?.take(nowMs);
    this.#firstStartMs ??= nowMs;
  }

  ended({ kind, durationMs }: Ending, nowMs: number): void {
    this.#underWay -= 1;
    this.#startedMs = this.#underWay === 0 ? 0 : this.#startedMs - (nowMs - durationMs);
    if (kind === 'not_attempted') return;
    const known = this.#responseMs;
    // What took longer was not the receiver: the clock leapt ahead, or we stood still.
    const tookMs = Math.min(durationMs, 2 * this.#terms.timeoutMs);
    // Whoever fails at once is not therefore quick.
    const sample = kind === 'success' ? tookMs : Math.max(tookMs, known ?? UNKNOWN_RESPONSE_MS);
    this.#responseMs = known === undefined ? sample : known + (sample - known) / Math.max(FEWEST, this.#terms.maxConcurrency);
  }

  pause(retryAfterMs: number, nowMs: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, nowMs + Math.min(retryAfterMs, LONGEST_PAUSE_MS));
  }

  /** It has just opened: the first one that is postponed will be the probe. */
  awaitProbe(): void {
    this.#hasProbe = false;
  }

  looksSlow(nowMs: number): boolean {
    return this.#attemptMs(nowMs) > SLOW_MS;
  }

  /** What an attempt takes: as they did, or, where it hangs, as those under way do. */
  #attemptMs(nowMs: number): number {
    const responseMs = this.#responseMs ?? UNKNOWN_RESPONSE_MS;
    const ageMs = this.#underWay === 0 ? 0 : nowMs - this.#startedMs / this.#underWay;
    return ageMs > SLOW_MS ? Math.max(responseMs, ageMs) : responseMs;
  }

  /** How far apart the lane can start them. One that is slow may have to share slots with others that are: then what it has got is what counts. */
  #paceMs(nowMs: number): number {
    const atATime = this.isSlow && this.#underWay > 0 ? this.#underWay : this.#terms.maxConcurrency;
    return this.#attemptMs(nowMs) / atATime;
  }
}
