import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DomainEventRecord, RegistryState, SubscriptionView } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { Posthorn, type Subscription } from '../support/posthorn.js';

jest.setTimeout(180_000);

const SUBSCRIPTIONS = 12;
const RENAMED = ['once', 'twice', 'thrice'];

let posthorn: Posthorn;
let database: Client;

beforeAll(async () => {
  posthorn = await Posthorn.start('registry-crash');
  database = new Client(posthorn.databaseUrl);
  await database.connect();
});

afterAll(async () => {
  await database?.end();
  await posthorn?.close();
});

const registry = () => posthorn.services['subscription-registry'];
const path = (id: string): string => `/v1/tenants/default/subscriptions/${id}`;
const LOCK = `hashtextextended('registry.relay.registry', 0)`;

const storedEvents = async (): Promise<readonly { readonly stream: string; readonly version: number; readonly position: number }[]> => {
  const { rows } = await database.query<{ stream: string; version: number; position: string }>(
    'select stream, version, position from registry.events order by position',
  );
  return rows.map((row) => ({ ...row, position: Number(row.position) }));
};

/** The last value of each key, as a compacted topic keeps it. */
const lastByKey = <V>(records: readonly { readonly key: string; readonly value: V }[]): ReadonlyMap<string, V> =>
  new Map(records.map(({ key, value }) => [key, value]));

describe('a registry that is killed between storing and relaying', () => {
  let subscriptions: readonly Subscription[];
  let deleted: Subscription;

  beforeAll(async () => {
    subscriptions = await Promise.all(
      Array.from({ length: SUBSCRIPTIONS }, () => posthorn.subscribe({ url: 'http://127.0.0.1:9/', event_types: ['crash.*'] })),
    );
    deleted = await posthorn.subscribe({ url: 'http://127.0.0.1:9/', event_types: ['crash.*'] });

    // Whoever holds the relay's lock relays; while it is we, everything is stored and nothing goes out.
    await registry().end('SIGTERM');
    await database.query(`select pg_advisory_lock(${LOCK})`);
    await registry().start();
    const before = (await storedEvents()).length;
    const writes = [
      ...subscriptions.map(async ({ id }) => {
        for (const name of RENAMED) await posthorn.api.ask('PATCH', path(id), { name });
      }),
      posthorn.api.ask('DELETE', path(deleted.id)),
    ];
    // An answer waits for the relay, so that those under way are cut off by the kill: what they stored stays stored.
    const outcomes = Promise.allSettled(writes);
    await eventually(async () => (await storedEvents()).length >= before + SUBSCRIPTIONS + 1, {
      timeoutMs: 30_000,
      describe: 'the writes to be stored',
    });
    await registry().end('SIGKILL');
    await outcomes;
    await database.query(`select pg_advisory_unlock(${LOCK})`);
    await registry().start();
    const last = (await storedEvents()).at(-1)?.position ?? 0;
    await eventually(
      async () => (await posthorn.recordsOf<DomainEventRecord>('registry.log')).some(({ value }) => value?.position === last),
      { timeoutMs: 30_000, describe: 'the last event to be relayed' },
    );
  });

  it('loses no event, and relays those of an aggregate in their order', async () => {
    const stored = await storedEvents();
    const log = (await posthorn.recordsOf<DomainEventRecord>('registry.log')).flatMap(({ value }) => (value === null ? [] : [value]));
    expect(new Set(log.map(({ position }) => position))).toEqual(new Set(stored.map(({ position }) => position)));
    for (const stream of new Set(stored.map((event) => event.stream))) {
      // Relayed at least once: a repetition starts again from an earlier one, and never leaves one out.
      const versions = log.filter((event) => event.stream === stream).map(({ version }) => version);
      const firsts = [...new Set(versions)];
      expect(firsts).toEqual(firsts.map((_, n) => n + 1));
    }
  });

  it('brings registry.state to what the API shows', async () => {
    const states = lastByKey(await posthorn.recordsOf<RegistryState>('registry.state'));
    for (const { id } of subscriptions) {
      const view = await posthorn.api.get<SubscriptionView>(path(id));
      expect(states.get(id)).toMatchObject({ version: view.version, state: { name: view.name } });
      expect(RENAMED).toContain(view.name);
    }
    expect(states.get(deleted.id)).toBeNull();
  });

  it('goes on: a write is answered when it is in registry.state', async () => {
    const [first] = subscriptions;
    const { version } = await posthorn.api.ask<SubscriptionView>('PATCH', path(first?.id ?? ''), { name: 'after all' });
    expect(lastByKey(await posthorn.recordsOf<RegistryState>('registry.state')).get(first?.id ?? '')).toMatchObject({
      version,
      state: { name: 'after all' },
    });
  });
});
