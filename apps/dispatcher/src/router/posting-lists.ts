import { IntRows } from '../registry/packed/int-rows.js';
import { NumberPool } from '../registry/packed/number-pool.js';
import { SharedTexts } from '../registry/packed/shared-texts.js';

const NEXT = 0;
const PREVIOUS = 1;
const ROW = 2;
/** The key's number. */
const LIST = 3;
/** The entry that was told to be chained to this one: a row's entries are a chain through its lists. */
const CHAINED = 4;
const COLUMNS = 5;

/**
 * Lists of rows, by a key, in the order in which they were added. A list is a ring of entries around one that stands for the list
 * itself, so that taking one out is as quick in a list of 100,000 as in one of two. 20 bytes an entry; entry 0 is none.
 */
export class PostingLists {
  readonly #keys = new SharedTexts();
  /** By the key's number: the entry that stands for the list. */
  readonly #heads = new IntRows(1);
  readonly #numbers = new NumberPool(1);
  readonly #entries = new IntRows(COLUMNS);

  /** The new entry. @param chained an entry of the same row, or 0: what `removeChain` goes on with */
  add(key: string, row: number, chained: number): number {
    const list = this.#keys.hold(key);
    if (this.#keys.holders(list) === 1) this.#open(list);
    const head = this.#heads.get(list);
    const entry = this.#numbers.take();
    this.#entries.set(entry, ROW, row);
    this.#entries.set(entry, LIST, list);
    this.#entries.set(entry, CHAINED, chained);
    this.#join(this.#entries.get(head, PREVIOUS), entry);
    this.#join(entry, head);
    return entry;
  }

  /** Takes out the entry and those chained to it. */
  removeChain(first: number): void {
    for (let entry = first; entry !== 0; ) {
      const chained = this.#entries.get(entry, CHAINED);
      this.#join(this.#entries.get(entry, PREVIOUS), this.#entries.get(entry, NEXT));
      this.#numbers.giveBack(entry);
      const list = this.#entries.get(entry, LIST);
      if (this.#keys.release(list)) this.#numbers.giveBack(this.#heads.get(list));
      entry = chained;
    }
  }

  /** How long the list is. */
  length(key: string): number {
    const list = this.#keys.find(key);
    return list === undefined ? 0 : this.#keys.holders(list);
  }

  /** The rows of the list, at most so many; it must not be changed meanwhile. */
  forEach(key: string, visit: (row: number) => void, most = Infinity): void {
    const list = this.#keys.find(key);
    if (list === undefined) return;
    const head = this.#heads.get(list);
    let left = most;
    for (let entry = this.#entries.get(head, NEXT); entry !== head && left > 0; entry = this.#entries.get(entry, NEXT)) {
      visit(this.#entries.get(entry, ROW));
      left -= 1;
    }
  }

  #open(list: number): void {
    const head = this.#numbers.take();
    this.#heads.set(list, 0, head);
    this.#join(head, head);
  }

  #join(entry: number, next: number): void {
    this.#entries.set(entry, NEXT, next);
    this.#entries.set(next, PREVIOUS, entry);
  }
}
