const EVERY_MS = 1_000;

/** How far a long reading has come. */
export type Standing = { readonly read: number; readonly left: number };

/** Tells a person how far a long reading has come: a line about every second, and how fast it was when asked. */
export class Progress {
  readonly #write: (line: string) => void;
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  #toldMs: number;
  #toldCount = 0;
  #count = 0;

  constructor(write: (line: string) => void, nowMs: () => number = () => performance.now()) {
    this.#write = write;
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
    this.#toldMs = this.#startedMs;
  }

  tell({ read, left }: Standing): void {
    this.#count = read;
    const nowMs = this.#nowMs();
    const elapsedMs = nowMs - this.#toldMs;
    if (elapsedMs < EVERY_MS) return;
    const perSecond = ((read - this.#toldCount) * 1_000) / elapsedMs;
    const percent = Math.floor((100 * read) / Math.max(1, read + left));
    const rest = left === 0 ? '' : perSecond === 0 ? ', at a standstill' : `, ${durationOf(left / perSecond)} left`;
    this.#write(`${grouped(read)} records, ${percent} %, ${grouped(Math.round(perSecond))} records/s${rest}`);
    this.#toldMs = nowMs;
    this.#toldCount = read;
  }

  /** What came of it, in one line. */
  summary(): string {
    const seconds = (this.#nowMs() - this.#startedMs) / 1_000;
    const rate = seconds > 0 ? `, ${grouped(Math.round(this.#count / seconds))} records/s` : '';
    return `${grouped(this.#count)} records in ${seconds.toFixed(1)} s${rate}`;
  }
}

const grouped = (count: number): string => count.toLocaleString('en');

const durationOf = (seconds: number): string => {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = seconds / 60;
  return minutes < 90 ? `${Math.ceil(minutes)} min` : `${(minutes / 60).toFixed(1)} h`;
};
