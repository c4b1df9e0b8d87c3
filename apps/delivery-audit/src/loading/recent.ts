/** Slots are at least twice as many as ids: an id is found, or found missing, within a look or two. */
const slotsFor = (size: number): number => 2 ** Math.ceil(Math.log2(2 * size));

/** Two words of 32 bits (FNV-1a, twice over with different multipliers), the first of which is never 0: that is an empty slot. */
const words = { first: 0, second: 0 };
const readWords = (id: string): void => {
  let first = 0x811c9dc5;
  let second = 0x01234567;
  for (let at = 0; at < id.length; at++) {
    const code = id.charCodeAt(at);
    first = Math.imul(first ^ code, 0x01000193);
    second = Math.imul(second ^ code, 0x5bd1e995);
  }
  words.first = first >>> 0 || 1;
  words.second = second >>> 0;
};

/** Ids by 64 bits of each, in a table of open addresses. */
class Generation {
  readonly #table: Uint32Array;
  #size = 0;

  constructor(size: number) {
    this.#table = new Uint32Array(2 * slotsFor(size));
  }

  get size(): number {
    return this.#size;
  }

  /** Of what `readWords` has read. */
  has(): boolean {
    return this.#table[this.#slot()] !== 0;
  }

  add(): void {
    const slot = this.#slot();
    if (this.#table[slot] !== 0) return;
    this.#table[slot] = words.first;
    this.#table[slot + 1] = words.second;
    this.#size++;
  }

  clear(): void {
    this.#table.fill(0);
    this.#size = 0;
  }

  /** Where it is, or would be put. */
  #slot(): number {
    const last = this.#table.length - 1;
    let slot = (2 * words.first) & last;
    while (this.#table[slot] !== 0 && (this.#table[slot] !== words.first || this.#table[slot + 1] !== words.second)) slot = (slot + 2) & last;
    return slot;
  }
}

/**
 * The last so many ids that were added, at least `size` of them, at most twice as many: in two generations, of which the older is dropped. It takes 32 to 64 bytes
 * an id from the beginning and no more ever, and keeps no text alive. Of 10^14 ids one is taken for another: it is for whom that costs a little, and spoils nothing.
 */
export class Recent {
  readonly #size: number;
  #young: Generation;
  #old: Generation;

  constructor(size: number) {
    this.#size = size;
    this.#young = new Generation(size);
    this.#old = new Generation(size);
  }

  has(id: string): boolean {
    readWords(id);
    return this.#young.has() || this.#old.has();
  }

  add(id: string): void {
    readWords(id);
    if (this.#young.size >= this.#size) {
      [this.#young, this.#old] = [this.#old, this.#young];
      this.#young.clear();
    }
    this.#young.add();
  }
}
