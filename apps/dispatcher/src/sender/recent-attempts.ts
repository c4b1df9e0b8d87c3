/**
 * Remembers attempts that have had their whole effect: the last `capacity` of them at least, twice as many at most.
 *
 * A crash between the writing of a retry and the commit of the record behind it has the attempt made again, and its retry written
 * again. Without a memory each such pair would go on as two chains of retries to the end of the schedule; with it, the second one ends where it
 * meets the first. What is to be in order is not sent again behind what came after it, when the router has asked for it twice.
 */
export class RecentAttempts {
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();
  readonly #capacity: number;

  constructor(capacity = 50_000) {
    this.#capacity = capacity;
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  add(key: string): void {
    this.#young.add(key);
    if (this.#young.size < this.#capacity) return;
    this.#old = this.#young;
    this.#young = new Set();
  }
}
