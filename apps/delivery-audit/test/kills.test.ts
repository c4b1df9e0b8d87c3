import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Rounds, TopicName } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import type { TestDatabase } from './database.js';
import { expectedOf, historyOf } from './expected.js';
import { accepted, attempted, envelopeOf, outcomeOf, routed, type TestRecord } from './records.js';
import type { Service } from './service.js';
import { World } from './world.js';

/** `POSTHORN_TEST_KILLS=50 npm test -- --only integration delivery-audit/test/kills` is the long run. */
const KILLS = Number(process.env['POSTHORN_TEST_KILLS'] ?? 2);
/** A group waits ten seconds for a member that was killed: these are dear. */
const KILLS_OF_REPLAY = Math.ceil(KILLS / 2);
/** After it loads again, at most so much is written before it is killed: a moment anywhere in, before or after a transaction. */
const MOST_RECORDS = 60;

const REPLAYED = 200;

let world: World;
const published: TestRecord[] = [];

const publish = async (records: readonly TestRecord[]): Promise<void> => {
  published.push(...records);
  await world.publish(records);
};

/** The tables when they hold what these records say, or when that took too long. */
const tablesOnceAs = async (expected: Awaited<ReturnType<typeof expectedOf>>): ReturnType<TestDatabase['dump']> => {
  await eventually(async () => isDeepStrictEqual(await world.database.dump(), expected), { timeoutMs: 40_000, everyMs: 200 }).catch(() => undefined);
  return world.database.dump();
};

beforeAll(async () => {
  world = await World.create();
  await world.service.ready();
}, 60_000);
afterAll(() => world.close(), 60_000);

it(`of two that share the load, one or the other is killed ${KILLS} times while records come: the tables are what the records say`, async () => {
  // The first is the one that the world ends.
  const replicas: [Service, Service] = [world.service, world.start()];
  await replicas[1].ready();
  for (let kill = 1; kill <= KILLS; kill += 1) {
    const records = historyOf({ from: '2026-11-20T23:59:30.000Z', spanMs: 60_000, events: 30, name: `${kill} ` });
    const before = randomInt(Math.min(MOST_RECORDS, records.length));
    await publish(records.slice(0, before));
    const which = randomInt(2);
    const rest = publish(records.slice(before));
    await replicas[which]?.stop('SIGKILL');
    await rest;
    replicas[which] = world.start();
    // Else it is killed as it starts, now and then.
    if (kill % 2 === 1) await replicas[which]?.ready();
  }
  await Promise.all(replicas.map((replica) => replica.ready()));
  // Read again from where nobody knew any more that it was done, and here once more from the first on.
  await publish(published.slice(0, 100));

  const expected = await expectedOf(published);
  expect(await tablesOnceAs(expected)).toEqual(expected);
  await Promise.all(replicas.map((replica) => replica.stop()));
}, 90_000 + KILLS * 20_000);

const recordsOf = async (name: TopicName): Promise<TestRecord[]> => {
  const records: TestRecord[] = [];
  const following = await world.kafka.follow({ topic: world.kafka.topic(name), onRecord: ({ value }) => records.push({ topic: name, value: Buffer.from(value ?? '') }) });
  await following.caughtUp;
  await following.close();
  return records;
};

it('replayed while it is killed, every delivery gets one round more, and the history knows of each', async () => {
  let service = world.start();
  await service.ready();
  const subscription = { id: 'sub_1', tenant: 'default', name: 'sub_1', event_types: ['*'], enabled: true };
  const created = { stream: 'subscription/sub_1', version: 1, position: 1, type: 'SubscriptionCreated', data: subscription, actor: 'key_1', at: '2026-11-01T00:00:00.000Z' };
  const envelopes = Array.from({ length: REPLAYED }, (_, i) => envelopeOf(`replayed ${i}`, new Date(Date.parse('2026-11-18T12:00:00.000Z') + i).toISOString()));
  await publish([{ topic: 'registry.log', value: Buffer.from(JSON.stringify(created)) }]);
  await publish(envelopes.flatMap((envelope) => [accepted(envelope), routed(envelope, ['sub_1']), attempted(outcomeOf(envelope, 'sub_1'))]));

  const body = JSON.stringify({ from: '2026-11-18T00:00:00Z', to: '2026-11-19T00:00:00Z', rate: Math.ceil(REPLAYED / KILLS_OF_REPLAY) });
  const { status } = await service.ask('/v1/tenants/default/replays', { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  expect(status).toBe(202);
  const stand = async () => (await world.database.query<{ status: string; done: string }>('select status, done from replays.replays'))[0];
  for (let kill = 0; kill < KILLS_OF_REPLAY; kill += 1) {
    const reached = Number((await stand())?.done ?? 0);
    const isFurther = async (): Promise<boolean> => (await stand())?.status === 'done' || Number((await stand())?.done) > reached;
    await eventually(isFurther, { timeoutMs: 30_000, everyMs: randomInt(5, 50) });
    await service.stop('SIGKILL');
    service = world.start();
  }
  await eventually(async () => (await stand())?.status === 'done' && (await world.database.query('select from replays.outbox limit 1')).length === 0, { timeoutMs: 60_000 });

  const told = await recordsOf('deliveries.rounds');
  const rounds = told.flatMap(({ value }) => (JSON.parse(value.toString()) as Rounds).rounds).filter(({ trigger }) => trigger === 'replay');
  expect([new Set(rounds.map(({ delivery_id }) => delivery_id)).size, new Set(rounds.map(({ round }) => round))]).toEqual([REPLAYED, new Set([1])]);
  const expected = await expectedOf([...published, ...told]);
  expect(await tablesOnceAs(expected)).toEqual(expected);
}, 120_000 + KILLS * 20_000);
