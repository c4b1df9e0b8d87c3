import { describe, expect, it } from '@jest/globals';
import type { AggregateState } from '@posthorn/contracts';
import { RegistryFeed } from './registry-feed.js';

const feedWith = () => {
  const seen: string[] = [];
  const ends: (() => void)[] = [];
  const listener = { changed: ({ id }: AggregateState) => seen.push(`+${id}`), removed: (id: string) => seen.push(`-${id}`) };
  const feed = new RegistryFeed([listener], () => new Promise((resolve) => ends.push(resolve)));
  const record = (position: number, id: string, value: object | null = { state: { kind: 'tenant', id } }) =>
    feed.apply({
      key: Buffer.from(id),
      value: value && Buffer.from(JSON.stringify(value)),
      headers: { position: Buffer.from(String(position)) },
    });
  return { feed, seen, record, ends };
};

describe('the registry feed', () => {
  it('tells its listeners of changes and removals', () => {
    const { feed, seen, record } = feedWith();
    record(1, 'a');
    record(2, 'a', null);
    expect(seen).toEqual(['+a', '-a']);
    expect(feed.position).toBe(2);
  });

  it('runs at once what needs no more than has been read', () => {
    const { feed, seen, record } = feedWith();
    record(5, 'a');
    feed.whenReached(5, () => seen.push('run'));
    expect(seen).toEqual(['+a', 'run']);
  });

  it('holds back what needs more, and everything after it, until it has been read', () => {
    const { feed, seen, record } = feedWith();
    record(1, 'a');
    feed.whenReached(3, () => seen.push('needs 3'));
    feed.whenReached(1, () => seen.push('needs 1'));
    record(2, 'b');
    expect(seen).toEqual(['+a', '+b']);
    record(3, 'c');
    expect(seen).toEqual(['+a', '+b', '+c', 'needs 3', 'needs 1']);
  });

  it('does not wait for a position that is not in the topic at all', async () => {
    const { feed, seen, ends } = feedWith();
    feed.whenReached(1_000_000, () => seen.push('run'));
    expect(seen).toEqual([]);
    ends[0]?.();
    await Promise.resolve();
    expect(seen).toEqual(['run']);
  });
});
