const BITS = 14;
const MASK = (1 << BITS) - 1;

/**
 * Rows of so many 32-bit integers, 0 where none was set. The integers of a row lie side by side: a row that is looked up at random costs one
 * visit to memory. Grows by chunks: nothing is copied, however long it has become.
 */
export class IntRows {
  readonly #width: number;
  readonly #chunks: Int32Array[] = [];

  constructor(width: number) {
    this.#width = width;
  }

  get(row: number, column = 0): number {
    return this.#chunks[row >>> BITS]?.[(row & MASK) * this.#width + column] ?? 0;
  }

  set(row: number, column: number, value: number): void {
    const at = row >>> BITS;
    while (this.#chunks.length <= at) this.#chunks.push(new Int32Array(this.#width << BITS));
    const chunk = this.#chunks[at];
    if (chunk !== undefined) chunk[(row & MASK) * this.#width + column] = value;
  }

  add(row: number, column: number, difference: number): number {
    const value = this.get(row, column) + difference;
    this.set(row, column, value);
    return value;
  }
}
