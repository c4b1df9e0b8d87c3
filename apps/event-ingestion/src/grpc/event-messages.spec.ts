import { describe, expect, it } from '@jest/globals';
import type { NewEvent } from '@posthorn/contracts/grpc/ingestion';
import { draftOfMessage, evidenceOf, sizeOfEvent } from './event-messages.js';

const eventOf = (more: Partial<NewEvent>): NewEvent => ({ type: 'a', data: Buffer.from('{}'), time: undefined, headers: {}, extensions: {}, ...more });
const toldOf = (event: NewEvent): unknown => JSON.parse(String(evidenceOf(event).value));

describe('what is kept of a refused event', () => {
  it('has the context as what it says', () => {
    expect(toldOf(eventOf({ context_json: '{"a":[1]}' }))).toEqual({ specversion: '1.0', type: 'a', context: { a: [1] }, data: {} });
  });

  it.each([
    ['that is no JSON', '{"a":'],
    ['that is nested deeper than the stack', `${'['.repeat(99_000)}${']'.repeat(99_000)}`],
  ])('has a context %s as text', (_, context_json) => {
    expect(toldOf(eventOf({ context_json }))).toMatchObject({ context: context_json });
  });
});

describe('the size of an event', () => {
  it('is that of all that it says, and what it is refused by', () => {
    const event = eventOf({ id: 'é', subject: 's'.repeat(10), headers: { name: 'four' }, extensions: { name: 'four' }, context_json: '{}' });
    expect(sizeOfEvent(event)).toBeGreaterThanOrEqual(2 + 2 + 10 + 8 + 8 + 2);
    expect(draftOfMessage(event)).toMatchObject({ kind: 'draft', bytes: sizeOfEvent(event) });
  });
});
