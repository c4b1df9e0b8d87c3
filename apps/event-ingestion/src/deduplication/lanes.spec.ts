import { describe, expect, it } from '@jest/globals';
import { Lanes } from './lanes.js';

const item = (place: number, key?: string) => ({ place, key });

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
});
