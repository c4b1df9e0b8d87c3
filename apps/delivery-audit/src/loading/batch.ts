/** When to write, and how much at once. */
export type BatchLimits = {
  /** Either of these makes a batch due at once, and bounds what one transaction takes. */
  readonly rows: number;
  readonly bytes: number;
  /** Otherwise this long after the first of it. Who reads the history may be a moment late, and a commit costs as much as some tens of rows. */
  readonly ageMs: number;
};

/** A delivery's three records share one commit, and under load a commit is paid by a thousand rows. More at once lives longer here, and the collector copies it twice. */
export const DEFAULT_LIMITS: BatchLimits = { rows: 10_000, bytes: 1024 * 1024, ageMs: 100 };

type Sized = { readonly rows: number; readonly bytes: number };

/** What waits to be written, oldest first. Its bound is the consumer's window, not its own. */
export class Batch<Item extends Sized> {
  readonly #limits: BatchLimits;
  #items: { readonly item: Item; readonly sinceMs: number }[] = [];
  #rows = 0;
  #bytes = 0;

  constructor(limits: BatchLimits = DEFAULT_LIMITS) {
    this.#limits = limits;
  }

  add(item: Item, nowMs: number): void {
    this.#items.push({ item, sinceMs: nowMs });
    this.#rows += item.rows;
    this.#bytes += item.bytes;
  }

  /** There is as much as one transaction takes. */
  get isFull(): boolean {
    return this.#rows >= this.#limits.rows || this.#bytes >= this.#limits.bytes;
  }

  /** How long until it should be written; 0 when it is due, undefined when there is nothing. */
  dueInMs(nowMs: number): number | undefined {
    const [oldest] = this.#items;
    if (oldest === undefined) return undefined;
    if (this.isFull) return 0;
    return Math.max(0, oldest.sinceMs + this.#limits.ageMs - nowMs);
  }

  /** The oldest items, up to the limits, but at least one. */
  take(): Item[] {
    let rows = 0;
    let bytes = 0;
    const end = this.#items.findIndex(({ item }) => {
      const full = rows >= this.#limits.rows || bytes >= this.#limits.bytes;
      rows += item.rows;
      bytes += item.bytes;
      return full;
    });
    const taken = this.#items.slice(0, end === -1 ? undefined : end);
    this.#items = end === -1 ? [] : this.#items.slice(end);
    for (const { item } of taken) {
      this.#rows -= item.rows;
      this.#bytes -= item.bytes;
    }
    return taken.map(({ item }) => item);
  }
}
