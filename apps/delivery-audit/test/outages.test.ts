import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { closedWhenSilent } from '@posthorn/event-store';
import { eventually, Way } from '@posthorn/testkit';
import { Client } from 'pg';
import { foldsOf } from '../src/loading/folds.js';
import { Intake } from '../src/loading/intake.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfRouted } from '../src/loading/records.js';
import { createPartitions, statisticsTables } from '../src/loading/partitions.js';
import { writeDeltas } from '../src/statistics/deltas.js';
import { Folder } from '../src/statistics/folder.js';
import { Tally } from '../src/statistics/tally.js';
import type { TestDatabase } from './database.js';
import { expectedOf, historyOf } from './expected.js';
import { accepted, attempted, envelopeOf, outcomeOf, routed, type TestRecord } from './records.js';
import { World } from './world.js';

const KIB = 1024;
const NOON = '2026-11-20T12:00:00.000Z';

let world: World;
let way: Way;
let databaseUrl: string;

beforeAll(async () => {
  world = await World.create(async (straight) => {
    const url = new URL(straight);
    way = new Way({ host: url.hostname, port: Number(url.port) });
    url.host = `127.0.0.1:${await way.open()}`;
    return (databaseUrl = url.href);
  });
  await world.service.ready();
}, 60_000);
afterEach(() => way.open());
afterAll(async () => {
  await world.close();
  await way.cut();
}, 60_000);

const readiness = async () => JSON.parse((await world.service.get('/readyz')).text) as { status: string; reasons?: { name: string; reason: string }[] };
const isAway = async (): Promise<boolean> => (await readiness()).reasons?.some(({ name, reason }) => name === 'database' && reason !== '') === true;

/** The tables when as much is in them as is to be. */
const tablesOnceFull = async (expected: Awaited<ReturnType<typeof expectedOf>>): ReturnType<TestDatabase['dump']> => {
  await world.service.ready();
  await eventually(async () => isDeepStrictEqual(await world.database.dump(), expected), { timeoutMs: 30_000, everyMs: 100 }).catch(() => undefined);
  return world.database.dump();
};

const published: TestRecord[] = [];

/** Records come all the time, before, while and after something happens. */
const underLoad = async (name: string, happening: () => Promise<void>): Promise<void> => {
  const records = historyOf({ from: NOON, spanMs: 60_000, events: 30, name });
  const parts = [0, 1, 2].map((part) => records.filter((_, index) => index % 3 === part));
  await world.publish(parts[0] ?? []);
  const [during] = await Promise.all([world.publish(parts[1] ?? []), happening()]);
  await world.publish(parts[2] ?? []);
  published.push(...records);
  return during;
};

describe('while PostgreSQL', () => {
  it('is away nothing is lost: the audit says so, answers 503, stays, and catches up', async () => {
    await underLoad('away', async () => {
      await way.cut();
      await eventually(isAway);
      const answers = await Promise.all(['events', 'deliveries', 'rejected-events'].map((list) => world.service.get(`/v1/tenants/default/${list}`)));
      for (const answer of answers) {
        expect(answer).toMatchObject({ status: 503, body: { code: 'unavailable' } });
        expect([answer.headers.get('content-type'), answer.headers.get('retry-after')]).toEqual([expect.stringContaining('application/problem+json'), '1']);
      }
    });
    expect(await isAway()).toBe(true);
    await way.open();
    const expected = await expectedOf(published);
    expect(await tablesOnceFull(expected)).toEqual(expected);
  }, 60_000);

  it('says nothing any more it is the same, and when it speaks again everything goes on', async () => {
    await underLoad('dumb', async () => {
      way.stop();
      await eventually(isAway);
    });
    await way.open();
    const expected = await expectedOf(published);
    expect(await tablesOnceFull(expected)).toEqual(expected);
  }, 60_000);

  it('says nothing until its connections are lost, others are made', async () => {
    await underLoad('lost', async () => {
      way.stop();
      await eventually(isAway);
      await way.cut();
    });
    await way.open();
    const expected = await expectedOf(published);
    expect(await tablesOnceFull(expected)).toEqual(expected);
  }, 60_000);
});

/** The states of all loaders' sessions, or of all folders', as PostgreSQL sees them. */
const sessions = async (of: 'loader' | 'statistics'): Promise<readonly (string | null)[]> => {
  const rows = await world.database.query<{ state: string | null }>(
    `select case when wait_event_type = 'Lock' then 'waits' else state end as state from pg_stat_activity where datname = current_database() and application_name like '%' || $1`,
    [of],
  );
  return rows.map(({ state }) => state);
};

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, fatal: () => undefined };

const rowsOfEvent = (id: string) => rowsOfAccepted(accepted(envelopeOf(id, NOON)).value);

describe('a connection that says nothing any more', () => {
  it('is closed by who reads: its question fails, and the next one gets another', async () => {
    const client = new Client({ connectionString: databaseUrl, stream: closedWhenSilent(300) });
    client.on('error', () => undefined);
    await client.connect();
    await client.query('select 1');
    way.stop();
    await expect(client.query('select 1')).rejects.toThrow('Connection terminated: silent for 300 ms');
  }, 30_000);

  it('is given up by the loader', async () => {
    const loader = new Loader(databaseUrl, { statementTimeoutMs: 300 });
    await loader.load(rowsOfEvent('before'));
    way.stop();
    await expect(loader.load(rowsOfEvent('while'))).rejects.toThrow('Query read timeout');
    await way.open();
    await loader.load(rowsOfEvent('while'));
    await loader.close();
    // What was on its way is executed when it arrives, before or after it is loaded again: once.
    await eventually(async () => (await world.database.query(`select from pg_stat_activity where datname = current_database() and application_name like '%loader' and state <> 'idle'`)).length === 0);
    expect(await world.database.query(`select count(*)::integer from audit.events where id = 'while'`)).toEqual([{ count: 1 }]);
    published.push(accepted(envelopeOf('before', NOON)), accepted(envelopeOf('while', NOON)));
  }, 30_000);

  it('amid a transaction holds nobody up who writes the same rows, for longer than PostgreSQL waits for it', async () => {
    const event = envelopeOf('held up', NOON);
    const [decided, told] = [routed(event, ['sub_1']), attempted(outcomeOf(event, 'sub_1'))];
    const gone = new Loader(databaseUrl, { idleTimeoutMs: 500 });
    await gone.load(rowsOfRouted(decided.value));
    const gate = new Client({ connectionString: world.database.url });
    await gate.connect();
    await gate.query(`begin; select from audit.deliveries where event_id = 'held up' for update`);
    const lost = gone.load(rowsOfAttempted(told.value)).catch((error: unknown) => error);
    await eventually(async () => (await sessions('loader')).includes('waits'));
    way.stop();
    await gate.query('commit');
    await gate.end();
    // Its rows are written and not committed: the rest of the transaction is not on its way.
    await eventually(async () => (await sessions('loader')).includes('idle in transaction'));
    const heir = new Loader(world.database.url);
    expect(await heir.load(rowsOfAttempted(told.value))).toMatchObject({ deliveries: 1, attempts: 1 });
    await way.cut();
    expect(await lost).toBeInstanceOf(Error);
    await Promise.all([heir.close(), gone.close()]);
    published.push(decided, told);
  }, 30_000);

  it('amid a folding holds up no statistics for longer than that', async () => {
    const gate = new Client({ connectionString: world.database.url });
    await gate.connect();
    await createPartitions(gate, 'audit', NOON.slice(0, 10), statisticsTables);
    const tally = new Tally();
    tally.addAttempt({ tenant: 'default', subscription_id: 'sub_1' }, { status: 'delivered', duration_ms: 5, error_code: null, started_at: NOON });
    await writeDeltas(gate, 'audit', tally);
    await gate.query('begin; lock table audit.statistics_hours in exclusive mode');
    const gone = new Folder({ databaseUrl, log: silent, idleTimeoutMs: 500 });
    const lost = gone.foldAll().catch((error: unknown) => error);
    await eventually(async () => (await sessions('statistics')).includes('waits'));
    way.stop();
    await gate.query('commit');
    await eventually(async () => (await sessions('statistics')).includes('idle in transaction'));
    const heir = new Folder({ databaseUrl: world.database.url, log: silent });
    await heir.foldAll();
    expect(await world.database.query('select from audit.statistics_deltas')).toEqual([]);
    await way.cut();
    expect(await lost).toBeInstanceOf(Error);
    await Promise.all([heir.close(), gone.close(), gate.end()]);
  }, 30_000);
});

it('what waits for PostgreSQL is bounded, however much there is in Kafka', async () => {
  const windowBytes = 256 * KIB;
  const large = Array.from({ length: 160 }, (_, i) => accepted(envelopeOf(`large ${i}`, NOON), JSON.stringify({ filling: 'x'.repeat(100 * KIB) })));
  await world.publish(large);
  let isBack = false;
  let tries = 0;
  const written = new Set<string>();
  const intake = new Intake({
    folds: foldsOf(world.kafka),
    load: async (rows) => {
      tries += 1;
      if (!isBack) throw new Error('away');
      for (const { id } of rows.events) written.add(id);
      return { events: 0, decisions: 0, deliveries: 0, attempts: 0, rounds: 0, cancellations: 0, rejected_events: 0, duplicates: 0, configuration: 0 };
    },
    log: silent,
    onUnfoldable: (error) => expect(error).toBeUndefined(),
  });
  const consumption = await world.kafka.consume({
    groupId: `${world.topicPrefix}.bounded`,
    topics: [world.kafka.topic('events.accepted')],
    windowBytes,
    totalBytes: windowBytes,
    onRecord: (record) => intake.add(record),
  });
  await eventually(() => tries >= 4);
  const waiting = consumption.inFlightBytes;
  // The window, and of each of the three partitions one fetch of at most 1 MiB.
  expect([waiting > windowBytes, waiting < windowBytes + 3 * 1024 * KIB + 300 * KIB]).toEqual([true, true]);
  await eventually(() => tries >= 5);
  expect(consumption.inFlightBytes).toBe(waiting);
  isBack = true;
  await eventually(() => large.every((_, i) => written.has(`large ${i}`)));
  intake.close();
  await consumption.close();
}, 60_000);
