/**
 * A bounded cache of two generations. New and used entries are in the young one; when that is full it becomes the old one, and
 * what nobody has asked for since is forgotten with the next change. Close to least-recently-used at the price of a map lookup.
 */
export class GenerationCache<K, V> {
  private young = new Map<K, V>();
  private old = new Map<K, V>();

  /** Holds at most twice `generationSize` entries. */
  constructor(
    private readonly generationSize: number,
    private readonly make: (key: K) => V,
  ) {}

  /** What `make` throws is passed on, and nothing is kept. */
  get(key: K): V {
    const known = this.young.get(key);
    if (known !== undefined) return known;
    const value = this.old.get(key) ?? this.make(key);
    if (this.young.size >= this.generationSize) {
      this.old = this.young;
      this.young = new Map();
    }
    this.young.set(key, value);
    return value;
  }

  get size(): number {
    return this.young.size + this.old.size;
  }
}
