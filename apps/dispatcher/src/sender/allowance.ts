import { Fifo } from '../fifo.js';

/** So many bytes at a time, in the order of asking. What is larger than that has to be alone. */
export class Allowance {
  readonly #mostBytes: number;
  readonly #waiting = new Fifo<{ readonly bytes: number; readonly go: () => void }>();
  #takenBytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** @returns undefined when they may be had at once, else what resolves when they are */
  take(bytes: number): Promise<void> | undefined {
    if (this.#waiting.length > 0 || !this.#fits(bytes)) return new Promise((go) => this.#waiting.push({ bytes, go }));
    this.#takenBytes += bytes;
    return undefined;
  }

  giveBack(bytes: number): void {
    this.#takenBytes -= bytes;
    for (let first = this.#waiting.peek(); first !== undefined && this.#fits(first.bytes); first = this.#waiting.peek()) {
      this.#waiting.shift();
      this.#takenBytes += first.bytes;
      first.go();
    }
  }

  #fits(bytes: number): boolean {
    return this.#takenBytes === 0 || this.#takenBytes + bytes <= this.#mostBytes;
  }
}
