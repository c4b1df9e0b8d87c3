/** Lets those through who wait for a position to be reached. A position once reached stays reached. */
export class PositionGate {
  #reached = 0;
  readonly #waiting = new Set<{ readonly position: number; readonly open: (reached: boolean) => void }>();

  get position(): number {
    return this.#reached;
  }

  reached(position: number): void {
    if (position <= this.#reached) return;
    this.#reached = position;
    for (const waiter of this.#waiting) if (waiter.position <= position) waiter.open(true);
  }

  /** Resolves with true as soon as the position is reached, with false after `timeoutMs`. */
  waitFor(position: number, timeoutMs: number): Promise<boolean> {
    if (position <= this.#reached) return Promise.resolve(true);
    return new Promise((resolve) => {
      const open = (reached: boolean): void => {
        clearTimeout(timer);
        this.#waiting.delete(waiter);
        resolve(reached);
      };
      const timer = setTimeout(open, timeoutMs, false);
      const waiter = { position, open };
      this.#waiting.add(waiter);
    });
  }

  /** Turns away everybody who still waits. */
  close(): void {
    for (const waiter of this.#waiting) waiter.open(false);
  }
}
