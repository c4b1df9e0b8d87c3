/** Of a trace id's random part, the last 56 bits, as many as a number holds exactly. */
const RANDOM_DIGITS = 13;
const TRACE_ID_DIGITS = 32;

/**
 * Whether traces that begin here are recorded, by their ids alone, so that whoever judges by the same share judges the same: OpenTelemetry's consistent
 * probability sampling, the random value at least 1 − ratio.
 */
export const byRatio = (ratio: number): ((traceId: string) => boolean) => {
  const least = (1 - ratio) * 16 ** RANDOM_DIGITS;
  return (traceId) => Number.parseInt(traceId.slice(TRACE_ID_DIGITS - RANDOM_DIGITS), 16) >= least;
};

/**
 * Spans of failures in traces that are not sampled. When a subscriber with everybody's deliveries is down, every attempt is a failure: those
 * at the beginning tell as much as all of them would, and all of them would cost what is needed to get through.
 */
export class FailureAllowance {
  readonly #perSecond: number;
  readonly #nowMs: () => number;
  #left: number;
  #seenMs: number;

  /** @param nowMs a clock that is not set */
  constructor(perSecond: number, nowMs: () => number = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#nowMs = nowMs;
    this.#left = perSecond;
    this.#seenMs = nowMs();
  }

  /** False when as many as there may be in a second have been taken. */
  take(): boolean {
    const nowMs = this.#nowMs();
    this.#left = Math.min(this.#perSecond, this.#left + ((nowMs - this.#seenMs) / 1_000) * this.#perSecond);
    this.#seenMs = nowMs;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
