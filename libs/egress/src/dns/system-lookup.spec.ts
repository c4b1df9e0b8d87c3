import { describe, expect, it } from '@jest/globals';
import { SystemLookup, type Lookup } from './system-lookup.js';

const addresses = [{ address: '10.0.0.7', family: 4 }];

/** Calls that wait for the test to answer them. */
const heldLookup = () => {
  const calls: { readonly hostname: string; readonly answer: Parameters<Lookup>[1] }[] = [];
  const lookup: Lookup = (hostname, answer) => void calls.push({ hostname, answer });
  return { calls, lookup };
};

describe('the system is asked', () => {
  it('for two names at a time', async () => {
    const { calls, lookup } = heldLookup();
    const system = new SystemLookup(4_000, lookup);
    const answers = ['a', 'b', 'c'].map((name) => system.query(name));
    expect(calls.map(({ hostname }) => hostname)).toEqual(['a', 'b']);
    calls[1]?.answer(null, addresses);
    expect(calls.map(({ hostname }) => hostname)).toEqual(['a', 'b', 'c']);
    calls[0]?.answer(Object.assign(new Error('no'), { code: 'ENOTFOUND' }), []);
    calls[2]?.answer(null, addresses);
    expect(await Promise.allSettled(answers)).toMatchObject([
      { status: 'rejected', reason: { code: 'ENOTFOUND' } },
      { status: 'fulfilled', value: { addresses, ttlSeconds: 5 } },
      { status: 'fulfilled', value: { addresses } },
    ]);
  });

  it('until the time limit, also by those whose turn does not come; then their turn is over', async () => {
    const { calls, lookup } = heldLookup();
    const system = new SystemLookup(20, lookup);
    const answers = await Promise.allSettled(['a', 'b', 'c'].map((name) => system.query(name)));
    expect(answers).toMatchObject(Array.from({ length: 3 }, () => ({ status: 'rejected', reason: { code: 'ETIMEOUT' } })));
    const late = system.query('d');
    calls[0]?.answer(null, addresses);
    expect(calls.map(({ hostname }) => hostname)).toEqual(['a', 'b', 'd']);
    calls[2]?.answer(null, addresses);
    await late;
  });
});
