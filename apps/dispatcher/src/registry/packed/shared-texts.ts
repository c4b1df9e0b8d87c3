import { IntRows } from './int-rows.js';
import { NumberPool } from './number-pool.js';
import { TextStore } from './text-store.js';

const { imul } = Math;

const FIRST_SLOTS = 1_024;

/** By number: where its text stands, the text's hash, and how often it is held. */
const ADDRESS = 0;
const HASH = 1;
const HOLDERS = 2;
const COLUMNS = 3;

/**
 * Small numbers for texts: equal ones have one number and are stored once, for as long as somebody holds it. A number whose text is no
 * longer held is given to another. Some 16 bytes beside the text, and constant time for everything; now and then a
 * call doubles the slots (30 ms at a million).
 */
export class SharedTexts {
  readonly #texts = new TextStore();
  readonly #numbers = new NumberPool();
  readonly #rows = new IntRows(COLUMNS);
  /** Open addressing, at most half full: a text's number plus 1, at its hash or in the slots that follow; 0 is free. */
  #slots = new Int32Array(FIRST_SLOTS);
  #size = 0;

  /** Distinct texts held. */
  get size(): number {
    return this.#size;
  }

  find(text: string): number | undefined {
    const slot = this.#slotOf(text, hashOf(text));
    return slot === undefined ? undefined : this.#at(slot) - 1;
  }

  text(number: number): string {
    return this.#texts.get(this.#rows.get(number, ADDRESS));
  }

  /** How often it is held. */
  holders(number: number): number {
    return this.#rows.get(number, HOLDERS);
  }

  /** Its number, valid until as many have released it as have called this. */
  hold(text: string): number {
    const hash = hashOf(text);
    const slot = this.#slotOf(text, hash);
    const number = slot === undefined ? this.#add(text, hash) : this.#at(slot) - 1;
    this.#rows.add(number, HOLDERS, 1);
    return number;
  }

  /** Whether that was the last who held it. */
  release(number: number): boolean {
    if (this.#rows.add(number, HOLDERS, -1) > 0) return false;
    this.#vacate(this.#slotOfNumber(number));
    this.#texts.remove(this.#rows.get(number, ADDRESS));
    this.#numbers.giveBack(number);
    this.#size -= 1;
    return true;
  }

  #add(text: string, hash: number): number {
    if (2 * (this.#size + 1) > this.#slots.length) this.#double();
    const number = this.#numbers.take();
    this.#rows.set(number, ADDRESS, this.#texts.add(text));
    this.#rows.set(number, HASH, hash);
    this.#put(number);
    this.#size += 1;
    return number;
  }

  #at(slot: number): number {
    return this.#slots[slot] ?? 0;
  }

  #following(slot: number): number {
    return (slot + 1) & (this.#slots.length - 1);
  }

  #homeOf(number: number): number {
    return this.#rows.get(number, HASH) & (this.#slots.length - 1);
  }

  #slotOf(text: string, hash: number): number | undefined {
    for (let slot = hash & (this.#slots.length - 1); this.#at(slot) !== 0; slot = this.#following(slot)) {
      const number = this.#at(slot) - 1;
      if (this.#rows.get(number, HASH) === hash && this.text(number) === text) return slot;
    }
    return undefined;
  }

  #slotOfNumber(number: number): number {
    let slot = this.#homeOf(number);
    while (this.#at(slot) !== number + 1) slot = this.#following(slot);
    return slot;
  }

  #put(number: number): void {
    let slot = this.#homeOf(number);
    while (this.#at(slot) !== 0) slot = this.#following(slot);
    this.#slots[slot] = number + 1;
  }

  /** Moves up what would no longer be found with a gap before it (Knuth, vol. 3, 6.4, algorithm R). */
  #vacate(gap: number): void {
    const mask = this.#slots.length - 1;
    for (let slot = this.#following(gap); this.#at(slot) !== 0; slot = this.#following(slot)) {
      const home = this.#homeOf(this.#at(slot) - 1);
      if (((slot - home) & mask) < ((slot - gap) & mask)) continue;
      this.#slots[gap] = this.#at(slot);
      gap = slot;
    }
    this.#slots[gap] = 0;
  }

  #double(): void {
    const slots = this.#slots;
    this.#slots = new Int32Array(2 * slots.length);
    for (const entry of slots) if (entry !== 0) this.#put(entry - 1);
  }
}

/** Another in each process: nobody can prepare texts that all fall on one slot. */
const SEED = Math.trunc(Math.random() * 2 ** 32);

/** MurmurHash3's mixing, over UTF-16 units. */
const hashOf = (text: string): number => {
  let hash = SEED;
  for (let index = 0; index < text.length; index += 1) {
    const mixed = imul(text.charCodeAt(index), 0xcc9e2d51);
    hash ^= imul((mixed << 15) | (mixed >>> 17), 0x1b873593);
    hash = imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64;
  }
  hash = imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
};
