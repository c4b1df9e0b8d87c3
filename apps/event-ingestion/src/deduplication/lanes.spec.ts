import { describe, expect, it } from '@jest/globals';
import { Lanes } from './lanes.js';

const item = (place: number, key?: string) => ({ place, key });

/** Of `count` events in doubt, and as many behind them, that become certain claim by claim, the last claim first: in which order they go, after how many looks at a place. */
const settle = (count: number): { readonly each: number; readonly places: readonly number[] } => {
  let looks = 0;
  const all = Array.from({ length: 2 * count }, (_, place) => ({
    key: 'a',
    get place() {
      looks++;
      return place;
    },
  }));
  const lanes = new Lanes<(typeof all)[number]>();
  const doubts = all.slice(0, count);
  for (const each of doubts) lanes.doubt(each);
  for (const each of all.slice(count)) lanes.mayGo(each);
  const gone: typeof all = [];
  for (let end = count; end > 0; end -= 100) {
    for (const each of doubts.slice(end - 100, end)) {
      const freed = lanes.decided(each);
      if (lanes.mayGo(each)) gone.push(each);
      gone.push(...freed);
    }
  }
  return { each: looks / count, places: gone.map(({ place }) => place) };
};

describe('a lane', () => {
  it('holds what follows a doubt with the same key, and nothing else', () => {
    const lanes = new Lanes<ReturnType<typeof item>>();
    const doubted = item(1, 'a');
    lanes.doubt(doubted);
    const [before, after, other, free] = [item(0, 'a'), item(2, 'a'), item(3, 'b'), item(4)];
    expect([before, after, other, free].map((each) => lanes.mayGo(each))).toEqual([true, false, true, true]);
    expect(lanes.decided(doubted)).toEqual([after]);
    expect(lanes.mayGo(item(5, 'a'))).toBe(true);
  });

  it('lets go in order what stands before the next doubt', () => {
    const lanes = new Lanes<ReturnType<typeof item>>();
    const [one, three, five] = [item(1, 'a'), item(3, 'a'), item(5, 'a')];
    lanes.doubt(five);
    lanes.doubt(one);
    lanes.doubt(three);
    for (const place of [6, 4, 2]) expect(lanes.mayGo(item(place, 'a'))).toBe(false);
    expect(lanes.decided(three)).toEqual([]);
    expect(lanes.decided(one).map(({ place }) => place)).toEqual([2, 4]);
    expect(lanes.decided(five).map(({ place }) => place)).toEqual([6]);
    expect(lanes.decided(five)).toEqual([]);
  });

  it('takes as long for an event of many as for one of few', () => {
    const [few, many] = [settle(500), settle(2_000)];
    expect(many.places).toEqual(Array.from({ length: 4_000 }, (_, place) => place));
    expect(many.each / few.each).toBeLessThan(1.5);
  });
});
