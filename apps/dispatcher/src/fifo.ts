/** An empty queue keeps no more room than that: there are a hundred thousand of them. */
const KEPT = 32;

/** First in, first out, in constant time: `Array.shift` copies the rest once an array has grown large. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  /** The first, which stays. */
  peek(): T | undefined {
    return this.#items[this.#head];
  }

  /** First to last. */
  toArray(): T[] {
    // What lies behind the head has not been taken out.
    return this.#items.slice(this.#head) as T[];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (this.#head === this.#items.length) return undefined;
    this.#items[this.#head] = undefined;
    this.#head += 1;
    if (this.#head > (this.length === 0 ? KEPT : 1_024) && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
