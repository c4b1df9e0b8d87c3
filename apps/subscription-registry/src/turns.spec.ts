import { describe, expect, it } from '@jest/globals';
import { Turns, TurnsByName } from './turns.js';

/** Work that is under way until it is ended by hand. */
const works = (turns: Pick<Turns, 'take'>, count: number) => {
  const begun: number[] = [];
  const all = Array.from({ length: count }, (_, n) => {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const done = turns.take(() => {
      begun.push(n);
      return promise;
    });
    return { done, end: () => resolve(n), fail: () => reject(new Error(`${n} failed`)) };
  });
  return { begun, all };
};

describe('turns', () => {
  it('are taken by as many as may at once, and by the others in their order', async () => {
    const { begun, all } = works(new Turns(2), 4);
    const [first, second, third, fourth] = all;
    expect(begun).toEqual([0, 1]);
    second?.end();
    await expect(second?.done).resolves.toBe(1);
    expect(begun).toEqual([0, 1, 2]);
    for (const work of [first, third, fourth]) work?.end();
    await expect(Promise.all(all.map(({ done }) => done))).resolves.toEqual([0, 1, 2, 3]);
  });

  it('are given back by what fails', async () => {
    const turns = new Turns(1);
    const { begun, all } = works(turns, 2);
    all[0]?.fail();
    await expect(all[0]?.done).rejects.toThrow('0 failed');
    expect(begun).toEqual([0, 1]);
    all[1]?.end();
    await all[1]?.done;
    await expect(turns.take(async () => 'free again')).resolves.toBe('free again');
  });
});

describe('turns by name', () => {
  it('are taken one after the other for one name, also after all had been given back, and at once for two', async () => {
    const turns = new TurnsByName();
    const named = (name: string) => works({ take: (work) => turns.take(name, work) }, 2);
    const [some, others] = [named('some'), named('others')];
    expect([some.begun, others.begun]).toEqual([[0], [0]]);
    for (const { end } of [...some.all, ...others.all]) end();
    await Promise.all([...some.all, ...others.all].map(({ done }) => done));
    expect([some.begun, others.begun]).toEqual([[0, 1], [0, 1]]);

    const again = named('some');
    expect(again.begun).toEqual([0]);
    again.all[0]?.fail();
    await expect(again.all[0]?.done).rejects.toThrow('0 failed');
    expect(again.begun).toEqual([0, 1]);
    again.all[1]?.end();
    await again.all[1]?.done;
  });
});
