import { describe, expect, it } from '@jest/globals';
import * as fc from 'fast-check';
import { CoreWorld, fast, type Started } from '../spec-support/core-world.js';
import type { LaneTerms } from './lane-terms.js';
import { LEAST_SHARE } from './lane.js';
import { RateLimit } from './rate.js';

const PATIENCE_MS = 2_000;
/** Of a lane that shares its window with few. */
const LENIENT_PATIENCE_MS = 12_000;
const LANE_BYTES = 5_000;

type Step =
  | { readonly kind: 'offer'; readonly lane: number; readonly count: number; readonly bytes: number; readonly isReserved: boolean }
  | { readonly kind: 'end'; readonly which: number; readonly ending: 'success' | 'failure' | 'throttled' | 'not_attempted' }
  | { readonly kind: 'record' }
  | { readonly kind: 'pass'; readonly ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('offer' as const),
      lane: fc.nat(3),
      count: fc.integer({ min: 1, max: 8 }),
      bytes: fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 8_000 })),
      isReserved: fc.oneof({ weight: 3, arbitrary: fc.constant(false) }, { weight: 1, arbitrary: fc.constant(true) }),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('end' as const),
      which: fc.nat(20),
      ending: fc.oneof(
        { weight: 4, arbitrary: fc.constant('success' as const) },
        { weight: 4, arbitrary: fc.constant('failure' as const) },
        { weight: 1, arbitrary: fc.constantFrom('throttled' as const, 'not_attempted' as const) },
      ),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('record' as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.oneof(fc.nat(50), fc.nat(3_000), fc.nat(20_000)) }) },
);

const terms: fc.Arbitrary<LaneTerms> = fc.record({
  maxConcurrency: fc.integer({ min: 1, max: 6 }),
  timeoutMs: fc.constant(1_000),
  rate: fc.option(fc.record({ perSecond: fc.double({ min: 0.5, max: 200, noNaN: true }), burst: fc.integer({ min: 1, max: 5 }) }), { nil: undefined }),
});

const history = fc.record({
  maxInFlight: fc.integer({ min: 1, max: 12 }),
  lanes: fc.array(terms, { minLength: 4, maxLength: 4 }),
  steps: fc.array(step, { maxLength: 120 }),
});

/** `expect` for what is looked at a million times. */
const hold = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

/** What a lane may do, worked out anew from what it was seen to do. */
class Shadow {
  readonly #rate: RateLimit | undefined;
  state = 'closed';
  pausedUntilMs = 0;

  constructor(
    readonly key: string,
    readonly terms: LaneTerms,
    readonly share: number,
  ) {
    if (terms.rate === undefined) return;
    this.#rate = new RateLimit();
    this.#rate.setTerms(terms.rate, 0);
  }

  began(atMs: number): void {
    if (this.#rate === undefined) return;
    hold(this.#rate.nextMs(atMs) <= atMs, 'started before its rate allows');
    this.#rate.take(atMs);
  }

  mayStart(underWay: number, nowMs: number): boolean {
    return this.state === 'closed' && underWay < this.terms.maxConcurrency && (this.#rate?.nextMs(nowMs) ?? nowMs) <= nowMs;
  }
}

/** Follows a history and looks after each step whether what must hold does. */
class Watch {
  readonly world: CoreWorld;
  readonly #shadows: readonly Shadow[];
  readonly #maxInFlight: number;
  #seenStarts = 0;
  #seenTransitions = 0;
  #seenPostponed = 0;
  readonly waiting = new Map<number, { readonly lane: string; readonly bytes: number; readonly sinceMs: number }>();
  #offered = 0;

  constructor({ maxInFlight, lanes }: { maxInFlight: number; lanes: readonly LaneTerms[] }) {
    this.#maxInFlight = maxInFlight;
    this.world = new CoreWorld({ maxInFlight, laneBytes: LANE_BYTES });
    this.#shadows = lanes.map((laneTerms, n) => new Shadow(`lane ${n}`, laneTerms, n === 0 ? 1 / 2 : LEAST_SHARE));
  }

  follow(next: Step): void {
    const { world } = this;
    if (next.kind === 'offer') this.#offer(next);
    else if (next.kind === 'pass') this.#pass(next.ms);
    else if (next.kind === 'record' && world.unrecorded > 0) world.record();
    else if (next.kind === 'end' && world.underWay.length > 0) this.#end(next.which % world.underWay.length, next.ending);
    this.#look();
  }

  /** Whatever is under way ends well, and time goes on, until nothing more can happen. */
  finish(): void {
    const { world } = this;
    for (let n = 0; n < 400; n += 1) {
      while (world.underWay.length > 0) this.#end(0, 'success');
      while (world.unrecorded > 0) world.record();
      this.#pass(50);
      this.#look();
    }
  }

  #offer({ lane, count, bytes, isReserved }: Extract<Step, { kind: 'offer' }>): void {
    const shadow = this.#shadows[lane % this.#shadows.length];
    if (shadow === undefined) return;
    for (let n = 0; n < count; n += 1) {
      this.waiting.set(this.#offered++, { lane: shadow.key, bytes, sinceMs: this.world.nowMs });
      this.world.offer(shadow.key, { bytes, isReserved, terms: shadow.terms, share: shadow.share });
      this.#look();
    }
  }

  #end(index: number, ending: 'success' | 'failure' | 'throttled' | 'not_attempted'): void {
    const lane = this.world.underWay[index]?.parcel.lane ?? '';
    this.world.end(lane, ending, { at: index, ...(ending === 'throttled' && { retryAfterMs: 700 }) });
  }

  /** In small steps, so that nothing between goes unseen. */
  #pass(ms: number): void {
    for (let left = ms; left > 0; left -= 250) {
      this.world.pass(Math.min(left, 250));
      this.#look();
    }
  }

  #look(): void {
    const { world } = this;
    for (; this.#seenTransitions < world.transitions.length; this.#seenTransitions += 1) {
      const [lane = '', state = ''] = world.transitions[this.#seenTransitions]?.split(/ (?=\w+$)/) ?? [];
      const shadow = this.#shadows.find(({ key }) => key === lane);
      if (shadow !== undefined) shadow.state = state;
    }
    for (; this.#seenStarts < world.started.length; this.#seenStarts += 1) {
      const { parcel, atMs } = world.started[this.#seenStarts] as Started;
      hold(this.waiting.delete(parcel.n), 'started what was not waiting any more');
      this.#shadows.find(({ key }) => key === parcel.lane)?.began(atMs);
    }
    for (; this.#seenPostponed < world.postponed.length; this.#seenPostponed += 1) this.#postponed(this.#seenPostponed);
    this.#limits();
    for (const shadow of this.#shadows) this.#lane(shadow);
  }

  #postponed(index: number): void {
    const postponed = this.world.postponed[index];
    if (postponed === undefined) return;
    hold(this.waiting.delete(postponed.parcel.n), 'postponed what was not waiting any more');
    hold(postponed.dueMs >= postponed.atMs + 1_000 && Number.isInteger(postponed.dueMs), `due at ${postponed.dueMs}`);
  }

  #limits(): void {
    const { world } = this;
    hold(world.core.inFlight === world.underWay.length + world.unrecorded, 'slots are counted wrongly');
    hold(world.core.inFlight <= this.#maxInFlight, 'more slots than there are');
  }

  #lane(shadow: Shadow): void {
    const { core, nowMs, underWay } = this.world;
    const count = underWay.filter(({ parcel }) => parcel.lane === shadow.key).length;
    hold(count <= shadow.terms.maxConcurrency, 'more at a time than the lane allows');
    const waiting = [...this.waiting.values()].filter(({ lane }) => lane === shadow.key);
    const [first] = waiting;
    if (first === undefined) return;
    hold(shadow.state !== 'open', 'waits for a breaker that is open');
    hold(waiting.length === 1 || waiting.reduce((sum, { bytes }) => sum + bytes, -first.bytes) <= (LANE_BYTES / LEAST_SHARE) * shadow.share, 'more bytes than a lane may hold');
    // Slow lanes may have three quarters of the slots. Below that nobody waits for one.
    if (core.inFlight >= Math.floor(this.#maxInFlight * 0.75)) return;
    hold(!shadow.mayStart(count, nowMs), 'waits though it may go');
    hold(nowMs - first.sinceMs <= (shadow.share > LEAST_SHARE ? LENIENT_PATIENCE_MS : PATIENCE_MS), 'has waited for longer than it has patience');
  }
}

describe('whatever comes in whatever order, the core of the sender', () => {
  it('keeps every limit, loses nothing, does nothing twice, leaves nobody waiting who may go, and holds nothing for longer than its patience', () => {
    fc.assert(
      fc.property(history, ({ maxInFlight, lanes, steps }) => {
        const watch = new Watch({ maxInFlight, lanes });
        for (const next of steps) watch.follow(next);
        watch.finish();
        expect(watch.waiting.size).toBe(0);
        expect(watch.world.core.inFlight).toBe(0);
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives each delivery one place: what comes back for it, up to a second late, is sent then, and all are sent as fast as the rate lets them', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 5, max: 100 }),
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.record({ afterMs: fc.nat(400), count: fc.integer({ min: 1, max: 60 }) }), { minLength: 1, maxLength: 12 }),
        fc.nat(999),
        (perSecond, burst, arrivals, lateMs) => {
          const limited: LaneTerms = { ...fast, rate: { perSecond, burst } };
          const world = new CoreWorld();
          const beginMs = world.nowMs;
          let offered = 0;
          let returned = 0;
          const back = (): void => {
            for (let due = world.postponed[returned]; due !== undefined && due.dueMs + lateMs <= world.nowMs; due = world.postponed[returned]) {
              returned += 1;
              world.offer('a', { isReserved: true, terms: limited });
            }
          };
          for (const { afterMs, count } of arrivals) {
            for (let ms = 0; ms < afterMs; ms += 20) {
              world.serve('a', { ms: 20, responseMs: 5 });
              back();
            }
            world.offer('a', { count, terms: limited });
            offered += count;
          }
          const lastMs = world.nowMs;
          for (let n = 0; n < 20_000 && world.started.length < offered; n += 1) {
            world.serve('a', { ms: 20, responseMs: 5 });
            back();
          }
          expect(world.postponed.filter(({ parcel }) => parcel.isReserved)).toEqual([]);
          expect(world.started).toHaveLength(offered);
          expect(world.nowMs - lastMs).toBeLessThanOrEqual((offered / perSecond) * 1_000 + lateMs + 1_100);
          expect(lastMs).toBeGreaterThanOrEqual(beginMs);
        },
      ),
      { numRuns: 200 },
    );
  });
});
