import type { RateTerms } from './lane-terms.js';

/** Three hundred years. A limit may ask for less than one in that time, and some thousand intervals together are still to be a number. */
const LONGEST_INTERVAL_MS = 1e13;

/**
 * A rate limit by the generic cell rate algorithm: `burst` may go at once, and each of them costs `1 / perSecond`. What it knows is one moment, at
 * which the lane will owe nothing any more.
 *
 * That moment is kept as a beginning and a whole number of intervals after it: a sum of intervals that are no whole milliseconds would
 * drift. A clock that leaps ahead finds an unused limit, which lets `burst` go and no more.
 */
export class RateLimit {
  #sinceMs = Number.NEGATIVE_INFINITY;
  #taken = 0;
  #intervalMs = 0;
  #toleranceMs = 0;

  /** Other terms hold from now on. What was taken stays taken, and costs what it costs by now where that is less: who raises a limit does not wait for the old one. */
  setTerms({ perSecond, burst }: RateTerms, nowMs: number): void {
    const owedUntilMs = this.owesUntilMs;
    const owedMs = owedUntilMs - nowMs;
    const intervalMs = Math.min(1_000 / perSecond, LONGEST_INTERVAL_MS);
    this.#sinceMs = owedMs > 0 ? nowMs + owedMs * Math.min(1, intervalMs / this.#intervalMs) : owedUntilMs;
    this.#taken = 0;
    this.#intervalMs = intervalMs;
    this.#toleranceMs = (burst - 1) * intervalMs;
  }

  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** From then on it is as if nothing had been taken. */
  get owesUntilMs(): number {
    return this.#sinceMs + this.#taken * this.#intervalMs;
  }

  /** The first moment from `nowMs` on at which one may go. */
  nextMs(nowMs: number): number {
    return Math.max(nowMs, this.owesUntilMs - this.#toleranceMs);
  }

  /** One goes at that moment, which is not before `nextMs`. */
  take(atMs: number): void {
    if (this.owesUntilMs < atMs) {
      this.#sinceMs = atMs;
      this.#taken = 0;
    }
    this.#taken += 1;
  }

  /** Whatever is owed. */
  clear(): void {
    this.#sinceMs = Number.NEGATIVE_INFINITY;
    this.#taken = 0;
  }
}
