import { describe, expect, it } from '@jest/globals';
import { seeded } from '../spec-support/seeded.js';
import { Turns, type Work } from './turns.js';

/** A clock that moves when work is done, and the turns of an event loop that are still to come. */
const world = () => {
  const clock = { nowMs: 0 };
  const due: (() => void)[] = [];
  const log: string[] = [];
  const turns = new Turns({ nowMs: () => clock.nowMs, later: (run) => void due.push(run), sliceMs: 5 });
  /** Work of so many parts of so many milliseconds. */
  const work = (name: string, parts: number, partMs: number): Work => {
    let left = parts;
    return {
      proceed: (isTimeUp) => {
        for (; left > 0; left -= 1) {
          if (isTimeUp()) return false;
          clock.nowMs += partMs;
        }
        log.push(name);
        return true;
      },
    };
  };
  const nextTurn = (): boolean => {
    const run = due.shift();
    run?.();
    return run !== undefined;
  };
  return { turns, clock, log, work, nextTurn, due };
};

describe('turns', () => {
  it('have what is quick done at once, and what does not ask for the time without looking at the clock', () => {
    const { turns, log, work, due } = world();
    turns.add('a', work('instant', 0, 0));
    expect(due).toEqual([]);
    turns.add('a', work('quick', 2, 1));
    expect(log).toEqual(['instant', 'quick']);
    expect(turns.size).toBe(0);
  });

  it('let nobody work for longer than a slice before the process sees to its other work', () => {
    const { turns, clock, work, nextTurn } = world();
    turns.add('a', work('slow', 100, 1));
    turns.add('b', work('slow too', 100, 1));
    let turnCount = 0;
    for (let before = clock.nowMs; nextTurn(); before = clock.nowMs) {
      expect(clock.nowMs - before).toBeLessThanOrEqual(5);
      turnCount += 1;
    }
    expect(turnCount).toBeGreaterThanOrEqual(39);
    expect(turns.size).toBe(0);
  });

  it('go round the owners, so that one who has much keeps nobody waiting for long', () => {
    const { turns, clock, log, work, nextTurn } = world();
    for (let i = 0; i < 50; i += 1) turns.add('much', work('much', 10, 1));
    turns.add('little', work('little', 1, 1));
    while (!log.includes('little')) nextTurn();
    // The slice of the one who was first, one of his in the next turn, and that of both.
    expect(clock.nowMs).toBeLessThanOrEqual(15);
    while (nextTurn());
    expect(log).toHaveLength(51);
  });

  it('do nothing while they are held, not even look whether they may, and go on with everybody when they are released', () => {
    const { turns, log, work, nextTurn, due } = world();
    turns.add('a', work('begun', 7, 1));
    turns.hold();
    turns.add('a', work('behind it', 0, 0));
    turns.add('b', work('quick', 0, 0));
    while (nextTurn());
    expect(log).toEqual([]);
    expect(turns.size).toBe(3);
    turns.release();
    turns.release();
    expect(due).toHaveLength(1);
    while (nextTurn());
    expect(log.toSorted()).toEqual(['begun', 'behind it', 'quick']);
    expect(log.indexOf('begun')).toBeLessThan(log.indexOf('behind it'));
    expect(turns.size).toBe(0);
  });

  it.each([1, 2, 3, 4, 5])("do each owner's work in the order in which it came, held now and then (seed %d)", (seed) => {
    const { turns, log, work, nextTurn } = world();
    const random = seeded(seed);
    const added = new Map<string, string[]>();
    for (let step = 0; step < 500; step += 1) {
      if (random() < 0.3) nextTurn();
      if (random() < 0.1) turns.hold();
      if (random() < 0.2) turns.release();
      const owner = `owner ${Math.floor(random() * 4)}`;
      const name = `${owner}: ${step}`;
      added.set(owner, [...(added.get(owner) ?? []), name]);
      turns.add(owner, work(name, Math.floor(random() * 8), 1));
    }
    turns.release();
    while (nextTurn());
    expect(turns.size).toBe(0);
    for (const [owner, names] of added) expect(log.filter((name) => name.startsWith(owner))).toEqual(names);
  });
});
