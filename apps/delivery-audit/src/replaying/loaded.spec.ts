import { expect, it } from '@jest/globals';
import { Loaded } from './loaded.js';

const offsets = (...ends: readonly number[]) => new Map(ends.map((end, partition) => [partition, end]));

it('is what has come as far as the topics went when it was first asked about, however far they go since', async () => {
  const ends = new Map([['a', offsets(5, 0)], ['b', offsets(2)]]);
  const progress = new Map([['a', offsets(5)], ['b', offsets(1)]]);
  const read = (all: ReadonlyMap<string, ReadonlyMap<number, number>>) => async (topic: string) => all.get(topic) ?? offsets();
  const loaded = new Loaded({ topics: ['a', 'b'], ends: read(ends), progress: read(progress) });
  expect(await loaded.isLoadedFor('rpl_1')).toBe(false);
  ends.set('a', offsets(9, 9));
  progress.set('b', offsets(2));
  expect([await loaded.isLoadedFor('rpl_1'), await loaded.isLoadedFor('rpl_2')]).toEqual([true, false]);
  loaded.forget('rpl_1');
  expect(await loaded.isLoadedFor('rpl_1')).toBe(false);
});
