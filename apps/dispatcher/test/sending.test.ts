import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { partitionOf, type SubscriptionState } from '@posthorn/contracts';
import { startReceiver, type Receiver } from '@posthorn/testkit';
import { World } from './world.js';

jest.setTimeout(120_000);

const PARTITIONS = 12;
const LONGEST_TIMEOUT_MS = 30_000;
const policy: SubscriptionState['policy'] = { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0 };

/** Ids that share a partition, and with it a window. */
const idsOfOnePartition = (count: number): string[] => {
  const ids: string[] = [];
  for (let n = 0; ids.length < count; n += 1) {
    const id = `sub_${String(n).padStart(32, '0')}`;
    if (partitionOf(id, PARTITIONS) === 0) ids.push(id);
  }
  return ids;
};

const [hanging = '', limited = '', failing = '', ...quick] = idsOfOnePartition(33);

let receiver: Receiver;
/** Takes requests and never answers. */
let hanger: Server;
const unanswered: IncomingMessage[] = [];
let world: World;

beforeAll(async () => {
  receiver = await startReceiver();
  hanger = createServer((request) => void unanswered.push(request));
  await new Promise<void>((listening) => void hanger.listen(0, '127.0.0.1', listening));
  const { port } = hanger.address() as AddressInfo;
  world = await World.start('sending', 'router,sender,delay', (world) => {
    const to = (id: string, type: string, more: Partial<SubscriptionState['policy']> = {}, url = receiver.url): SubscriptionState =>
      world.subscription(id, { url: `${url}/${id}`, event_types: [type], policy: { ...policy, ...more } });
    return [
      to(hanging, 'flood', { timeout_ms: LONGEST_TIMEOUT_MS }, `http://127.0.0.1:${port}`),
      to(limited, 'limited', { rate_limit: { per_second: 20, burst: 5 } }),
      to(failing, 'failing', { retry_schedule_ms: [1_000, 1_000, 1_000], timeout_ms: 1_000 }),
      ...quick.map((id) => to(id, 'quick')),
    ];
  });
});

afterAll(async () => {
  hanger?.closeAllConnections();
  hanger?.close();
  await receiver?.close();
  await world?.close();
});

const requestsTo = (id: string) => receiver.requests.filter(({ path }) => path === `/${id}`);
const publish = (type: string, count: number, { data, from = 0 }: { data?: Buffer; from?: number } = {}): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, (_, n) => world.publishEvent(`${type} ${from + n}`, { type, ...(data && { data }) })));
const postponed = (cause: string): Promise<number> => world.metric(`posthorn_sender_postponed_total{cause="${cause}"`);

describe('a subscriber that hangs', () => {
  it('holds up nobody of its partition, though more comes for it than the window holds', async () => {
    const large = Buffer.from(JSON.stringify('x'.repeat(20_000)));
    await publish('flood', 1_500, { data: large });
    const publishedMs = Date.now();
    await publish('quick', 20);
    await world.until(() => (receiver.requests.filter(({ path }) => quick.includes(path.slice(1))).length === 20 * quick.length ? true : undefined), 'the quick ones');
    expect(Date.now() - publishedMs).toBeLessThan(LONGEST_TIMEOUT_MS / 2);
    expect(unanswered).toHaveLength(policy.max_concurrency);
    // What came by other partitions of the events may be behind the quick ones.
    await world.until(async () => (await postponed('slow')) > 1_000 || undefined, 'most of the flood to be put off');
  });
});

describe('a rate limit of 20 a second, 5 at once', () => {
  it('holds for every span of time, and what comes over is sent later at that rate, each once', async () => {
    const COUNT = 120;
    await publish('limited', COUNT);
    const outcomes = await world.until(() => {
      const known = world.outcomes.filter(({ subscription_id }) => subscription_id === limited);
      return known.length >= COUNT ? known : undefined;
    }, 'the limited ones');
    expect(new Set(requestsTo(limited).map(({ headers }) => headers['webhook-id'])).size).toBe(COUNT);
    expect(outcomes.filter(({ status, number, trigger }) => status === 'delivered' && number === 1 && trigger === 'first')).toHaveLength(COUNT);
    expect(await postponed('rate_limit')).toBeGreaterThan(50);
    // By the sender's clock: a receiver on a busy machine sees them when it gets round to it. What a request takes to be made is the tolerance.
    const startsMs = outcomes.map(({ attempt }) => Date.parse(String(attempt?.started_at))).toSorted((a, b) => a - b);
    for (const [i, fromMs] of startsMs.entries()) {
      for (const [n, atMs] of startsMs.slice(i).entries()) expect(n + 1).toBeLessThanOrEqual(5 + (atMs - fromMs + 10) / 50);
    }
    expect(Number(startsMs.at(-1)) - Number(startsMs[0])).toBeLessThan(2 * ((COUNT - 5) / 20) * 1_000);
  });
});

describe('a subscriber that fails', () => {
  it('is left alone for five seconds after ten failures, then probed, and gets everything once it works', async () => {
    const FAILURES = 10;
    const EVENTS = 25;
    receiver.replyAt(`/${failing}`, { status: 500 });
    await publish('failing', FAILURES);
    await world.until(() => (requestsTo(failing).length === FAILURES ? true : undefined), 'ten failures');
    receiver.replyAt(`/${failing}`, { status: 200 });
    await publish('failing', EVENTS - FAILURES, { from: FAILURES });
    const all = await world.until(() => (requestsTo(failing).length >= FAILURES + EVENTS ? requestsTo(failing) : undefined), 'everything');
    const delivered = all.slice(FAILURES);
    expect(Number(delivered[0]?.atMs) - Number(all[FAILURES - 1]?.atMs)).toBeGreaterThan(3_500);
    expect(new Set(delivered.map(({ headers }) => headers['webhook-id'])).size).toBe(EVENTS);
    // Of this one alone: the receiver that hangs may have had its thirty seconds by now.
    expect(world.breakerOf(failing)).toEqual(['open', 'half_open', 'closed']);
    for (const to of ['open', 'half_open', 'closed']) expect(await world.metric(`posthorn_breaker_transitions_total{to="${to}"`)).toBeGreaterThanOrEqual(1);
  });
});
