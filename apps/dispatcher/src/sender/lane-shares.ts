import { LEAST_SHARE } from './lane.js';

/** A lane counts as long after its last delivery, and at most twice that. */
const LATELY_MS = 10_000;
const MOST = 1 / LEAST_SHARE;
const NONE: ReadonlySet<string> = new Set();

/**
 * How many lanes share the window of a partition, and so how much of it each may hold: all of it when there is none beside it. Counted no
 * further than matters.
 */
export class LaneShares {
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();
  #turnsAtMs = Number.NEGATIVE_INFINITY;
  #last = '';

  /** @returns from `LEAST_SHARE` to 1 */
  of(lane: string, nowMs: number): number {
    if (nowMs >= this.#turnsAtMs) this.#turn(nowMs);
    if (lane !== this.#last) {
      this.#last = lane;
      if (this.#young.size < MOST) this.#young.add(lane);
    }
    return 1 / Math.max(this.#young.size, this.#old.size);
  }

  #turn(nowMs: number): void {
    this.#old = nowMs < this.#turnsAtMs + LATELY_MS ? this.#young : NONE;
    this.#young = new Set();
    this.#last = '';
    this.#turnsAtMs = nowMs + LATELY_MS;
  }
}
