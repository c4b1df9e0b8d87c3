import { describe, expect, it } from '@jest/globals';
import { Held } from './held.js';
import type { DeliveryRow } from './rows.js';

const limits = { leastMs: 200, mostMs: 2_000, bytes: 100 };

const begun = (id: string): DeliveryRow => ({ id, round: 0, number: 0, status: 'pending', waiting_round: null }) as DeliveryRow; // What is looked at
const more: Readonly<Record<string, Partial<DeliveryRow>>> = {
  'an outcome': { number: 1, status: 'delivered' },
  'a cancellation': { status: 'cancelled' },
  'a postponement': { waiting_round: 0 },
  'another round': { round: 1 },
};
const after = (id: string, what = 'an outcome'): DeliveryRow => ({ ...begun(id), ...more[what] });

class Scene {
  readonly held = new Held<{ readonly name: string; readonly bytes: number }>(limits);

  add(name: string, deliveries: readonly DeliveryRow[], { nowMs = 0, behindMs = 0, bytes = 10 } = {}): string[] {
    return this.held.add({ name, bytes }, deliveries, nowMs, behindMs).map((item) => item.name);
  }

  take(nowMs: number): string[] {
    return this.held.take(nowMs).map(({ name }) => name);
  }
}

describe('what is held', () => {
  it('is a decision, until something has been heard of each of its deliveries', () => {
    const scene = new Scene();
    expect(scene.add('decision', [begun('a'), begun('b')])).toEqual([]);
    expect(scene.add('first', [after('a')])).toEqual(['first']);
    expect(scene.add('again', [after('a')])).toEqual(['again']);
    expect(scene.add('second', [after('b')])).toEqual(['decision', 'second']);
    expect(scene.held.dueInMs(0)).toBeUndefined();
  });

  it.each(Object.keys(more))('goes with %s', (what) => {
    const scene = new Scene();
    scene.add('decision', [begun('a')]);
    expect(scene.add('more', [after('a', what)])).toEqual(['decision', 'more']);
  });

  it('is no decision without deliveries, none whose outcomes came before it, and no other record', () => {
    const scene = new Scene();
    expect(scene.add('nobody', [])).toEqual(['nobody']);
    expect(scene.add('outcome', [after('a')])).toEqual(['outcome']);
    expect(scene.add('decision', [begun('a')])).toEqual(['decision']);
  });

  it('is let go after a while, those alone whose time it is', () => {
    const scene = new Scene();
    scene.add('one', [begun('a')], { nowMs: 1_000 });
    scene.add('two', [begun('b')], { nowMs: 1_050 });
    expect(scene.held.dueInMs(1_150)).toBe(50);
    expect(scene.take(1_199)).toEqual([]);
    expect(scene.take(1_200)).toEqual(['one']);
    expect(scene.held.dueInMs(1_200)).toBe(50);
    expect(scene.add('outcome', [after('a')])).toEqual(['outcome']);
    expect([scene.take(1_250), scene.held.dueInMs(1_250)]).toEqual([['two'], undefined]);
  });

  it.each([
    [150, 200],
    [900, 900],
    [60_000, 2_000],
  ])('by who is %i ms behind, is held for %i ms', (behindMs, heldMs) => {
    const scene = new Scene();
    scene.add('decision', [begun('a')], { behindMs });
    expect(scene.held.dueInMs(0)).toBe(heldMs);
  });

  it('is so much at most: beyond that the oldest goes', () => {
    const scene = new Scene();
    scene.add('one', [begun('a')], { bytes: 60 });
    scene.add('two', [begun('b')], { bytes: 30 });
    expect(scene.add('three', [begun('c')], { bytes: 20 })).toEqual(['one']);
    expect(scene.add('huge', [begun('d')], { bytes: 500 })).toEqual(['two', 'three', 'huge']);
    expect(scene.held.dueInMs(0)).toBeUndefined();
  });

  it('told twice, is let go twice: once with its outcome, once for its age', () => {
    const scene = new Scene();
    scene.add('one', [begun('a')]);
    scene.add('repeated', [begun('a')]);
    expect(scene.add('outcome', [after('a')])).toEqual(['repeated', 'outcome']);
    expect(scene.take(200)).toEqual(['one']);
  });
});
