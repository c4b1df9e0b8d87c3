import { Fifo } from '../fifo.js';

/** Something that may take long, and is done in parts. */
export type Work = {
  /** Goes on until it is done, which it says by true, or until the time is up, which it asks now and then. */
  proceed(isTimeUp: () => boolean): boolean;
};

export type TurnsOptions = {
  readonly nowMs: () => number;
  /** Runs it when the process has seen to its other work. */
  readonly later: (run: () => void) => void;
  readonly sliceMs?: number;
};

const SLICE_MS = 5;

/**
 * Shares the process's time among owners. Work that does not ask for the time is done when it is added. What does has a slice in
 * each turn of the event loop, together with all others; what is not done by then is gone on with in the next turns, owner by owner.
 * Invariant: of one owner, work is done in the order in which it was added, and none is begun before the one before it is done.
 */
export class Turns {
  readonly #options: TurnsOptions;
  /** What each owner that waits has; its first may have been begun. */
  readonly #waiting = new Map<string, Fifo<Work>>();
  /** Owners that wait, each once. */
  readonly #order = new Fifo<string>();
  #endsMs: number | undefined;
  #isHeld = false;
  #size = 0;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  /** Work that is not done. */
  get size(): number {
    return this.#size;
  }

  /** Nothing is begun or gone on with until `release`. */
  hold(): void {
    this.#isHeld = true;
  }

  release(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    // What is due already goes on by itself.
    if (this.#size > 0 && this.#endsMs === undefined) this.#options.later(this.#nextTurn);
  }

  add(owner: string, work: Work): void {
    const before = this.#waiting.get(owner);
    if (before === undefined && !this.#isHeld && work.proceed(this.#isTimeUp)) return;
    this.#size += 1;
    if (before !== undefined) {
      before.push(work);
      return;
    }
    const waiting = new Fifo<Work>();
    waiting.push(work);
    this.#waiting.set(owner, waiting);
    this.#order.push(owner);
  }

  /** The turn begins when it is first asked; the next one is then due. */
  readonly #isTimeUp = (): boolean => {
    const { nowMs, later, sliceMs = SLICE_MS } = this.#options;
    const now = nowMs();
    if (this.#endsMs === undefined) {
      this.#endsMs = now + sliceMs;
      later(this.#nextTurn);
    }
    return now >= this.#endsMs;
  };

  readonly #nextTurn = (): void => {
    this.#endsMs = undefined;
    while (!this.#isHeld) {
      const owner = this.#order.shift();
      if (owner === undefined) return;
      this.#proceed(owner);
      if (this.#isTimeUp()) return;
    }
  };

  #proceed(owner: string): void {
    const waiting = this.#waiting.get(owner);
    if (waiting?.peek()?.proceed(this.#isTimeUp)) {
      waiting.shift();
      this.#size -= 1;
    }
    if (waiting === undefined || waiting.length === 0) this.#waiting.delete(owner);
    else this.#order.push(owner);
  }
}
