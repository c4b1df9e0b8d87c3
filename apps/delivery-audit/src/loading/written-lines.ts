import type { Logger } from '@posthorn/kafka';
import type { Written } from './loader.js';

/** A batch can be written ten times a second; a line for each would be read by nobody, and fill disks. */
const EVERY_MS = 10_000;

/**
 * The loader's work in the log: the first batch after a silence at once, then one line with the sums of what was written since. What is not zero is told,
 * by the names of its tables.
 */
export class WrittenLines {
  readonly #log: Logger;
  readonly #rows = new Map<string, number>();
  #batches = 0;
  #busyMs = 0;
  #longestMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param seconds from the beginning of the batch's transaction to its commit */
  add(written: Written, seconds: number): void {
    for (const [table, rows] of Object.entries(written)) if (rows > 0) this.#rows.set(table, (this.#rows.get(table) ?? 0) + rows);
    this.#batches += 1;
    this.#busyMs += seconds * 1_000;
    this.#longestMs = Math.max(this.#longestMs, seconds * 1_000);
    if (this.#timer === undefined) this.#tell();
  }

  /** Tells what has not been told yet. */
  close(): void {
    if (this.#batches > 0) this.#tell();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #tell(): void {
    this.#log.info(
      { batches: this.#batches, rows: Object.fromEntries(this.#rows), busy_ms: Math.round(this.#busyMs), longest_ms: Math.round(this.#longestMs) },
      'batches written',
    );
    this.#rows.clear();
    this.#batches = this.#busyMs = this.#longestMs = 0;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (this.#batches > 0) this.#tell();
    }, EVERY_MS).unref();
  }
}
