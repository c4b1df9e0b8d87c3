import type { AggregateState } from '@posthorn/contracts';
import { describe, expect, it } from '@jest/globals';
import type { RecordedEvent } from '@posthorn/event-store';
import { stateRecords, type StateRow } from './state-records.js';

const event = (position: number, stream: string): RecordedEvent => ({
  position,
  stream,
  version: 1,
  type: 'Happened',
  data: {},
  actor: 'tester',
  at: '2026-01-02T03:04:05.678Z',
});
const at = '2026-01-02T03:04:05.678Z';
const settings = { schema_policy: 'warn', unknown_event_types: 'accept', retention_ms: 86_400_000 } as const;
const state = (id: string): AggregateState => ({ kind: 'tenant', id, name: id, settings, created_at: at, updated_at: at });
const rows = (...ids: readonly string[]): ReadonlyMap<string, StateRow> =>
  new Map(ids.map((id) => [`tenant/${id}`, { version: 7, state: state(id) }]));

describe('the states of a batch', () => {
  it('come once per aggregate, as the read model has them', () => {
    expect(stateRecords([event(4, 'tenant/a'), event(6, 'tenant/a')], rows('a'))).toEqual([
      { id: 'a', kind: 'tenant', position: 6, value: { position: 6, version: 7, state: state('a') } },
    ]);
  });

  it('claim a position only when everything up to it is published', () => {
    const batch = [event(1, 'tenant/a'), event(2, 'tenant/b'), event(3, 'tenant/a'), event(5, 'tenant/c'), event(6, 'tenant/b')];
    expect(stateRecords(batch, rows('a', 'b', 'c')).map(({ id, position }) => [id, position])).toEqual([
      ['a', 1],
      ['b', 3],
      ['c', 6],
    ]);
  });

  it('are tombstones, with a position, where the aggregate is gone', () => {
    expect(stateRecords([event(1, 'subscription/sub_1'), event(2, 'tenant/a')], rows('a'))[0]).toEqual({
      id: 'sub_1',
      kind: 'subscription',
      position: 1,
      value: undefined,
    });
  });

  it('refuse a stream that this version does not know', () => {
    expect(() => stateRecords([event(1, 'realm/x')], rows())).toThrow('realm/x');
  });
});
