import type { Place, Point } from './place.js';

/** Offset of the next record that the reading which all share will hand over, by partition. */
export type Positions = ReadonlyMap<number, number>;

type Own = Point & {
  /** What lies before the shared reading's position has to be read once more; else the shared reading has still to come here. */
  readonly isBehind: boolean;
};

/**
 * Where a watch stands that goes on from a place of before: in some partitions behind the shared reading, and what is missing is read for it
 * alone; in some ahead of it, when another replica has told it more. Each record is taken from one of the two readings, in order, and once.
 */
export class Stand {
  readonly #own = new Map<number, Own>();

  /** @param place in every partition within what the topic holds */
  constructor(place: Place, shared: Positions) {
    for (const [partition, point] of place) {
      const position = shared.get(partition);
      if (position === undefined || (point.offset === position && point.told === 0)) continue;
      this.#own.set(partition, { ...point, isBehind: point.offset < position });
    }
  }

  /** Whether there is still something to be read for this watch alone. */
  get isBehind(): boolean {
    for (const { isBehind } of this.#own.values()) if (isBehind) return true;
    return false;
  }

  /** Whether it is where the shared reading is, and will be from now on. */
  get isOver(): boolean {
    return this.#own.size === 0;
  }

  /** Of a record of the shared reading: how many of its news were told before; undefined when it is not to be taken from there. */
  shared(partition: number, offset: number): number | undefined {
    const own = this.#own.get(partition);
    if (own === undefined) return 0;
    if (own.isBehind || offset < own.offset) return undefined;
    this.#own.delete(partition);
    return offset === own.offset ? own.told : 0;
  }

  /** The same of a record that is read for this watch alone. */
  alone(partition: number, offset: number, shared: Positions): number | undefined {
    const own = this.#own.get(partition);
    if (own === undefined || !own.isBehind || offset < own.offset) return undefined;
    const until = shared.get(partition) ?? 0;
    // One that the shared reading has still to come to, after a gap in the offsets, it will tell.
    if (offset + 1 >= until) this.#own.delete(partition);
    else this.#own.set(partition, { offset: offset + 1, told: 0, isBehind: true });
    if (offset >= until) return undefined;
    return offset === own.offset ? own.told : 0;
  }

  /** Leaves out what would still have to be read for this watch alone. */
  giveUp(): void {
    for (const [partition, { isBehind }] of this.#own) if (isBehind) this.#own.delete(partition);
  }

  /** In each partition. */
  place(shared: Positions): Map<number, Point> {
    return new Map(
      [...shared].map(([partition, position]) => {
        const own = this.#own.get(partition);
        return [partition, own && (own.isBehind || own.offset >= position) ? { offset: own.offset, told: own.told } : { offset: position, told: 0 }];
      }),
    );
  }
}
