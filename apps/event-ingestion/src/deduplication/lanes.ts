/** What stands in a lane: its place among all, and the key whose order is kept. */
export type Placed = { readonly place: number; readonly key: string | undefined };

type Lane<T extends Placed> = {
  readonly doubts: Set<T>;
  /** The doubts, and some that are none any more. */
  readonly doubted: Row<T>;
  readonly waiting: Row<T>;
};

/**
 * Keeps the order of a key while the fate of one of its events is in doubt: the later ones wait, those of other keys do not.
 * An event without a key has no order to keep. All events of a key may be in doubt together, tens of thousands after a crash: no step looks at all of them.
 */
export class Lanes<T extends Placed> {
  readonly #lanes = new Map<string, Lane<T>>();

  /** From now on, what comes after it waits. */
  doubt(item: T): void {
    if (item.key === undefined) return;
    const lane = this.#lanes.get(item.key) ?? { doubts: new Set(), doubted: new Row(), waiting: new Row() };
    this.#lanes.set(item.key, lane);
    if (lane.doubts.has(item)) return;
    lane.doubts.add(item);
    lane.doubted.add(item);
  }

  /** Whether it may go now; if not, it will be among those that `decided` lets go. */
  mayGo(item: T): boolean {
    const lane = item.key === undefined ? undefined : this.#lanes.get(item.key);
    if (!lane || item.place < firstDoubt(lane)) return true;
    lane.waiting.add(item);
    return false;
  }

  /** The item is not in doubt any more; it goes, or has ended, before those that are returned, in their order. */
  decided(item: T): readonly T[] {
    const lane = item.key === undefined ? undefined : this.#lanes.get(item.key);
    if (item.key === undefined || !lane?.doubts.delete(item)) return [];
    const before = firstDoubt(lane);
    const freed = lane.waiting.takeWhile(({ place }) => place < before);
    if (lane.doubts.size === 0) this.#lanes.delete(item.key);
    return freed;
  }
}

const firstDoubt = <T extends Placed>({ doubts, doubted }: Lane<T>): number => {
  doubted.takeWhile((item) => !doubts.has(item));
  return doubted.first?.place ?? Infinity;
};

/** Sorted by place. What comes nearly in order, and leaves at the front, moves hardly anything. */
class Row<T extends Placed> {
  #items: T[] = [];
  /** So many at the front have left. */
  #left = 0;

  get first(): T | undefined {
    return this.#items[this.#left];
  }

  add(item: T): void {
    let [from, to] = [this.#left, this.#items.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.#items[middle]?.place ?? Infinity) < item.place) from = middle + 1;
      else to = middle;
    }
    this.#items.splice(from, 0, item);
  }

  takeWhile(mayLeave: (item: T) => boolean): readonly T[] {
    const start = this.#left;
    while (this.first !== undefined && mayLeave(this.first)) this.#left++;
    const taken = this.#items.slice(start, this.#left);
    if (2 * this.#left > this.#items.length) {
      this.#items = this.#items.slice(this.#left);
      this.#left = 0;
    }
    return taken;
  }
}
