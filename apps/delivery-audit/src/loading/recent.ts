/** The last so many of what was added, at least `size` of them, at most twice as many: in two generations, of which the older is dropped. */
export class Recent {
  readonly #size: number;
  #young = new Set<string>();
  #old: ReadonlySet<string> = new Set();

  constructor(size: number) {
    this.#size = size;
  }

  has(key: string): boolean {
    return this.#young.has(key) || this.#old.has(key);
  }

  add(key: string): void {
    if (this.#young.size >= this.#size) {
      this.#old = this.#young;
      this.#young = new Set();
    }
    this.#young.add(key);
  }
}
