/**
 * All the randomness of one history. What it gives for a purpose depends on the seed and on the name of the purpose alone, not on what was asked
 * before: a history from which something has been taken away stays otherwise the same, and so can be made smaller step by step.
 */
export class Chance {
  readonly #seed: number;

  constructor(seed: number) {
    this.#seed = mixed(seed ^ 0x9e3779b9);
  }

  /** In [0, 1), always the same for the same purpose. */
  of(purpose: string): number {
    return mixed(hashed(purpose, this.#seed)) / 2 ** 32;
  }

  /** In [from, to). */
  between(purpose: string, from: number, to: number): number {
    return from + this.of(purpose) * (to - from);
  }

  isOnce(purpose: string, probability: number): boolean {
    return probability > 0 && this.of(purpose) < probability;
  }

  /** A sequence of its own for one purpose. */
  stream(purpose: string): Draw {
    return new Draw(hashed(purpose, this.#seed));
  }
}

/** A sequence of numbers (mulberry32), and what is made of them. */
export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** In [0, 1). */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    return mixed(this.#state) / 2 ** 32;
  };

  between(from: number, to: number): number {
    return from + this.next() * (to - from);
  }

  /** A whole number, both ends included. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  /** Of different orders of magnitude, each as likely. */
  magnitude(from: number, to: number): number {
    return from * (to / from) ** this.next();
  }

  isOnce(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(first: T, ...others: readonly T[]): T {
    return others[Math.floor(this.next() * (others.length + 1)) - 1] ?? first;
  }
}

const mixed = (value: number): number => {
  let bits = Math.imul(value ^ (value >>> 15), value | 1);
  bits ^= bits + Math.imul(bits ^ (bits >>> 7), bits | 61);
  return (bits ^ (bits >>> 14)) >>> 0;
};

/** FNV-1a. */
const hashed = (text: string, seed: number): number => {
  let hash = seed ^ 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash | 0;
};
