import type { Following } from '@posthorn/kafka';
import { describe, expect, it } from '@jest/globals';
import { RegistryStateFeed, type FollowRegistryState } from './registry-state-feed.js';

const AT = '2026-01-02T03:04:05.678Z';
const SETTINGS = { schema_policy: 'warn', unknown_event_types: 'accept', retention_ms: 86_400_000 };

type StateRecord = Pick<Parameters<Parameters<FollowRegistryState>[0]>[0], 'key' | 'value' | 'headers'>;

const record = (id: string, state: object | null, kind = 'tenant', schema = '1', position = 1): StateRecord => ({
  key: Buffer.from(id),
  value: state && Buffer.from(JSON.stringify({ position: 1, version: 1, state })),
  headers: { schema: Buffer.from(schema), kind: Buffer.from(kind), position: Buffer.from(String(position)) },
});
const tenant = (id: string, schema = '1') =>
  record(id, { kind: 'tenant', id, name: id, settings: SETTINGS, created_at: AT, updated_at: AT }, 'tenant', schema);

/** A feed of a topic in which records appear when the test says so, and the tenants it told of. */
const given = async (pause: () => Promise<void> = () => Promise.resolve()) => {
  const unread: StateRecord[] = [];
  const log = { readings: 0, failures: 0 };
  const tenants = new Set<string>();
  const feed = new RegistryStateFeed(pause);
  feed.fold('tenant', { changed: ({ id }) => void tenants.add(id), removed: (id) => void tenants.delete(id) });
  const readers: ((one: StateRecord) => void)[] = [];
  const waiting: (() => void)[] = [];
  const apply = (one: StateRecord): void => readers.forEach((read) => read(one));
  await feed.start(async (onRecord) => {
    readers.push((one) => onRecord({ ...one, partition: 0, offset: '0', timestampMs: 0 }));
    return {
      caughtUp: new Promise<void>((resolve) => void waiting.push(resolve)),
      lag: 3,
      readToEnd: async () => {
        log.readings++;
        if (log.failures-- > 0) throw new Error('Kafka is away');
        const seen = unread.splice(0);
        await Promise.resolve();
        for (const one of seen) apply(one);
      },
      close: async () => undefined,
    } satisfies Following;
  });
  return { feed, tenants, unread, log, apply, catchUp: () => waiting.forEach((resolve) => resolve()) };
};

describe('the feed of registry.state', () => {
  it('tells each folder of the states of its kind, and of their end', async () => {
    const { tenants, apply } = await given();
    apply(tenant('acme'));
    apply(record('sub_1', { kind: 'subscription', id: 'sub_1', of: 'a version that we could not even read' }, 'subscription'));
    expect([...tenants]).toEqual(['acme']);
    apply(record('acme', null, 'subscription'));
    expect([...tenants]).toEqual(['acme']);
    apply(record('acme', null));
    expect([...tenants]).toEqual([]);
  });

  it('tells several folders of the same kind', async () => {
    const { feed, apply } = await given();
    const told: string[] = [];
    feed.fold('tenant', { changed: ({ name }) => void told.push(name), removed: (id) => void told.push(`no ${id}`) });
    apply(tenant('acme'));
    apply(record('acme', null));
    expect(told).toEqual(['acme', 'no acme']);
  });

  it('knows how far it has come, by all records there are', async () => {
    const { feed, apply } = await given();
    expect(feed.position).toBe(0);
    apply(record('acme', null, 'tenant', '1', 7));
    apply(record('sub_1', {}, 'subscription', '1', 9));
    expect(feed.position).toBe(9);
    apply(record('late', null, 'tenant', '1', 8));
    expect(feed.position).toBe(9);
  });

  it('knows when it has caught up', async () => {
    const { feed, catchUp } = await given();
    expect([feed.isCaughtUp, feed.lag]).toEqual([false, 3]);
    catchUp();
    await feed.caughtUp;
    expect(feed.isCaughtUp).toBe(true);
  });

  it('reads what was there at the question, also when a reading is under way', async () => {
    const { feed, tenants, unread } = await given();
    const early = feed.readFresh();
    await Promise.resolve();
    unread.push(tenant('late'));
    await early;
    expect(tenants.has('late')).toBe(false);
    await feed.readFresh();
    expect(tenants.has('late')).toBe(true);
  });

  it('reads once, however many ask', async () => {
    const { feed, log } = await given();
    await Promise.all(Array.from({ length: 1000 }, () => feed.readFresh()));
    expect(log.readings).toBe(1);
  });

  it('lets Kafka rest between two readings', async () => {
    const pauses: (() => void)[] = [];
    const { feed, log } = await given(() => new Promise((resolve) => void pauses.push(resolve)));
    await feed.readFresh();
    const answers = [feed.readFresh(), feed.readFresh()];
    await new Promise((resolve) => void setImmediate(resolve));
    expect(log.readings).toBe(1);
    for (const end of pauses) end();
    await Promise.all(answers);
    expect(log.readings).toBe(2);
  });

  it('can be asked again after Kafka was away', async () => {
    const { feed, tenants, unread, log } = await given();
    log.failures = 1;
    await expect(feed.readFresh()).rejects.toThrow('Kafka is away');
    unread.push(tenant('acme'));
    await feed.readFresh();
    expect(tenants.has('acme')).toBe(true);
  });

  it('refuses to guess what a newer version has written', async () => {
    const { apply } = await given();
    expect(() => apply(tenant('acme', '2'))).toThrow('schema version 2');
    expect(() => apply(record('acme', { kind: 'tenant', id: 'acme' }))).toThrow('settings');
  });
});
