import { ForeignBytes, type VarintReader, type VarintWriter } from './varints.js';

/**
 * How often each of some numbered things occurred, those between the first and the last side by side: adding many of these up is a walk over two
 * arrays. What was taken back may be below zero, until what it is taken from is added.
 */
export class Counts {
  #first = 0;
  /** Of `#first` and those behind it. */
  #times: number[] = [];

  add(what: number, times: number): void {
    this.#reach(what, what);
    const at = what - this.#first;
    this.#times[at] = (this.#times[at] ?? 0) + times;
  }

  addAll(other: Counts): void {
    if (other.#times.length === 0) return;
    this.#reach(other.#first, other.#first + other.#times.length - 1);
    const times = this.#times;
    const offset = other.#first - this.#first;
    for (let at = 0; at < other.#times.length; at++) times[at + offset] = (times[at + offset] ?? 0) + (other.#times[at] ?? 0);
  }

  of(what: number): number {
    return this.#times[what - this.#first] ?? 0;
  }

  get isEmpty(): boolean {
    return this.#times.every((times) => times === 0);
  }

  /** Ascending, those that occurred. */
  forEach(visit: (what: number, times: number) => void): void {
    for (let at = 0; at < this.#times.length; at++) {
      const times = this.#times[at] ?? 0;
      if (times !== 0) visit(this.#first + at, times);
    }
  }

  /** How many there are; then each, by how far it lies above the one before. The same counts are always the same bytes. */
  write(writer: VarintWriter): void {
    let size = 0;
    this.forEach(() => size++);
    writer.unsigned(size);
    let next = 0;
    this.forEach((what, times) => {
      writer.unsigned(what - next).signed(times);
      next = what + 1;
    });
  }

  /**
   * @param limit everything counted is numbered below it
   * @throws {ForeignBytes}
   */
  static read(reader: VarintReader, limit: number): Counts {
    const counts = new Counts();
    let next = 0;
    for (let left = reader.unsigned(); left > 0; left--) {
      const what = next + reader.unsigned();
      const times = reader.signed();
      if (what >= limit) throw new ForeignBytes('they count what there is not');
      if (times === 0) throw new ForeignBytes('they count nothing');
      counts.add(what, times);
      next = what + 1;
    }
    return counts;
  }

  /** Makes room for these and all between. */
  #reach(first: number, last: number): void {
    const times = this.#times;
    if (times.length === 0) this.#first = first;
    if (first < this.#first) {
      this.#times = Array.from<number>({ length: this.#first - first }).fill(0).concat(times);
      this.#first = first;
    }
    for (let missing = last - this.#first - this.#times.length; missing >= 0; missing--) this.#times.push(0);
  }
}
