/** How finely a rate is kept: what may be asked for in such a time is asked for together. */
const GRAIN_MS = 100;
/** What was not asked for in time is made up for, as far as this: behind an outage the rate is no other. */
const MOST_SAVED_MS = 1_000;

/** Of a token: what comes to a rate of 1 in a millisecond, so that whole rates and whole milliseconds are reckoned with exactly. */
const PARTS = 1_000;

/** Keeps to so many a second: tokens come evenly, and each that is asked for takes one. It begins without any: after a restart nothing is asked for too early. */
export class Pace {
  /** In parts. */
  #tokens = 0;
  #atMs: number;

  /**
   * @param perSecond a whole number
   * @param nowMs of a clock that is never set back
   */
  constructor(
    private readonly perSecond: number,
    nowMs: number,
  ) {
    this.#atMs = Math.floor(nowMs);
  }

  /** How many may be asked for now; 0 until it is worth the while. */
  allowance(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= this.#worthwhile ? Math.floor(this.#tokens / PARTS) : 0;
  }

  /** How long until there are any; 0 when there are. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return Math.max(0, Math.ceil((this.#worthwhile - this.#tokens) / this.perSecond));
  }

  take(count: number): void {
    this.#tokens -= count * PARTS;
  }

  get #worthwhile(): number {
    return Math.max(PARTS, this.perSecond * GRAIN_MS);
  }

  #refill(nowMs: number): void {
    const atMs = Math.floor(nowMs);
    const most = Math.max(this.#worthwhile, this.perSecond * MOST_SAVED_MS);
    this.#tokens = Math.min(most, this.#tokens + (atMs - this.#atMs) * this.perSecond);
    this.#atMs = atMs;
  }
}
