import { describe, expect, it } from '@jest/globals';
import { eventId, idPrefix, parseEventId } from './event-id.ts';

describe("an event's id", () => {
  it('tells what it was made of', () => {
    const stamped = { run: 12, sequence: 345, dueMicros: 67_890_123_456 };
    expect(parseEventId(eventId(stamped))).toEqual(stamped);
  });

  it('begins as all of its load do, and as none of another', () => {
    const id = eventId({ run: 1, sequence: 0, dueMicros: 5 });
    expect([id.startsWith(idPrefix(1)), eventId({ run: 12, sequence: 0, dueMicros: 5 }).startsWith(idPrefix(1))]).toEqual([true, false]);
  });

  it.each(['evt_1', 'bench-1-2', 'bench-1-2-3-4', ''])('is not read out of %j', (id) => {
    expect(parseEventId(id)).toBeUndefined();
  });
});
