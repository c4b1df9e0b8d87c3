const EVERY_MS = 1_000;

/** Tells a person how far a long work has come: a line about every second, and how fast it was when asked. */
export class Progress {
  readonly #what: string;
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #toldMs: number;
  #toldCount = 0;
  #count = 0;

  /** @param what is counted, in the plural */
  constructor(what: string, write: (line: string) => void, nowMs: () => number = () => performance.now()) {
    this.#what = what;
    this.#write = write;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
    this.#toldMs = this.#startedMs;
  }

  get count(): number {
    return this.#count;
  }

  get seconds(): number {
    return (this.#nowMs() - this.#startedMs) / 1_000;
  }

  /** That `count` more are done. */
  add(count: number): void {
    this.#count += count;
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#toldMs;
    if (elapsedMs < EVERY_MS) return;
    const rate = Math.round(((this.#count - this.#toldCount) * 1_000) / elapsedMs);
    this.#write(`${grouped(this.#count)} ${this.#what}, ${grouped(rate)} ${this.#what}/s`);
    this.#toldMs = nowMs;
    this.#toldCount = this.#count;
  }

  /** What came of it, in one line. */
  summary(): string {
    const { seconds } = this;
    const rate = seconds > 0 ? `, ${grouped(Math.round(this.#count / seconds))} ${this.#what}/s` : '';
    return `${grouped(this.#count)} ${this.#what} in ${seconds.toFixed(1)} s${rate}`;
  }
}

export const grouped = (count: number): string => count.toLocaleString('en');
