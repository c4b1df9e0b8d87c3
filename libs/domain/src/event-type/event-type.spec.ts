import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { fold } from '../decider.js';
import { eventType, type EventTypeCommand, type EventTypeContent, type EventTypeEvent } from './event-type.js';

const born = '2026-01-02T03:04:05.678Z';
const at = '2026-01-03T00:00:00.000Z';
const content: EventTypeContent = {
  description: 'An invoice was paid',
  schema: { type: 'object', required: ['total'] },
  example: { total: 1 },
  archived: false,
  version: 1,
};
const named = { tenant: 'acme', name: 'invoice.paid' };
const created: EventTypeEvent = { type: 'EventTypeCreated', data: { id: 'acme/invoice.paid', ...named, ...content }, at: born };
const deleted: EventTypeEvent = { type: 'EventTypeDeleted', data: {}, at };
const updated = (data: Extract<EventTypeEvent, { type: 'EventTypeUpdated' }>['data']): EventTypeEvent => ({
  type: 'EventTypeUpdated',
  data,
  at,
});
const put = (changed: Partial<EventTypeContent> = {}, time = at): EventTypeCommand => ({
  kind: 'put',
  ...named,
  content: { ...content, ...changed },
  at: time,
});

const given = (...history: EventTypeEvent[]) => {
  const state = fold(eventType, history);
  return { state, when: (command: EventTypeCommand) => eventType.decide(command, state) };
};

const refused = (code: string) => expect.objectContaining({ code });

describe('putting an event type', () => {
  it('creates it', () => {
    expect(given().when(put({}, born))).toEqual([created]);
    const { state } = given(created);
    expect(recordSchemas.registryState.parse({ position: 1, version: 1, state }).state).toEqual({
      kind: 'event_type',
      id: 'acme/invoice.paid',
      ...named,
      ...content,
      created_at: born,
      updated_at: born,
    });
  });

  it('that is there states what changed', () => {
    const event = updated({ description: 'Paid', archived: true });
    expect(given(created).when(put({ description: 'Paid', archived: true }))).toEqual([event]);
    expect(given(created, event).state).toEqual({ ...given(created).state, description: 'Paid', archived: true, updated_at: at });
  });

  it('removes what is absent', () => {
    const event = updated({ removed: ['schema', 'example'] });
    expect(given(created).when(put({ schema: undefined, example: undefined }))).toEqual([event]);
    expect(given(created, event).state).not.toHaveProperty('schema');
    expect(given(created, event).state).not.toHaveProperty('example');
  });

  it('keeps an example that is null apart from none', () => {
    expect(given(created).when(put({ example: null }))).toEqual([updated({ example: null })]);
    expect(given(created, updated({ example: null })).state).toHaveProperty('example', null);
    expect(given(created, updated({ example: null })).when(put({ example: undefined }))).toEqual([updated({ removed: ['example'] })]);
  });

  it('as it is states nothing', () => {
    expect(given(created).when(put())).toEqual([]);
    const event = updated({ removed: ['schema'] });
    expect(given(created, event).when(put({ schema: undefined }))).toEqual([]);
  });

  it('can make the next version', () => {
    const schema = { type: 'array' };
    expect(given(created).when(put({ schema, version: 2 }))).toEqual([updated({ schema, version: 2 })]);
    expect(given(created, updated({ schema, version: 2 })).state).toMatchObject({ schema, version: 2 });
  });

  it.each([0, 3])('refuses to go from version 1 to %i', (version) => {
    expect(() => given(created).when(put({ version }))).toThrow(refused('invalid'));
  });

  it.each([0, 2])('refuses to begin with version %i', (version) => {
    expect(() => given().when(put({ version }))).toThrow(refused('invalid'));
  });

  it('takes a name that was deleted for a new one', () => {
    expect(given(created, deleted).when(put())).toMatchObject([{ type: 'EventTypeCreated', data: { version: 1 } }]);
  });
});

describe('deleting an event type', () => {
  it('ends it', () => {
    expect(given(created).when({ kind: 'delete', at })).toEqual([deleted]);
    expect(given(created, deleted).state).toEqual({ kind: 'deleted' });
  });

  it('that is not there is refused', () => {
    expect(() => given().when({ kind: 'delete', at })).toThrow(refused('not_found'));
    expect(() => given(created, deleted).when({ kind: 'delete', at })).toThrow(refused('not_found'));
  });
});

it('refuses to fold an event it does not know', () => {
  const later = { type: 'EventTypeMoved', data: {}, at } as unknown as EventTypeEvent;
  expect(() => given(created, later)).toThrow('EventTypeMoved');
});
