import { describe, expect, it } from '@jest/globals';
import { untilRegistryIsRead, type Queryable } from './subscriptions.js';

/** Folded as far as the third change. */
const database: Queryable = { query: async <Row>() => [{ position: '3' }] as Row[] }; // as the one statement has it
const PATIENCE_MS = 50;

const reading = (readFresh: () => Promise<void>, position: number): Promise<void> => untilRegistryIsRead(database, { readFresh, position }, PATIENCE_MS);

describe('what the registry did last', () => {
  it('is waited for until it is folded, but not for ever', async () => {
    await expect(reading(() => Promise.resolve(), 3)).resolves.toBeUndefined();
    await expect(reading(() => Promise.resolve(), 4)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.each([
    ['fails', () => Promise.reject(new Error('away'))],
    ['takes for ever', () => new Promise<void>(() => undefined)],
  ])('cannot be known while the reading %s: whoever asks is told so, in time', async (_, readFresh) => {
    await expect(reading(readFresh, 3)).rejects.toMatchObject({ code: 'unavailable' });
  }, 2_000);
});
