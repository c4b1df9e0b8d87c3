import { IntRows } from './int-rows.js';

/** Gives out the smallest numbers that it can: those that came back first, the last of them first. */
export class NumberPool {
  readonly #returned = new IntRows(1);
  #returnedCount = 0;
  #next: number;

  constructor(first = 0) {
    this.#next = first;
  }

  take(): number {
    if (this.#returnedCount === 0) return this.#next++;
    this.#returnedCount -= 1;
    return this.#returned.get(this.#returnedCount);
  }

  giveBack(number: number): void {
    this.#returned.set(this.#returnedCount, 0, number);
    this.#returnedCount += 1;
  }
}
