import { describe, expect, it } from '@jest/globals';
import type { RecordedEvent } from '@posthorn/event-store';
import type { ReadModel } from '../read-model.js';
import { StreamFolder, type Folded } from './stream-folder.js';

/** Counts: its state is how many events there were. */
const counting = (kind: 'tenant' | 'subscription'): ReadModel<number> => ({
  kind,
  decider: { initialState: 0, evolve: (count) => count + 1 },
  table: kind,
  columns: [{ name: 'id', type: 'text' }],
  rowOf: ({ id }) => [id],
});
const tenants = counting('tenant');
const subscriptions = counting('subscription');

const event = (stream: string, version: number, position: number): RecordedEvent => ({
  stream,
  version,
  position,
  type: 'Counted',
  data: {},
  actor: 'tester',
  at: '2026-01-02T03:04:05.678Z',
});

const shown = (folded: readonly Folded[]) =>
  folded.map(({ readModel: { kind }, standing: { id, version, position, state } }) => [kind, id, version, position, state]);

describe('a stream folder', () => {
  it('gives an aggregate away when another begins, and the last one at the end', () => {
    const folder = new StreamFolder([tenants, subscriptions]);
    expect(shown(folder.take([event('subscription/a', 1, 5), event('subscription/a', 2, 9), event('tenant/a/b', 1, 1)]))).toEqual([
      ['subscription', 'a', 2, 9, 2],
    ]);
    expect(shown(folder.take([event('tenant/a/b', 2, 3)]))).toEqual([]);
    expect(shown(folder.take([event('tenant/c', 1, 4)]))).toEqual([['tenant', 'a/b', 2, 3, 2]]);
    expect(shown(folder.finish())).toEqual([['tenant', 'c', 1, 4, 1]]);
    expect(folder.finish()).toEqual([]);
  });

  it('refuses a stream that it has no read model for', () => {
    const folder = new StreamFolder([tenants]);
    expect(() => folder.take([event('subscription/a', 1, 1)])).toThrow('no read model is folded from subscription/a');
    expect(() => folder.take([event('riddle/a', 1, 1)])).toThrow('unknown stream riddle/a');
  });
});
