import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { SubscriptionState } from '@posthorn/contracts';
import { Client } from 'pg';
import { World } from './world.js';

jest.setTimeout(120_000);

type Body = { readonly key: string; readonly n: number };
type Request = Body & { readonly path: string; readonly status: number };

/** Digits last, so that an id sorts as it was published. */
const idOf = ({ key, n }: Body): string => `${key} ${n}`;

let world: World;
let server: Server;
/** As they were answered. */
const answered: Request[] = [];
/** In so many partitions that some of them go from sender to sender. */
const HANDED_OVER = ['sub_1', 'sub_2', 'sub_3', 'sub_4', 'sub_5', 'sub_6'];
const SLOW_MS = 100;
/** How often a request is still to be refused. */
const refusals = new Map<string, number>();

const policy: SubscriptionState['policy'] = {
  timeout_ms: 5_000,
  max_concurrency: 50,
  ordering: 'by_key',
  disable_after_ms: 0,
  retry_schedule_ms: Array.from({ length: 20 }, () => 1_000),
};

const answer = (body: Body): number => {
  const left = refusals.get(idOf(body)) ?? 0;
  refusals.set(idOf(body), left - 1);
  return left > 0 ? 500 : 200;
};

/** With a connection that is there when the database lets nobody in. */
const admin = async (sql: (name: string) => string): Promise<void> => {
  const name = new URL(world.databaseUrl).pathname.slice(1);
  const client = new Client({ connectionString: process.env['POSTHORN_DATABASE_URL'] });
  await client.connect();
  await client.query(sql(name)).finally(() => client.end());
};
const cutConnections = (): Promise<void> => admin((name) => `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
const letIn = (isLet: boolean): Promise<void> => admin((name) => `alter database ${name} allow_connections ${isLet}`);

const publish = ({ key, n }: Body, type = 'ordered'): Promise<void> =>
  world.publishEvent(idOf({ key, n }), { type, partitionkey: key, data: Buffer.from(JSON.stringify({ key, n })) });

/** One after the other, over all keys in turn. */
const publishAll = async (keys: readonly string[], count: number, from = 0): Promise<void> => {
  for (let n = from; n < from + count; n += 1) await Promise.all(keys.map((key) => publish({ key, n })));
};

/** By those whose partitions go from sender to sender. */
const takenThere = (): readonly Request[] => answered.filter(({ path, status }) => path !== '/' && status === 200);
const delivered = (key: string): number => new Set(answered.filter((each) => each.key === key && each.status === 200).map(({ n }) => n)).size;
const areDelivered = (keys: readonly string[], count: number): true | undefined => (keys.every((key) => delivered(key) === count) ? true : undefined);
const rows = async (): Promise<number> => (await world.metric('posthorn_sender_backlog_deliveries')) ?? 0;

/** No request was made before all that was published before it had been taken; and nothing is repeated behind what came after it. */
const expectOrder = (keys: readonly string[]): void => {
  for (const key of keys) {
    const requests = answered.filter((each) => each.key === key);
    const taken = new Set<number>();
    for (const { n, status } of requests) {
      for (let before = 0; before < n; before += 1) if (!taken.has(before)) throw new Error(`${key} ${n} came before ${before} was taken`);
      if (status === 200) taken.add(n);
    }
    const last = [...taken].toSorted((a, b) => a - b).map((n) => requests.findLastIndex((request) => request.n === n));
    expect(last).toEqual(last.toSorted((a, b) => a - b));
  }
};

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { data } = JSON.parse(Buffer.concat(chunks).toString()) as { data: Body };
      const path = request.url ?? '';
      const status = path === '/' ? answer(data) : answered.some((each) => each.path === path && each.key === data.key) ? 200 : 500;
      answered.push({ ...data, path, status });
      setTimeout(() => response.writeHead(status).end(), path === '/' ? 0 : SLOW_MS);
    });
  });
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  world = await World.start('ordering', 'router,sender,delay', (world) => [
    world.subscription('sub_ordered', { url: `http://127.0.0.1:${port}`, event_types: ['ordered'], policy }),
    ...HANDED_OVER.map((id) => world.subscription(id, { url: `http://127.0.0.1:${port}/${id}`, event_types: ['handed.over'], policy })),
    world.subscription('sub_given_up', { url: `http://127.0.0.1:${port}`, event_types: ['given.up'], policy: { ...policy, retry_schedule_ms: [600_000] } }),
  ]);
});

afterAll(async () => {
  await letIn(true);
  await world?.close();
  server?.closeAllConnections();
  server?.close();
});

describe('an ordered subscription', () => {
  it('gets each key as it was published, across retries, lost connections and a killed sender', async () => {
    const keys = Array.from({ length: 10 }, (_, n) => `k${n}`);
    const failing = keys.slice(0, 3);
    for (const key of failing) for (const n of [0, 5, 11, 17]) refusals.set(idOf({ key, n }), n === 5 ? 2 : 1);
    await publishAll(keys, 20);
    await world.until(() => areDelivered(keys.slice(3), 20), 'the keys that nothing is wrong with');
    expect(areDelivered(failing, 20)).toBeUndefined();
    await cutConnections();
    await world.until(() => (failing.every((key) => delivered(key) > 6) ? true : undefined), 'the failing ones to have come so far');
    await Promise.all([world.kill(), publishAll(keys, 5, 20)]);
    await world.until(() => areDelivered(keys, 25), () => `everything to be delivered: ${keys.map((key) => `${key} ${delivered(key)}`).join(', ')}`);
    expectOrder(keys);
    const ended = () => new Set(world.outcomes.filter(({ status }) => status === 'delivered').map(({ event_id }) => event_id));
    await world.until(() => (ended().size === 250 ? true : undefined), () => `all outcomes, of which there are ${ended().size}`);
  });

  it('has unblocked keys flow while PostgreSQL is away, and loses nothing of the others', async () => {
    refusals.set('blocked 0', 2);
    await publishAll(['blocked'], 1);
    await world.until(() => answered.find(({ key }) => key === 'blocked'), 'the first failure');
    await letIn(false);
    await cutConnections();
    await publishAll(['blocked'], 5, 1);
    await publishAll(['free'], 5);
    await world.until(() => areDelivered(['free'], 5), 'the key that is free');
    await world.until(async () => (await world.reasons()).find(({ name }) => name === 'database'), 'the sender to say that it is not ready');
    expect(delivered('blocked')).toBe(0);
    await letIn(true);
    await world.until(() => areDelivered(['blocked'], 6), 'the key that was blocked');
    expectOrder(['blocked', 'free']);
    await world.until(async () => ((await world.reasons()).length === 0 ? true : undefined), 'the sender to be ready again');
  });

  it('gets nothing twice of what waits in the backlog when its partitions go to another sender, and come back', async () => {
    const keys = ['h0', 'h1', 'h2'];
    const count = 60;
    for (let n = 0; n < count; n += 1) await Promise.all(keys.map((key) => publish({ key, n }, 'handed.over')));
    const until = (part: number): Promise<unknown> =>
      world.until(() => (takenThere().length > part * count * keys.length * HANDED_OVER.length ? true : undefined), () => `${part} to be taken; there are ${takenThere().length}`);
    await until(0.05);
    const second = await world.another('sender');
    await until(0.6);
    expect(await second.end('SIGTERM')).toBe(0);
    await until(0.999);
    await world.until(async () => ((await rows()) === 0 ? true : undefined), 'nothing to wait any more');
    expect(takenThere()).toHaveLength(count * keys.length * HANDED_OVER.length);
    expect(new Set(takenThere().map(({ path, key, n }) => `${path} ${key} ${n}`)).size).toBe(takenThere().length);
  });

  it('that is disabled has all that waits for it cancelled, at once', async () => {
    refusals.set('doomed 0', 100);
    await Promise.all(Array.from({ length: 300 }, (_, n) => publish({ key: 'doomed', n }, 'given.up')));
    await world.until(async () => ((await rows()) === 300 ? true : undefined), 'everything to wait');
    await world.publishState(world.subscription('sub_given_up', { event_types: ['given.up'], enabled: false, policy }));
    const cancelled = await world.until(() => {
      const outcomes = world.outcomes.filter(({ subscription_id, status }) => subscription_id === 'sub_given_up' && status === 'cancelled');
      return outcomes.length >= 300 ? outcomes : undefined;
    }, 'the cancellations');
    expect(new Set(cancelled.map(({ event_id, reason }) => `${event_id}: ${reason}`)).size).toBe(300);
    await world.until(async () => ((await rows()) === 0 ? true : undefined), 'the backlog to be empty');
  });
});
