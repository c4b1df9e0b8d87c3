/** What a generation may hold, beside its number of entries: by whatever they weigh, bytes say. */
export type Weight<K, V> = { readonly of: (key: K, value: V) => number; readonly most: number };

/**
 * A bounded cache of two generations. New and used entries are in the young one; when that is full it becomes the old one, and
 * what nobody has asked for since is forgotten with the next change. Close to least-recently-used at the price of a map lookup.
 */
export class GenerationCache<K, V> {
  private young = new Map<K, V>();
  private old = new Map<K, V>();
  private youngWeight = 0;

  /** Holds at most twice `generationSize` entries; and of `weight`, twice the most and the last entry of each generation. */
  constructor(
    private readonly generationSize: number,
    private readonly make: (key: K) => V,
    private readonly weight: Weight<K, V> = { of: () => 0, most: 1 },
  ) {}

  /** What `make` throws is passed on, and nothing is kept. */
  get(key: K): V {
    const known = this.young.get(key);
    if (known !== undefined) return known;
    const value = this.old.get(key) ?? this.make(key);
    if (this.young.size >= this.generationSize || this.youngWeight >= this.weight.most) {
      this.old = this.young;
      this.young = new Map();
      this.youngWeight = 0;
    }
    this.young.set(key, value);
    this.youngWeight += this.weight.of(key, value);
    return value;
  }

  /** The next `get` makes it anew. */
  delete(key: K): void {
    const young = this.young.get(key);
    if (young !== undefined) this.youngWeight -= this.weight.of(key, young);
    this.young.delete(key);
    this.old.delete(key);
  }

  get size(): number {
    return this.young.size + this.old.size;
  }
}
