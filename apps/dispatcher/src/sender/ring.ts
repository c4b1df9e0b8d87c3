/** What can be in one ring at a time. The links are the ring's own. */
export type Linked<T extends Linked<T>> = { ring: Ring<T> | undefined; before: T | undefined; after: T | undefined };

/** First in, first out, and out of the middle too, in constant time and without an allocation: the links are in the members. */
export class Ring<T extends Linked<T>> {
  #first: T | undefined;
  #last: T | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get first(): T | undefined {
    return this.#first;
  }

  /** Takes it out of the ring that it is in, if it is in one. */
  push(member: T): void {
    member.ring?.remove(member);
    member.ring = this;
    member.before = this.#last;
    if (this.#last === undefined) this.#first = member;
    else this.#last.after = member;
    this.#last = member;
    this.#size += 1;
  }

  shift(): T | undefined {
    const member = this.#first;
    if (member !== undefined) this.remove(member);
    return member;
  }

  remove(member: T): void {
    if (member.ring !== this) return;
    const { before, after } = member;
    if (before === undefined) this.#first = after;
    else before.after = after;
    if (after === undefined) this.#last = before;
    else after.before = before;
    member.ring = undefined;
    member.before = undefined;
    member.after = undefined;
    this.#size -= 1;
  }
}
