const BITS = 14;
const CHUNK = 1 << BITS;
const MASK = CHUNK - 1;

/** 32-bit integers by index, 0 where none was set. Grows by chunks: nothing is copied, however long it has become. */
export class IntColumn {
  readonly #chunks: Int32Array[] = [];

  get(index: number): number {
    return this.#chunks[index >>> BITS]?.[index & MASK] ?? 0;
  }

  set(index: number, value: number): void {
    const at = index >>> BITS;
    while (this.#chunks.length <= at) this.#chunks.push(new Int32Array(CHUNK));
    const chunk = this.#chunks[at];
    if (chunk !== undefined) chunk[index & MASK] = value;
  }

  add(index: number, difference: number): number {
    const value = this.get(index) + difference;
    this.set(index, value);
    return value;
  }
}
