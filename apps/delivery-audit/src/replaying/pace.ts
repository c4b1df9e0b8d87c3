/** How finely a rate is kept: what may be asked for in such a time is asked for together. */
const GRAIN_MS = 100;
/** What was not asked for in time is made up for, as far as this: behind an outage the rate is no other. */
const MOST_SAVED_MS = 1_000;

/** Keeps to so many a second: tokens come evenly, and each that is asked for takes one. It begins without any: after a restart nothing is asked for too early. */
export class Pace {
  readonly #perMs: number;
  #tokens = 0;
  #atMs: number;

  /** @param nowMs of a clock that is never set back */
  constructor(perSecond: number, nowMs: number) {
    this.#perMs = perSecond / 1_000;
    this.#atMs = nowMs;
  }

  /** How many may be asked for now; 0 until it is worth the while. */
  allowance(nowMs: number): number {
    this.#refill(nowMs);
    return this.#tokens >= this.#worthwhile ? Math.floor(this.#tokens) : 0;
  }

  /** How long until there are any; 0 when there are. */
  waitMs(nowMs: number): number {
    this.#refill(nowMs);
    return Math.max(0, Math.ceil((this.#worthwhile - this.#tokens) / this.#perMs));
  }

  take(count: number): void {
    this.#tokens -= count;
  }

  get #worthwhile(): number {
    return Math.max(1, this.#perMs * GRAIN_MS);
  }

  #refill(nowMs: number): void {
    const most = Math.max(this.#worthwhile, this.#perMs * MOST_SAVED_MS);
    this.#tokens = Math.min(most, this.#tokens + (nowMs - this.#atMs) * this.#perMs);
    this.#atMs = nowMs;
  }
}
