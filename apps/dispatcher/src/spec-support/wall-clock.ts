type Timer = { readonly ringsAt: number; readonly run: () => void };

/** The time of day, which a spec may set, and timers, which run on by what really passes. */
export class WallClock {
  #now: number;
  #passed = 0;
  readonly #timers = new Set<Timer>();

  constructor(now: number) {
    this.#now = now;
  }

  readonly nowMs = (): number => this.#now;

  readonly setTimer = (ms: number, run: () => void): (() => void) => {
    const timer = { ringsAt: this.#passed + ms, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** So much time passes, and every timer rings at its time. */
  pass(ms: number): void {
    const end = this.#passed + ms;
    for (let next = this.#nextBy(end); next !== undefined; next = this.#nextBy(end)) {
      this.#to(next.ringsAt);
      this.#timers.delete(next);
      next.run();
    }
    this.#to(end);
  }

  /** Somebody sets the clock; no time passes. */
  set(now: number): void {
    this.#now = now;
  }

  #to(passed: number): void {
    this.#now += passed - this.#passed;
    this.#passed = passed;
  }

  #nextBy(end: number): Timer | undefined {
    let next: Timer | undefined;
    for (const timer of this.#timers) if (timer.ringsAt <= end && (next === undefined || timer.ringsAt < next.ringsAt)) next = timer;
    return next;
  }
}
