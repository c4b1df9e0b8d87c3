import { describe, expect, it } from '@jest/globals';
import { decodeDone, encodeDone } from './commit-metadata.js';
import { PartitionWindow, type Slot } from './partition-window.js';
import { random } from './random.fixture.js';

const fresh = (offset = 0): PartitionWindow => new PartitionWindow({ offset, done: [] });

const offer = (window: PartitionWindow, offset: number, bytes = 1): Slot => {
  const slot = window.offer(offset, bytes);
  if (!slot) throw new Error(`${offset} was not taken`);
  return slot;
};

const offerAll = (window: PartitionWindow, from: number, to: number): readonly Slot[] =>
  Array.from({ length: to - from }, (_, i) => offer(window, from + i));

describe('partition window', () => {
  it('commits up to the lowest offset that is not done, and names those above it', () => {
    const window = fresh(10);
    const [a, b, c, d] = offerAll(window, 10, 14);
    if (!a || !b || !c || !d) throw new Error('four were offered');
    window.complete(b);
    window.complete(d);
    expect(window.progress()).toEqual({
      offset: 10,
      done: [
        { start: 11, end: 12 },
        { start: 13, end: 14 },
      ],
    });
    window.complete(a);
    expect(window.progress()).toEqual({ offset: 12, done: [{ start: 13, end: 14 }] });
    window.complete(c);
    expect(window.progress()).toEqual({ offset: 14, done: [] });
  });

  it('names what holds the watermark, and nothing once all is done', () => {
    const window = fresh(10);
    expect(window.oldest).toBeUndefined();
    const [a, b] = offerAll(window, 10, 12);
    if (!a || !b) throw new Error('two were offered');
    expect(window.oldest).toBe(a);
    window.complete(a);
    expect(window.oldest).toBe(b);
    window.complete(b);
    expect(window.oldest).toBeUndefined();
  });

  it('counts the bytes in flight, and a completion once', () => {
    const window = fresh();
    const slot = offer(window, 0, 100);
    offer(window, 1, 20);
    expect([window.bytes, window.inFlight]).toEqual([120, 2]);
    expect(window.complete(slot)).toBe(true);
    expect(window.complete(slot)).toBe(false);
    expect([window.bytes, window.inFlight, window.completed]).toEqual([20, 1, 1]);
  });

  it('does not hand over again what a former owner has done', () => {
    const window = new PartitionWindow({ offset: 5, done: [{ start: 7, end: 9 }] });
    const taken = [5, 6, 7, 8, 9].filter((offset) => window.offer(offset, 1));
    expect(taken).toEqual([5, 6, 9]);
  });

  it('keeps what it was told in its own commits until it has been read', () => {
    const window = new PartitionWindow({ offset: 5, done: [{ start: 7, end: 9 }] });
    expect(window.progress()).toEqual({ offset: 5, done: [{ start: 7, end: 9 }] });
    window.complete(offer(window, 5));
    expect(window.progress()).toEqual({ offset: 6, done: [{ start: 7, end: 9 }] });
    window.complete(offer(window, 6));
    expect(window.progress()).toEqual({ offset: 9, done: [] });
  });

  it('passes over offsets that do not exist', () => {
    const window = fresh(0);
    window.complete(offer(window, 3));
    expect(window.low).toBe(4);
    const slot = offer(window, 10);
    window.passTo(12);
    expect(window.progress()).toEqual({ offset: 10, done: [{ start: 11, end: 12 }] });
    window.complete(slot);
    expect(window.low).toBe(12);
  });

  it('ignores what was offered before', () => {
    const window = fresh(0);
    offer(window, 0);
    expect(window.offer(0, 1)).toBeUndefined();
    expect(window.position).toBe(1);
  });

  it('absorbs what the group has committed without it', () => {
    const window = fresh(0);
    const slots = offerAll(window, 0, 5);
    const covered = window.absorb({ offset: 2, done: [{ start: 3, end: 4 }] });
    expect(covered.map(({ offset }) => offset)).toEqual([0, 1, 3]);
    expect([window.low, window.inFlight]).toEqual([2, 2]);
    expect(slots.filter(({ done }) => !done).map(({ offset }) => offset)).toEqual([2, 4]);
    expect(window.absorb({ offset: 9, done: [] })).toHaveLength(2);
    expect([window.low, window.position]).toEqual([9, 9]);
  });

  it('stays quick when one record holds a hundred thousand', () => {
    const window = fresh(0);
    const first = offer(window, 0);
    for (let offset = 1; offset < 100_000; offset++) window.complete(offer(window, offset));
    expect(window.progress()).toEqual({ offset: 0, done: [{ start: 1, end: 100_000 }] });
    window.complete(first);
    expect(window.progress()).toEqual({ offset: 100_000, done: [] });
  });
});

/**
 * A log with gaps, read by one owner after another. Each works on a window that was made of the last commit, or takes the partition
 * back with what it still has in flight; the model is two plain sets.
 */
const simulate = (seed: number): string => {
  const next = random(seed);
  const logEnd = 200;
  const exists = Array.from({ length: logEnd }, () => next(5) > 0);
  const done = new Set<number>();
  let stored: { offset: number; metadata: string | undefined } = { offset: 0, metadata: undefined };
  let window = fresh(0);
  let inFlight: Slot[] = [];
  /** Done according to some commit: these must never be seen again. */
  const claimed = new Set<number>();
  let readTo = 0;

  const fail = (what: string): never => {
    throw new Error(`seed ${seed}: ${what}`);
  };
  const commit = (): void => {
    const { offset, done: runs } = window.progress();
    for (const { start, end } of [{ start: 0, end: offset }, ...runs]) {
      for (let each = start; each < end; each++) {
        if (exists[each] && !done.has(each)) fail(`claimed that ${each} is done`);
        claimed.add(each);
      }
    }
    if (offset < stored.offset) fail(`took the commit back from ${stored.offset} to ${offset}`);
    stored = { offset, metadata: encodeDone(offset, runs) };
  };
  const committed = () => ({ offset: stored.offset, done: decodeDone(stored.offset, stored.metadata) });
  const step = (): void => {
    const dice = next(100);
    if (dice < 45 && readTo < logEnd) {
      const offset = readTo++;
      const slot = exists[offset] ? window.offer(offset, 1 + next(9)) : undefined;
      if (!exists[offset] && next(2)) window.passTo(offset + 1);
      if (slot && claimed.has(offset)) fail(`handed ${offset} over again`);
      if (!slot && exists[offset] && !done.has(offset) && !inFlight.some((other) => other.offset === offset)) fail(`kept ${offset} back`);
      if (slot) inFlight.push(slot);
    } else if (dice < 85 && inFlight.length > 0) {
      const [slot] = inFlight.splice(next(inFlight.length), 1);
      if (!slot) return;
      window.complete(slot);
      done.add(slot.offset);
    } else if (dice < 93) {
      commit();
    } else if (dice < 96) {
      window = new PartitionWindow(committed());
      inFlight = [];
      readTo = stored.offset;
    } else {
      window.absorb(committed());
      readTo = window.position;
    }
    const bytes = inFlight.reduce((sum, slot) => sum + slot.bytes, 0);
    if (window.inFlight !== inFlight.length || window.bytes !== bytes) fail('lost count of what is in flight');
  };

  const isFinished = (): boolean => readTo === logEnd && inFlight.length === 0;
  for (let i = 0; i < 600 || !isFinished(); i++) step();
  commit();
  window.passTo(logEnd);
  return `seed ${seed} came to ${window.low}`;
};

describe('partition window, simulated', () => {
  it('never commits above an offset that is not done, never hands over what a commit says is done, ends at the end (1,000 seeds)', () => {
    for (let seed = 1; seed <= 1_000; seed++) expect(simulate(seed)).toBe(`seed ${seed} came to 200`);
  });
});
