type Lane<T> = { readonly doubts: Set<T>; readonly waiting: T[] };

/** What stands in a lane: its place among all, and the key whose order is kept. */
export type Placed = { readonly place: number; readonly key: string | undefined };

/**
 * Keeps the order of a key while the fate of one of its events is in doubt: the later ones wait, those of other keys do not.
 * An event without a key has no order to keep.
 */
export class Lanes<T extends Placed> {
  readonly #lanes = new Map<string, Lane<T>>();

  /** From now on, what comes after it waits. */
  doubt(item: T): void {
    if (item.key === undefined) return;
    const lane = this.#lanes.get(item.key) ?? { doubts: new Set(), waiting: [] };
    this.#lanes.set(item.key, lane);
    lane.doubts.add(item);
  }

  /** Whether it may go now; if not, it will be among those that `decided` lets go. */
  mayGo(item: T): boolean {
    const lane = item.key === undefined ? undefined : this.#lanes.get(item.key);
    if (!lane || item.place < firstDoubt(lane)) return true;
    lane.waiting.push(item);
    return false;
  }

  /** The item is not in doubt any more; it goes, or has ended, before those that are returned, in their order. */
  decided(item: T): readonly T[] {
    const lane = item.key === undefined ? undefined : this.#lanes.get(item.key);
    if (item.key === undefined || !lane?.doubts.delete(item)) return [];
    const first = firstDoubt(lane);
    const freed = lane.waiting.filter(({ place }) => place < first).sort((a, b) => a.place - b.place);
    const left = lane.waiting.filter(({ place }) => place >= first);
    lane.waiting.splice(0, lane.waiting.length, ...left);
    if (lane.doubts.size === 0) this.#lanes.delete(item.key);
    return freed;
  }
}

const firstDoubt = <T extends Placed>({ doubts }: Lane<T>): number => {
  let first = Infinity;
  for (const { place } of doubts) first = Math.min(first, place);
  return first;
};
