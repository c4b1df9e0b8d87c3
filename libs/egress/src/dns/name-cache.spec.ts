import type { LookupAddress } from 'node:dns';
import { beforeEach, describe, expect, it } from '@jest/globals';
import { NameFailed, type NameRecord } from '../resolve.js';
import { NameCache } from './name-cache.js';

const address: LookupAddress = { address: '192.0.2.1', family: 4 };

let nowMs: number;
let asked: string[];
let answer: () => Promise<NameRecord>;
let cache: NameCache;

beforeEach(() => {
  nowMs = 0;
  asked = [];
  answer = () => Promise.resolve({ addresses: [address], ttlSeconds: 30 });
  const query = (hostname: string) => {
    asked.push(hostname);
    return answer();
  };
  cache = new NameCache({ query, nowMs: () => nowMs, maxNames: 3 });
});

/** How long a name is not asked for again, in milliseconds. */
const lifeOf = async (): Promise<number> => {
  await cache.resolve('a').catch(() => undefined);
  for (nowMs = 100; nowMs <= 120_000; nowMs += 100) {
    await cache.resolve('a').catch(() => undefined);
    if (asked.length > 1) return nowMs;
  }
  return Infinity;
};

describe('what is known of a name', () => {
  it.each([[0, 1_000], [1, 1_000], [30, 30_000], [60, 60_000], [86_400, 60_000]])('with a TTL of %i s is believed for %i ms', async (ttlSeconds, lifeMs) => {
    answer = () => Promise.resolve({ addresses: [address], ttlSeconds });
    expect(await lifeOf()).toBe(lifeMs);
  });

  it.each([['ENOTFOUND', 5_000], ['ENODATA', 5_000], ['ETIMEOUT', 1_000], ['ESERVFAIL', 1_000]])('if it is that it failed with %s is believed for %i ms', async (code, lifeMs) => {
    answer = () => Promise.reject(new NameFailed(code));
    expect(await lifeOf()).toBe(lifeMs);
    await expect(cache.resolve('a')).rejects.toMatchObject({ code });
  });

  it('is asked for once, whoever waits, however long it takes', async () => {
    const { promise, resolve: settle } = Promise.withResolvers<NameRecord>();
    answer = () => promise;
    const first = cache.resolve('a');
    nowMs = 3_600_000;
    const second = cache.resolve('a');
    settle({ addresses: [address], ttlSeconds: 1 });
    expect(await Promise.all([first, second])).toEqual([[address], [address]]);
    expect(asked).toEqual(['a']);
  });

  it('counts its life from the answer on', async () => {
    const { promise, resolve: settle } = Promise.withResolvers<NameRecord>();
    answer = () => promise;
    const first = cache.resolve('a');
    nowMs = 10_000;
    settle({ addresses: [address], ttlSeconds: 5 });
    await first;
    nowMs = 14_999;
    await cache.resolve('a');
    expect(asked).toHaveLength(1);
  });

  it('goes when there are too many names, that asked for first', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await cache.resolve(name);
    expect(cache.size).toBe(3);
    await cache.resolve('d');
    await cache.resolve('a');
    expect(asked).toEqual(['a', 'b', 'c', 'd', 'a']);
  });
});
