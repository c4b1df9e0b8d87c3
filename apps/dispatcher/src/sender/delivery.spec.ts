import { describe, expect, it } from '@jest/globals';
import type { RequestedHead } from '@posthorn/contracts';
import type { Recipe } from '@posthorn/egress';
import { Request } from './delivery.js';

const head: RequestedHead = {
  event: { specversion: '1.0', id: 'e', tenant: 't', type: 'a', source: '/', time: '2026-03-04T05:06:07Z', acceptedtime: '2026-03-04T05:06:07Z' },
  subscriptions: ['sub_a'],
  position: 0,
  round: 0,
  number: 1,
  trigger: 'first',
};

const request = () => new Request({ partition: 0, offset: '0', value: null, revoked: false, done: () => undefined }, head, Buffer.alloc(0));

/** Recipes whose bodies have so many bytes, and how often one was made. */
const recipes = (bytes: number) => {
  const made: string[] = [];
  const of = (key: string): Recipe => ({
    key,
    make: () => {
      made.push(key);
      return { contentType: 'application/json', body: Buffer.alloc(bytes) };
    },
  });
  return { made, of };
};

describe('the payloads of a request', () => {
  it('are made once for each recipe', () => {
    const { made, of } = recipes(1_000);
    const shared = request();
    const [first] = ['a', 'b', 'a', 'b'].map((key) => shared.payload(of(key)));
    expect(made).toEqual(['a', 'b']);
    expect(shared.payload(of('a'))).toBe(first);
  });

  it('are kept up to 4 MiB, those made last', () => {
    const { made, of } = recipes(1024 * 1024);
    const shared = request();
    for (const key of ['a', 'b', 'c', 'd', 'e', 'e', 'b']) shared.payload(of(key));
    expect(made).toEqual(['a', 'b', 'c', 'd', 'e']);
    shared.payload(of('a'));
    shared.payload(of('b'));
    expect(made.slice(5)).toEqual(['a', 'b']);
  });

  it('may each be larger', () => {
    const { made, of } = recipes(5 * 1024 * 1024);
    const shared = request();
    for (const key of ['a', 'a']) expect(shared.payload(of(key))).toHaveProperty('body.length', 5 * 1024 * 1024);
    expect(made).toEqual(['a', 'a']);
  });
});
