import { describe, expect, it } from '@jest/globals';
import { type Entry, openEntry } from './entry.js';
import { Pump } from './pump.js';
import { TIMING } from './timing.js';

const LONG_MS = 60_000;
const ignore = (): void => undefined;

/** A database that answers at once, and what it was asked for. */
const given = (paceMs: number) => {
  const claimed: { readonly hashes: readonly string[]; readonly atMs: number }[] = [];
  let told = ignore;
  const pump = new Pump({
    owner: { isClosed: false },
    holdings: { areToBeClosed: false, close: async () => undefined },
    timing: { ...TIMING, paceMs },
    claim: async (batch) => {
      claimed.push({ hashes: batch.map(({ hash }) => hash), atMs: performance.now() });
      told();
    },
    onLate: ignore,
  });
  let place = 0;
  const entryOf = (hash: string, bytes: number): Entry =>
    openEntry({ hash, key: undefined, bytes, go: ignore, place: place++, expiresAtMs: Infinity, pauseMs: 0 });
  const add = (hash: string, bytes = 1): void => pump.add(entryOf(hash, bytes));
  const statements = async (count: number): Promise<readonly (readonly string[])[]> => {
    while (claimed.length < count) await new Promise<void>((resolve) => (told = resolve));
    return claimed.map(({ hashes }) => hashes);
  };
  return { claimed, add, statements };
};

describe('claiming', () => {
  it('waits for nothing while events come one by one', async () => {
    const { add, statements } = given(LONG_MS);
    for (const [n, hash] of ['a', 'b', 'c'].entries()) {
      add(hash);
      await statements(n + 1);
    }
    expect(await statements(3)).toEqual([['a'], ['b'], ['c']]);
  });

  it('has a pace when they come together, and takes along what comes meanwhile', async () => {
    const { add, statements, claimed } = given(30);
    const beforeMs = performance.now();
    add('a');
    add('b');
    await statements(1);
    add('c');
    setImmediate(() => add('d'));
    expect(await statements(2)).toEqual([['a', 'b'], ['c', 'd']]);
    expect(Number(claimed[1]?.atMs) - beforeMs).toBeGreaterThanOrEqual(30);
  });

  it('lets what is more than a statement holds follow at once', async () => {
    const { add, statements } = given(LONG_MS);
    for (let n = 0; n < 1_001; n++) add(String(n));
    expect((await statements(2)).map(({ length }) => length)).toEqual([1_000, 1]);
  });

  it('does not take the two halves of an Idempotency-Key for load', async () => {
    const { add, statements } = given(LONG_MS);
    add('key', 0);
    add('use', 0);
    await statements(1);
    add('event');
    expect(await statements(2)).toEqual([['key', 'use'], ['event']]);
  });
});
