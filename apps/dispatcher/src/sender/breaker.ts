export type BreakerState = 'closed' | 'open' | 'half_open';

const CONSECUTIVE_FAILURES = 10;
const FEWEST_ATTEMPTS = 20;
const WORST_RATIO = 0.5;
/** The ratio is taken over the half window that runs and the one before it: never over more than 30 s. */
const HALF_WINDOW_MS = 15_000;
const FIRST_OPEN_MS = 5_000;
const LONGEST_OPEN_MS = 300_000;
/** So that what failed together is not tried again together. */
const JITTER = 0.2;
const PROBES = 3;

/**
 * Keeps a receiver that fails from being asked again and again.
 *
 *                 10 failures in a row, or half
 *                 of 20 or more within 30 s
 *      ┌────────┐ ──────────────────────────▶ ┌──────┐
 *      │ closed │                             │ open │ 5 s, twice as long each time, 5 min at most
 *      └────────┘                             └──────┘
 *          ▲                                   │    ▲
 *          │ three            its time is over │    │ a probe fails
 *          │ successes     ┌───────────┐ ◀─────┘    │
 *          └────────────── │ half open │ ───────────┘
 *                          └───────────┘ one probe, then two
 *
 * Attempts that began before the last change say nothing of the state after it, and do not count.
 */
export class Breaker {
  #state: BreakerState = 'closed';
  #changedAtMs = Number.NEGATIVE_INFINITY;
  #consecutiveFailures = 0;
  #halfWindow = Number.NEGATIVE_INFINITY;
  #attempts = 0;
  #failures = 0;
  #attemptsBefore = 0;
  #failuresBefore = 0;
  #nextOpenMs = FIRST_OPEN_MS;
  #reopensAtMs = 0;
  #openMs = 0;
  #successes = 0;
  #lastFailureMs = Number.NEGATIVE_INFINITY;

  get state(): BreakerState {
    return this.#state;
  }

  /** When it is open: until then nothing is tried. */
  get reopensAtMs(): number {
    return this.#reopensAtMs;
  }

  /** Attempts that may be under way at a time, as far as it decides. */
  get allowed(): number {
    if (this.#state === 'closed') return Number.POSITIVE_INFINITY;
    if (this.#state === 'open') return 0;
    return this.#successes === 0 ? 1 : PROBES - this.#successes;
  }

  /** From then on it is as good as new. */
  get mattersUntilMs(): number {
    if (this.#state === 'closed') return this.#lastFailureMs + 2 * HALF_WINDOW_MS;
    return this.#reopensAtMs + Math.max(this.#openMs, 2 * HALF_WINDOW_MS);
  }

  /** Whether its time to be open is over, so that it is half open now. */
  reopens(nowMs: number): boolean {
    if (this.#state !== 'open' || nowMs < this.#reopensAtMs) return false;
    this.#change('half_open', nowMs);
    this.#successes = 0;
    return true;
  }

  /** An attempt has ended; whether that has closed it. */
  succeeded(startedMs: number, nowMs: number): boolean {
    if (startedMs < this.#changedAtMs || this.#state === 'open') return false;
    if (this.#state === 'closed') {
      this.#consecutiveFailures = 0;
      this.#count(0, nowMs);
      return false;
    }
    this.#successes += 1;
    if (this.#successes < PROBES) return false;
    this.#change('closed', nowMs);
    this.#nextOpenMs = FIRST_OPEN_MS;
    return true;
  }

  /**
   * An attempt has failed; whether that has opened it.
   * @param random uniform in [0, 1)
   */
  failed(startedMs: number, nowMs: number, random: number): boolean {
    if (startedMs < this.#changedAtMs || this.#state === 'open') return false;
    this.#lastFailureMs = nowMs;
    if (this.#state === 'closed') {
      this.#consecutiveFailures += 1;
      this.#count(1, nowMs);
      if (this.#consecutiveFailures < CONSECUTIVE_FAILURES && !this.#failsTooOften()) return false;
    }
    this.#openMs = this.#nextOpenMs * (1 - JITTER + 2 * JITTER * random);
    this.#nextOpenMs = Math.min(2 * this.#nextOpenMs, LONGEST_OPEN_MS);
    this.#reopensAtMs = nowMs + this.#openMs;
    this.#change('open', nowMs);
    return true;
  }

  #failsTooOften(): boolean {
    const attempts = this.#attempts + this.#attemptsBefore;
    return attempts >= FEWEST_ATTEMPTS && this.#failures + this.#failuresBefore >= WORST_RATIO * attempts;
  }

  #count(failures: number, nowMs: number): void {
    const halfWindow = Math.floor(nowMs / HALF_WINDOW_MS);
    if (halfWindow !== this.#halfWindow) {
      const isNext = halfWindow === this.#halfWindow + 1;
      this.#attemptsBefore = isNext ? this.#attempts : 0;
      this.#failuresBefore = isNext ? this.#failures : 0;
      this.#halfWindow = halfWindow;
      this.#attempts = 0;
      this.#failures = 0;
    }
    this.#attempts += 1;
    this.#failures += failures;
  }

  #change(to: BreakerState, nowMs: number): void {
    this.#state = to;
    this.#changedAtMs = nowMs;
    this.#consecutiveFailures = 0;
    this.#halfWindow = Number.NEGATIVE_INFINITY;
  }
}
