import { describe, expect, it } from '@jest/globals';
import { SenderCore } from './sender-core.js';

type D = { readonly subscription: string; readonly n: number };

const parts = { laneBytes: 1_000_000, random: () => 0.5, postpone: () => undefined, onBreaker: () => undefined };

const offerOf = (subscription: string, n: number) => ({ delivery: { subscription, n }, lane: subscription, bytes: 1, isReserved: false });

const finish = (core: SenderCore<D>, lane: string): void => {
  core.finished(lane, { kind: 'success', durationMs: 0 }, 0);
  core.recorded(0);
};

const sending = (maxInFlight: number) => {
  const started: D[] = [];
  const core = new SenderCore<D>({ ...parts, maxInFlight, start: (delivery) => started.push(delivery) });
  const offer = (subscription: string, count: number, maxConcurrency = 10): void => {
    for (let n = 0; n < count; n += 1) core.offer(offerOf(subscription, n), { maxConcurrency, timeoutMs: 1_000 }, 0);
  };
  const countOf = (subscription: string): number => started.filter((delivery) => delivery.subscription === subscription).length;
  return { core, started, offer, countOf };
};

describe('the core of the sender', () => {
  it('starts at once what may start', () => {
    const { started, offer } = sending(100);
    offer('a', 3);
    expect(started.map(({ n }) => n)).toEqual([0, 1, 2]);
  });

  it('never has more under way for a subscription than it allows', () => {
    const { core, offer, countOf } = sending(100);
    offer('a', 5, 2);
    expect(countOf('a')).toBe(2);
    expect(core.countLanes()).toEqual({ sending: 0, waiting: 1 });
    finish(core, 'a');
    expect(countOf('a')).toBe(3);
  });

  it('a subscription with a thousand waiting does not delay another', () => {
    const { offer, countOf } = sending(100);
    offer('slow', 1_000, 10);
    offer('quick', 1);
    expect(countOf('quick')).toBe(1);
  });

  it('takes turns when there is not room for all', () => {
    const { core, started, offer } = sending(1);
    offer('a', 3);
    offer('b', 3);
    for (let i = 0; i < 5; i += 1) finish(core, started.at(-1)?.subscription ?? '');
    expect(started.map(({ subscription }) => subscription).join('')).toBe('aababb');
  });

  it('keeps nothing of a subscription with nothing to do', () => {
    const { core, offer } = sending(10);
    offer('a', 2);
    finish(core, 'a');
    finish(core, 'a');
    expect(core.countLanes()).toEqual({ sending: 0, waiting: 0 });
    expect(core.inFlight).toBe(0);
    expect(() => finish(core, 'a')).toThrow('nothing is under way');
  });

  it('starts everything exactly once, in order per subscription, within its limits, whatever the order of ends', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      let state = seed;
      const random = (below: number): number => (state = (state * 48_271) % 2_147_483_647) % below;
      const limits = new Map<string, number>([['a', 1], ['b', 3], ['c', 50]]);
      const underWay: D[] = [];
      const started: D[] = [];
      const core = new SenderCore<D>({
        ...parts,
        maxInFlight: 8,
        start: (delivery) => {
          underWay.push(delivery);
          started.push(delivery);
          expect(underWay.length).toBeLessThanOrEqual(8);
          const same = underWay.filter(({ subscription }) => subscription === delivery.subscription).length;
          expect(same).toBeLessThanOrEqual(limits.get(delivery.subscription) ?? 0);
        },
      });
      const offered = new Map<string, number>();
      for (let step = 0; step < 400 || underWay.length > 0; step += 1) {
        if (step < 400 && random(2) === 0) {
          const subscription = ['a', 'b', 'c'][random(3)] ?? 'a';
          const n = offered.get(subscription) ?? 0;
          offered.set(subscription, n + 1);
          core.offer(offerOf(subscription, n), { maxConcurrency: limits.get(subscription) ?? 1, timeoutMs: 1_000 }, 0);
        } else if (underWay.length > 0) {
          const [ended] = underWay.splice(random(underWay.length), 1);
          finish(core, ended?.subscription ?? '');
        }
      }
      for (const [subscription, count] of offered) {
        const order = started.filter((delivery) => delivery.subscription === subscription).map(({ n }) => n);
        expect(order).toEqual(Array.from({ length: count }, (_, n) => n));
      }
    }
  });
});
