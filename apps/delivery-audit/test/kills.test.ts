import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomInt } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { eventually } from '@posthorn/testkit';
import { expectedOf, historyOf } from './expected.js';
import type { TestRecord } from './records.js';
import type { Service } from './service.js';
import { World } from './world.js';

/** `POSTHORN_TEST_KILLS=50 npm test -- --only integration delivery-audit/test/kills` is the long run. */
const KILLS = Number(process.env['POSTHORN_TEST_KILLS'] ?? 3);
/** After it loads again, at most so much is written before it is killed: a moment anywhere in, before or after a transaction. */
const MOST_RECORDS = 60;

let world: World;

beforeAll(async () => {
  world = await World.create();
  await world.service.ready();
}, 60_000);
afterAll(() => world.close(), 60_000);

it(`of two that share the load, one or the other is killed ${KILLS} times while records come: the tables are what the records say`, async () => {
  const published: TestRecord[] = [];
  const publish = async (records: readonly TestRecord[]): Promise<void> => {
    published.push(...records);
    await world.publish(records);
  };
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
    if (kill % 2 === 0) await replicas[which]?.ready();
  }
  await Promise.all(replicas.map((replica) => replica.ready()));
  // Read again from where nobody knew any more that it was done, and here once more from the first on.
  await publish(published.slice(0, 100));

  const expected = await expectedOf(published);
  await eventually(async () => isDeepStrictEqual(await world.database.dump(), expected), { timeoutMs: 40_000, everyMs: 200 }).catch(() => undefined);
  expect(await world.database.dump()).toEqual(expected);
  await Promise.all(replicas.map((replica) => replica.stop()));
}, 90_000 + KILLS * 20_000);
