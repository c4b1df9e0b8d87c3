import type { Run } from './commit-metadata.js';

/** A record that was handed over and its size, for as long as its offset is not below the window. */
export type Slot = { readonly offset: number; readonly bytes: number; done: boolean };

/** What a commit says: everything below `offset` is done, and so are the runs above it. */
export type Progress = { readonly offset: number; readonly done: readonly Run[] };

/** Whether it says that the record is done. */
export const isDone = ({ offset: low, done }: Progress, offset: number): boolean => offset < low || contains(done, offset);

/**
 * The offsets of one partition between the lowest one that is not done and the next one to be read. Completions come in any order.
 *
 *      low            position
 *       ▼                ▼
 *   ────┬────────────────┬───────────────▶ offsets
 *       │ slots: done,   │ known: runs that a former
 *       │ in flight      │ owner has already done
 *
 * Invariants: no offset in flight is below `low`; an offset once done is never offered again; offsets that do not exist (compacted
 * away, control records) count as done when the position has passed them.
 */
export class PartitionWindow {
  #position: number;
  #slots: Slot[] = [];
  /** Slots before this index are done; dropped together now and then, because shifting an array one by one is slow. */
  #head = 0;
  #known: readonly Run[];
  #inFlight = 0;
  #bytes = 0;
  #completed = 0;

  constructor({ offset, done }: Progress) {
    this.#position = offset;
    this.#known = done;
  }

  /** The next offset to be read. */
  get position(): number {
    return this.#position;
  }

  /** The lowest offset that is not done: what may be committed. */
  get low(): number {
    return this.#slots[this.#head]?.offset ?? afterRuns(this.#known, this.#position);
  }

  /** What holds the watermark where it is; undefined when nothing that was read is in flight. */
  get oldest(): Slot | undefined {
    return this.#slots[this.#head];
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Completions so far; with `low`, the sign of life that the watchdog looks at. */
  get completed(): number {
    return this.#completed;
  }

  /** A record has been read. `undefined` when it must not be handed over: it is done already, or was offered before. */
  offer(offset: number, bytes: number): Slot | undefined {
    if (offset < this.#position) return undefined;
    this.passTo(offset + 1);
    if (this.#isKnown(offset)) {
      this.#skip(offset);
      return undefined;
    }
    const slot: Slot = { offset, bytes, done: false };
    this.#slots.push(slot);
    this.#inFlight++;
    this.#bytes += bytes;
    return slot;
  }

  /** Everything below `next` has been read, or does not exist. */
  passTo(next: number): void {
    if (next > this.#position) this.#position = next;
  }

  /** Whether it was in flight until now. */
  complete(slot: Slot): boolean {
    if (slot.done) return false;
    slot.done = true;
    this.#inFlight--;
    this.#bytes -= slot.bytes;
    this.#completed++;
    this.#advance();
    return true;
  }

  /**
   * What the group has committed meanwhile, by whoever owned the partition. Done is done, whoever did it: records in flight here
   * that it covers are completed; their slots are returned.
   */
  absorb({ offset, done }: Progress): readonly Slot[] {
    const covered: Slot[] = [];
    for (let i = this.#head; i < this.#slots.length; i++) {
      const slot = this.#slots[i];
      if (slot && !slot.done && isDone({ offset, done }, slot.offset)) covered.push(slot);
    }
    for (const slot of covered) this.complete(slot);
    this.passTo(offset);
    this.#known = union(this.#known, done);
    return covered;
  }

  progress(): Progress {
    const offset = this.low;
    return { offset, done: union(this.#doneSlots(), this.#known).filter(({ start }) => start > offset) };
  }

  /** Runs between the slots in flight. Offsets without a slot do not exist or were known to be done. */
  #doneSlots(): readonly Run[] {
    const runs: Run[] = [];
    let start: number | undefined;
    for (let i = this.#head; i < this.#slots.length; i++) {
      const slot = this.#slots[i];
      if (!slot || slot.done) continue;
      if (start !== undefined && slot.offset > start) runs.push({ start, end: slot.offset });
      start = slot.offset + 1;
    }
    if (start !== undefined && this.#position > start) runs.push({ start, end: this.#position });
    return runs;
  }

  #isKnown(offset: number): boolean {
    return this.#known.length > 0 && contains(this.#known, offset);
  }

  /** Known runs wholly behind the position are no longer needed. */
  #skip(offset: number): void {
    if ((this.#known[0]?.end ?? Infinity) <= offset + 1) this.#known = this.#known.filter(({ end }) => end > offset + 1);
  }

  #advance(): void {
    while (this.#slots[this.#head]?.done) this.#head++;
    if (this.#head === this.#slots.length) {
      this.#slots = [];
      this.#head = 0;
    } else if (this.#head >= 1024 && this.#head * 2 > this.#slots.length) {
      this.#slots = this.#slots.slice(this.#head);
      this.#head = 0;
    }
  }
}

const contains = (runs: readonly Run[], offset: number): boolean => {
  let from = 0;
  let to = runs.length;
  while (from < to) {
    const middle = (from + to) >> 1;
    const run = runs[middle];
    if (run === undefined || offset < run.start) to = middle;
    else if (offset >= run.end) from = middle + 1;
    else return true;
  }
  return false;
};

/** The first offset, from this one on, that is in no run. */
const afterRuns = (runs: readonly Run[], offset: number): number => {
  for (const { start, end } of runs) {
    if (start > offset) break;
    if (end > offset) return end;
  }
  return offset;
};

const union = (a: readonly Run[], b: readonly Run[]): readonly Run[] => {
  if (b.length === 0) return a;
  const merged: Run[] = [];
  for (const run of [...a, ...b].sort((x, y) => x.start - y.start)) {
    const last = merged.at(-1);
    if (last && run.start <= last.end) merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, run.end) };
    else merged.push(run);
  }
  return merged;
};
