/** What has one appointment at most. The place in the agenda is the agenda's own. */
export type Appointed = { wakeAtMs: number; agendaPlace: number };

export const NOWHERE = -1;

/**
 * Who is to be looked at when: a binary heap whose members know their place in it. An appointment is only ever moved forward; one that
 * turns out to be too early is made again. So nearly all calls find an earlier appointment there, and are done.
 */
export class Agenda<T extends Appointed> {
  readonly #heap: T[] = [];

  get nextMs(): number | undefined {
    return this.#heap[0]?.wakeAtMs;
  }

  /** Looks at it then, or before. */
  add(member: T, atMs: number): void {
    if (member.agendaPlace === NOWHERE) {
      member.agendaPlace = this.#heap.length;
      this.#heap.push(member);
    } else if (member.wakeAtMs <= atMs) {
      return;
    }
    member.wakeAtMs = atMs;
    this.#rise(member);
  }

  /** The next one that is to be looked at by now; it has no appointment any more. */
  takeDue(nowMs: number): T | undefined {
    const first = this.#heap[0];
    if (first === undefined || first.wakeAtMs > nowMs) return undefined;
    this.remove(first);
    return first;
  }

  remove(member: T): void {
    const place = member.agendaPlace;
    if (place === NOWHERE) return;
    member.agendaPlace = NOWHERE;
    const last = this.#heap.pop();
    if (last === undefined || last === member) return;
    this.#put(last, place);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(member: T): void {
    let place = member.agendaPlace;
    while (place > 0) {
      const parent = this.#heap[(place - 1) >> 1];
      if (parent === undefined || parent.wakeAtMs <= member.wakeAtMs) break;
      this.#put(parent, place);
      place = (place - 1) >> 1;
    }
    this.#put(member, place);
  }

  #sink(member: T): void {
    let place = member.agendaPlace;
    for (;;) {
      const left = this.#heap[2 * place + 1];
      const right = this.#heap[2 * place + 2];
      const child = left !== undefined && right !== undefined && right.wakeAtMs < left.wakeAtMs ? right : left;
      if (child === undefined || child.wakeAtMs >= member.wakeAtMs) break;
      const below = child.agendaPlace;
      this.#put(child, place);
      place = below;
    }
    this.#put(member, place);
  }

  #put(member: T, place: number): void {
    this.#heap[place] = member;
    member.agendaPlace = place;
  }
}
