import { describe, expect, it } from '@jest/globals';
import { CoreWorld, fast, type Postponed } from '../spec-support/core-world.js';
import type { LaneTerms } from './lane-terms.js';

const PATIENCE_MS = 2_000;
const limited = (perSecond: number, burst: number): LaneTerms => ({ ...fast, rate: { perSecond, burst } });
const one: LaneTerms = { ...fast, maxConcurrency: 1 };

const failTen = (world: CoreWorld, lane: string): void => {
  for (let n = 0; n < 10; n += 1) world.offer(lane);
  for (let n = 0; n < 10; n += 1) world.finish(lane, 'failure');
};

const earliest = ({ postponed }: CoreWorld): Postponed | undefined => postponed.toSorted((a, b) => a.dueMs - b.dueMs)[0];

describe('the core of the sender', () => {
  it('starts at once what may start, in its order', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 3 });
    expect(world.started.map(({ parcel, atMs }) => [parcel.n, atMs])).toEqual([0, 1, 2].map((n) => [n, world.nowMs]));
  });

  it('never has more under way for a lane than it allows, and goes on as soon as one ends', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 5, terms: { ...fast, maxConcurrency: 2 } });
    expect(world.countOf('a')).toBe(2);
    expect(world.core.countLanes()).toMatchObject({ sending: 0, waiting: 1 });
    world.end('a');
    expect(world.countOf('a')).toBe(3);
  });

  it('keeps the slot of an attempt until what came of it is recorded', () => {
    const world = new CoreWorld({ maxInFlight: 1 });
    world.offer('a', { count: 2 });
    world.end('a');
    expect([world.countOf('a'), world.core.inFlight]).toEqual([1, 1]);
    world.record();
    expect([world.countOf('a'), world.core.inFlight]).toEqual([2, 1]);
  });

  it('tells who waited for the lane itself from who waited only for a slot', () => {
    const world = new CoreWorld({ maxInFlight: 2 });
    world.offer('a', { count: 1, terms: one });
    world.offer('b', { count: 1, terms: one });
    world.offer('c', { count: 2, terms: one });
    world.offer('a', { count: 1, terms: one });
    world.offer('d', { count: 1, isReserved: true });
    for (const lane of ['a', 'b', 'c', 'a', 'd']) world.finish(lane);
    expect(world.started.map(({ parcel }) => parcel.n).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5]);
    // Of c the first waited for a slot, the second for the first; a's second waited for its first; d's came back for its place.
    expect(world.held.toSorted((a, b) => a - b)).toEqual([3, 4, 5]);
  });

  it('lets nobody wait for a lane with a thousand waiting', () => {
    const world = new CoreWorld();
    world.offer('slow', { count: 1_000 });
    world.offer('quick');
    expect(world.countOf('quick')).toBe(1);
  });

  it('forgets a lane that has had nothing to do for a minute, and says so when it is told of it', () => {
    const world = new CoreWorld();
    world.offer('a');
    world.finish('a');
    expect(world.core.countLanes()).toEqual({ sending: 0, waiting: 0, paused: 0, open: 0, half_open: 0 });
    world.pass(61_000);
    expect(world.core.nextTickMs).toBeUndefined();
    expect(() => world.core.finished('a', { kind: 'success', durationMs: 0 }, world.nowMs)).toThrow('nothing is under way');
  });
});

describe('turns', () => {
  it('are taken when there is not a slot for all', () => {
    const world = new CoreWorld({ maxInFlight: 1 });
    world.offer('a', { count: 3 });
    world.offer('b', { count: 3 });
    while (world.underWay.length > 0) world.finish(world.underWay[0]?.parcel.lane ?? '');
    expect(world.started.map(({ parcel }) => parcel.lane).join('')).toBe('aababb');
  });

  it('are by bytes: who sends much has fewer', () => {
    const world = new CoreWorld({ maxInFlight: 1 });
    world.offer('busy');
    world.offer('large', { count: 20, bytes: 31 * 1_024 });
    world.offer('small', { count: 100, bytes: 1_024 });
    for (let n = 0; n < 90; n += 1) world.finish(world.underWay[0]?.parcel.lane ?? '');
    expect(world.countOf('small') / world.countOf('large')).toBeCloseTo(8, -0.5);
  });

  it('come within a round, however large what it sends and however much the others have waiting', () => {
    const world = new CoreWorld({ maxInFlight: 1 });
    for (let n = 0; n < 50; n += 1) world.offer(`lane ${n}`, { count: 20 });
    world.offer('late', { bytes: 500_000 });
    for (let n = 0; n < 51; n += 1) world.finish(world.underWay[0]?.parcel.lane ?? '');
    expect(world.countOf('late')).toBe(1);
  });
});

describe('a rate limit', () => {
  it('lets a burst go, then one after the other at its rate', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 8, terms: limited(20, 5) });
    const startMs = world.nowMs;
    world.serve('a', { ms: 1_000, responseMs: 5 });
    expect(world.started.map(({ atMs }) => atMs - startMs)).toEqual([0, 0, 0, 0, 0, 50, 100, 150]);
  });

  it('lets a delivery wait for a place that is near, and gives each of the others a time of its own, at the rate', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 100, terms: limited(20, 5) });
    expect(world.postponed.map(({ dueMs, atMs }) => dueMs - atMs)).toEqual(Array.from({ length: 65 }, (_, n) => 1_500 + 50 * (n + 1)));
    expect(new Set(world.postponed.map(({ cause }) => cause))).toEqual(new Set(['rate_limit']));
  });

  it('is open to those who come back for their places, and lets others go behind them', () => {
    const world = new CoreWorld();
    const terms = limited(20, 5);
    world.offer('a', { count: 100, terms });
    world.serve('a', { ms: 1_500, responseMs: 5 });
    expect(world.countOf('a')).toBe(35);
    world.offer('a', { terms });
    expect(world.postponed.at(-1)?.dueMs).toBe(world.nowMs + 66 * 50);
    for (let n = 0; n < 20; n += 1) world.offer('a', { isReserved: true, terms });
    world.serve('a', { ms: 1_000, responseMs: 5 });
    expect(world.countOf('a')).toBe(55);
  });

  it('that is raised holds at once, whatever places there are under the old one', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 1_000, terms: limited(1, 1) });
    expect(world.postponed.at(-1)?.dueMs).toBe(world.nowMs + 999_000);
    world.offer('a', { terms: limited(1_000, 10) });
    expect(world.postponed).toHaveLength(998);
    world.serve('a', { ms: 1_010, responseMs: 5 });
    expect(world.countOf('a')).toBe(3);
  });

  it('that is raised from next to nothing holds at once', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 3, terms: limited(1e-300, 3) });
    world.offer('a', { count: 7, terms: limited(100, 10) });
    expect([world.countOf('a'), world.postponed]).toEqual([10, []]);
  });

  it.each([1 / 86_400, 1e-9, 1e-300, Number.MIN_VALUE])('of %d a second sets no place aside that is farther than a week away', (perSecond) => {
    const world = new CoreWorld();
    world.offer('a', { count: 1_000, terms: limited(perSecond, 2) });
    expect([world.countOf('a'), world.postponed.length]).toEqual([2, 998]);
    expect(Math.max(...world.postponed.map(({ dueMs }) => dueMs - world.nowMs))).toBe(7 * 86_400_000);
  });

  it('is used, week after week, by those who come back for a place that was too far away', () => {
    const world = new CoreWorld();
    const terms = limited(1 / 21_600, 1);
    world.offer('a', { count: 100, terms });
    const untilMs = world.nowMs + 21 * 86_400_000;
    while (world.nowMs < untilMs) {
      const next = earliest(world);
      // Without one, they are all in the lane, until they have no patience left.
      world.serve('a', { ms: next === undefined ? PATIENCE_MS : Math.max(0, next.dueMs - world.nowMs), responseMs: 5 });
      if (next === undefined) continue;
      world.postponed.splice(world.postponed.indexOf(next), 1);
      world.offer('a', { isReserved: true, terms });
    }
    // Four a day, and the first.
    expect(world.countOf('a')).toBeGreaterThanOrEqual(82);
    expect(world.countOf('a')).toBeLessThanOrEqual(85);
  });

  it('is not held up by a clock that goes back an hour, and lets no more than a burst go when one leaps ahead', () => {
    const world = new CoreWorld();
    const terms = limited(20, 5);
    world.offer('a', { count: 20, terms });
    world.nowMs -= 3_600_000;
    world.core.tick(world.nowMs);
    expect(world.countOf('a')).toBe(5);
    world.pass(50);
    expect(world.countOf('a')).toBe(6);
    world.nowMs += 7_200_000;
    world.core.tick(world.nowMs);
    expect(world.started.length).toBeLessThanOrEqual(11);
  });
});

describe('what comes all at once', () => {
  it('is started in portions, one a turn, by all lanes in turn', () => {
    const world = new CoreWorld({ startsATurn: 4 });
    world.offer('a', { count: 6 });
    world.offer('b', { count: 2 });
    expect([world.countOf('a'), world.countOf('b')]).toEqual([4, 0]);
    world.finish('a');
    expect(world.started).toHaveLength(4);
    world.core.turn(world.nowMs);
    expect([world.countOf('a'), world.countOf('b')]).toEqual([6, 2]);
    expect(world.postponed).toEqual([]);
  });
});

/** A lane that knows that its receiver is quick. */
const learned = (terms: LaneTerms): CoreWorld => {
  const world = new CoreWorld();
  world.offer('a', { terms });
  world.serve('a', { ms: 10_001, responseMs: 5 });
  return world;
};

describe('the mean of response times', () => {
  it('is not made by a few of many that are under way at once', () => {
    const terms: LaneTerms = { ...fast, maxConcurrency: 100 };
    const world = learned(terms);
    world.offer('a', { count: 100, terms });
    world.pass(900);
    for (let n = 0; n < 20; n += 1) world.finish('a');
    world.offer('a', { count: 500, terms });
    expect(world.postponed).toEqual([]);
  });
});

describe('a lane that shares its partition with few', () => {
  const burst = { count: 3_000, bytes: 1_000 };

  it('keeps a burst for a quick receiver, which another lane would send away', () => {
    const world = new CoreWorld({ laneBytes: 500_000 });
    world.offer('a', { ...burst, share: 1 });
    expect(world.postponed).toEqual([]);
    world.offer('b', burst);
    expect(world.postponed.length).toBeGreaterThan(2_000);
    world.serve('a', { ms: 2_000, responseMs: 5 });
    expect(world.countOf('a')).toBe(3_000);
  });

  it('keeps no more than its share, and no rate waiting', () => {
    const world = new CoreWorld({ laneBytes: 500_000 });
    world.offer('a', { ...burst, share: 1 / 2 });
    expect(world.postponed).toHaveLength(3_000 - 10 - 2_000);
    world.offer('b', { count: 100, share: 1, terms: limited(20, 5) });
    expect(world.postponed.filter(({ parcel }) => parcel.lane === 'b').length).toBeGreaterThan(50);
  });

  it('does not send what comes behind the places of a bad moment that is over', () => {
    const world = learned(fast);
    for (let round = 0; round < 3; round += 1) {
      world.offer('a', { count: 10 });
      world.pass(900);
      for (let n = 0; n < 10; n += 1) world.finish('a');
    }
    world.offer('a', { count: 300, share: 1 });
    const { length } = world.postponed;
    expect(length).toBeGreaterThan(100);
    world.serve('a', { ms: 2_000, responseMs: 5 });
    world.offer('a', { count: 30, share: 1 });
    expect(world.postponed).toHaveLength(length);
  });

  it('has no more patience than any, as soon as its receiver hangs', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 30, share: 1 });
    world.pass(PATIENCE_MS + 500);
    expect(world.postponed).toHaveLength(20);
  });
});

describe('a lane whose receiver hangs', () => {
  it('hands over what has waited for longer than its patience, spaced at the pace that it has now', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 30 });
    world.pass(PATIENCE_MS - 1);
    expect(world.postponed).toEqual([]);
    world.pass(1);
    expect(world.postponed.map(({ cause }) => cause)).toEqual(Array.from({ length: 20 }, () => 'slow'));
    const dues = world.postponed.map(({ dueMs }) => dueMs - world.nowMs);
    expect(dues[0]).toBeGreaterThanOrEqual(1_000);
    expect(dues.slice(1).map((dueMs, n) => dueMs - (dues[n] ?? 0))).toEqual(Array.from({ length: 19 }, () => 200));
  });

  it('hands over what it has no room for, by bytes', () => {
    const world = new CoreWorld({ laneBytes: 10_000 });
    world.offer('a', { count: 10 });
    world.offer('a', { count: 12, bytes: 1_000 });
    expect(world.postponed).toHaveLength(2);
    expect(world.postponed[0]).toMatchObject({ cause: 'slow' });
    world.offer('b', { count: 10 });
    world.offer('b', { bytes: 1_000_000 });
    expect(world.postponed).toHaveLength(2);
  });

  it('counts of a record that others have, too, its part, however much there is to send', () => {
    const world = new CoreWorld({ laneBytes: 10_000 });
    world.offer('a', { count: 10 });
    world.offer('a', { count: 100, bytes: 5_000, heldBytes: 100 });
    expect(world.postponed).toEqual([]);
    world.offer('a', { bytes: 100, heldBytes: 100 });
    expect(world.postponed).toHaveLength(1);
  });

  it('has its room again when those who took it have gone', () => {
    const world = new CoreWorld({ laneBytes: 10_000 });
    for (let round = 0; round < 3; round += 1) {
      world.offer('a', { count: 20, bytes: 1_000 });
      while (world.underWay.length > 0) world.finish('a');
    }
    expect(world.postponed).toEqual([]);
  });

  it('has three quarters of the slots at most, with all who are as slow', () => {
    const world = new CoreWorld({ maxInFlight: 100 });
    for (let n = 0; n < 7; n += 1) world.offer(`slow ${n}`, { count: 10 });
    world.pass(1_600);
    for (let n = 0; n < 7; n += 1) world.offer(`slow ${n}`, { terms: { ...fast, maxConcurrency: 20 }, count: 10 });
    expect(world.core.inFlight).toBe(75);
    world.offer('quick', { count: 10 });
    expect(world.countOf('quick')).toBe(10);
    world.finish('slow 0');
    expect(world.core.inFlight).toBe(85);
  });

  it('sets places aside at the pace that the slots left to it allow, where slow ones have to share', () => {
    const world = new CoreWorld({ maxInFlight: 16 });
    for (let n = 0; n < 4; n += 1) world.offer(`slow ${n}`, { count: 3 });
    world.pass(11_000);
    world.offer('slow 0', { count: 60 });
    world.pass(PATIENCE_MS);
    const dues = world.postponed.filter(({ parcel }) => parcel.lane === 'slow 0').map(({ dueMs }) => dueMs);
    // Three at a time, each of which takes eleven seconds so far.
    expect(Math.max(...dues) - world.nowMs).toBeGreaterThan((dues.length / 3) * 10_000);
  });

  it('is slow while what it has under way is, though a few of its attempts are quick', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 200 });
    for (let n = 0; n < 8; n += 1) {
      world.pass(400);
      world.finish('a', 'success', { at: world.underWay.length - 1 });
    }
    expect(world.postponed.length).toBeGreaterThan(150);
  });

  it('lets what comes take a slot that is free, when it has become quick, and does not send it behind the places of others', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 30 });
    world.pass(PATIENCE_MS);
    for (let n = 0; n < 10; n += 1) world.finish('a');
    const before = world.countOf('a');
    world.offer('a');
    expect(world.countOf('a')).toBe(before + 1);
  });
});

/** A receiver whose first answers take 900 ms, of which nobody knows yet whether all will. */
const begun = (): CoreWorld => {
  const world = new CoreWorld({ laneBytes: 2_000 });
  world.offer('a', { count: 10 });
  world.pass(900);
  for (let n = 0; n < 10; n += 1) world.finish('a');
  world.offer('a', { count: 10 });
  return world;
};
const spanOf = (world: CoreWorld, from: number): number => Math.max(...world.postponed.slice(from).map(({ dueMs }) => dueMs)) - world.nowMs;

describe('a clock that leaps ahead while a request is under way', () => {
  it('makes no slow receiver', () => {
    const world = new CoreWorld();
    world.offer('a');
    world.finish('a');
    world.pass(11_000);
    world.offer('a');
    world.nowMs += 3_600_000;
    world.finish('a');
    world.offer('a', { count: 30 });
    for (const { atMs, dueMs } of world.postponed) expect(dueMs - atMs).toBeLessThan(10_000);
  });
});

describe('a lane that has just begun', () => {
  it('gives a burst no place farther than ten seconds away, by a pace that it has from a few', () => {
    const world = begun();
    world.offer('a', { count: 1_000 });
    const dues = world.postponed.map(({ dueMs }) => dueMs);
    expect(dues.length).toBeGreaterThan(950);
    expect(spanOf(world, 0)).toBeLessThanOrEqual(11_000);
    expect(new Set(dues).size).toBeGreaterThan(50);
  });

  it('gives the places that are right once it has learned, and minds none of its guesses', () => {
    const world = begun();
    world.offer('a', { count: 1_000 });
    world.serve('a', { ms: 10_000, responseMs: 900 });
    const before = world.postponed.length;
    world.offer('a', { count: 30 });
    world.offer('a', { count: 1_000, isReserved: true });
    expect(spanOf(world, before)).toBeGreaterThan(85_000);
    expect(spanOf(world, before)).toBeLessThan(100_000);
  });
});

describe('a breaker', () => {
  it('opens when a receiver only fails, and everything is postponed: the first to its reopening, as a probe, the rest until that is known', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 9 });
    for (let n = 0; n < 9; n += 1) world.finish('a', 'failure');
    world.offer('a', { count: 13 });
    world.finish('a', 'failure');
    expect(world.transitions).toEqual(['a open']);
    world.offer('a', { isReserved: true });
    expect(world.postponed.map(({ dueMs, cause }) => [dueMs - world.nowMs, cause])).toEqual([
      [5_000, 'breaker'],
      [20_000, 'breaker'],
      [20_001, 'breaker'],
      [20_002, 'breaker'],
    ]);
    expect(world.core.notBeforeMs('a')).toBe(world.nowMs + 5_000);
    expect(world.core.countLanes()).toMatchObject({ open: 1 });
  });

  it('brings back what is postponed at the last pace that was good, not at that of failing', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 10 });
    world.pass(100);
    for (let n = 0; n < 10; n += 1) world.finish('a');
    failTen(world, 'a');
    world.offer('a', { count: 4 });
    expect(world.postponed.slice(1).map(({ dueMs }) => dueMs - world.nowMs)).toEqual([20_000, 20_010, 20_020]);
  });

  it('lets one probe go, then two, then all', () => {
    const world = new CoreWorld();
    failTen(world, 'a');
    world.pass(5_000);
    world.offer('a', { count: 5 });
    expect(world.transitions).toEqual(['a open', 'a half_open']);
    expect(world.underWay).toHaveLength(1);
    world.finish('a');
    expect(world.underWay).toHaveLength(2);
    world.finish('a');
    expect(world.underWay).toHaveLength(1);
    world.finish('a');
    expect(world.transitions.at(-1)).toBe('a closed');
    expect(world.underWay).toHaveLength(2);
  });

  it('opens again when the probe fails, and sends away those that wait for it, or when it takes longer than they have patience', () => {
    const world = new CoreWorld();
    failTen(world, 'a');
    world.offer('a');
    world.postponed.length = 0;
    world.pass(5_000);
    world.offer('a', { count: 5 });
    world.finish('a', 'failure');
    expect(world.transitions.at(-1)).toBe('a open');
    expect(world.postponed.map(({ dueMs }) => dueMs - world.nowMs)).toEqual([10_000, 25_000, 25_001, 25_002]);
    world.pass(10_000);
    world.offer('a', { count: 5 });
    world.pass(PATIENCE_MS);
    expect(world.postponed).toHaveLength(8);
    expect(world.postponed.at(-1)?.cause).toBe('breaker');
  });

  it.each(['throttled', 'not_attempted'] as const)('does not open at attempts that are %s', (kind) => {
    const world = new CoreWorld();
    for (let n = 0; n < 50; n += 1) {
      world.offer('a');
      world.finish('a', kind);
    }
    expect(world.transitions).toEqual([]);
  });

  it('of one lane is nothing to another', () => {
    const world = new CoreWorld();
    failTen(world, 'a');
    world.offer('b');
    expect(world.countOf('b')).toBe(1);
  });
});

describe('a receiver that asks for time', () => {
  it('is left alone for as long, and then gets one after the other', () => {
    const world = new CoreWorld();
    world.offer('a', { count: 13, terms: { ...fast, maxConcurrency: 10 } });
    world.pass(100);
    world.finish('a', 'throttled', { retryAfterMs: 30_000 });
    world.offer('a', { isReserved: true });
    const dues = world.postponed.map(({ dueMs }) => dueMs - world.nowMs);
    expect(dues).toHaveLength(4);
    expect(dues[0]).toBe(30_000);
    expect(dues.toSorted((a, b) => a - b)).toEqual(dues);
    expect(new Set(dues).size).toBe(4);
    expect(world.core.countLanes()).toMatchObject({ paused: 1 });
    expect(world.core.notBeforeMs('a')).toBe(world.nowMs + 30_000);
    world.pass(30_000);
    world.offer('a', { isReserved: true });
    expect(world.countOf('a')).toBe(11);
  });

  it('is left alone for an hour at most', () => {
    const world = new CoreWorld();
    world.offer('a');
    world.finish('a', 'throttled', { retryAfterMs: 86_400_000 });
    expect(world.core.notBeforeMs('a')).toBe(world.nowMs + 3_600_000);
  });
});

describe('whoever comes back for a place', () => {
  it('does not take another: the rate has it already', () => {
    const world = new CoreWorld();
    const terms = limited(1, 1);
    world.offer('a', { count: 3, terms });
    expect(world.postponed.map(({ dueMs }) => dueMs - world.nowMs)).toEqual([2_000]);
    world.serve('a', { ms: 2_000, responseMs: 1 });
    world.offer('a', { isReserved: true, terms });
    expect(world.countOf('a')).toBe(3);
    world.finish('a');
    world.offer('a', { terms });
    world.serve('a', { ms: 1_000, responseMs: 1 });
    expect(world.countOf('a')).toBe(4);
  });

  it('has to go once more when there is no room, or the receiver hangs by now', () => {
    const world = new CoreWorld();
    world.offer('a', { terms: one });
    world.offer('a', { isReserved: true, terms: one });
    world.pass(PATIENCE_MS);
    expect(world.postponed).toMatchObject([{ cause: 'slow' }]);
  });
});

describe('a lane', () => {
  it('is at its limit of all that may be remembered, the eldest forgotten first', () => {
    const { core } = new CoreWorld();
    for (let n = 0; n <= 50_000; n += 1) {
      const lane = `lane ${n}`;
      core.offer({ delivery: { lane, n, bytes: 1, isReserved: false }, lane, bytes: 1, heldBytes: 1, isReserved: false, share: 1 }, fast, 0);
      core.finished(lane, { kind: 'throttled', durationMs: 0, retryAfterMs: 10_000 }, 0);
      core.recorded(0);
    }
    expect([0, 1, 50_000].map((n) => core.notBeforeMs(`lane ${n}`))).toEqual([Number.NEGATIVE_INFINITY, 10_000, 10_000]);
  });
});
