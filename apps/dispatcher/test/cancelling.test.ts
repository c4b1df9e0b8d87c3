import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deliveryId, type SubscriptionState } from '@posthorn/contracts';
import { World } from './world.js';

jest.setTimeout(60_000);

const RETRY_MS = 2_000;
/** Time enough for a cancellation to come before the attempt, and not after it. */
const LATER_MS = 5_000;
const policy: SubscriptionState['policy'] = { timeout_ms: 30_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0, retry_schedule_ms: [RETRY_MS, RETRY_MS] };

let world: World;
let server: Server;
/** Ids of events, as they were received. */
let received: string[];
/** What is answered to an event; "held": nothing until "answer" is called. */
let statuses: Map<string, number | 'held'>;
let held: Map<string, ServerResponse>;

const answer = (id: string, status: number): void => void held.get(id)?.writeHead(status).end();
const requestsOf = (id: string): number => received.filter((each) => each === id).length;
const isReceived = (id: string, times = 1): Promise<unknown> => world.until(() => requestsOf(id) >= times || undefined, `request ${times} of ${id}`);
const cancelledSoFar = (): Promise<number> => world.metric('posthorn_sender_cancelled_total');
const outcomesOf = (id: string) => world.outcomes.filter(({ event_id }) => event_id === id).map(({ round, number, trigger, status }) => `${round}/${number} ${trigger} ${status}`);

/** Cancels it, and waits until it has come to its end for that. */
const cancel = async (id: string, subscription: string): Promise<void> => {
  const before = await cancelledSoFar();
  await world.cancel(id, subscription);
  await world.until(async () => (await cancelledSoFar()) > before || undefined, `${id} to end`);
};

beforeAll(async () => {
  server = createServer((request, response) => {
    const id = String(request.headers['webhook-id']);
    received.push(id);
    const status = statuses.get(id) ?? 200;
    if (status === 'held') held.set(id, response);
    else request.resume().on('end', () => void response.writeHead(status).end());
  });
  await new Promise<void>((listening) => void server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  world = await World.start('cancelling', 'router,sender,delay', (world) => [
    world.subscription('sub_plain', { url, event_types: ['plain'], policy }),
    world.subscription('sub_later', { url, event_types: ['later'], policy: { ...policy, retry_schedule_ms: [LATER_MS] } }),
    world.subscription('sub_single', { url, event_types: ['single'], policy: { ...policy, max_concurrency: 1 } }),
    world.subscription('sub_limited', { url, event_types: ['limited'], policy: { ...policy, rate_limit: { per_second: 0.5, burst: 1 } } }),
    world.subscription('sub_ordered', { url, event_types: ['ordered'], policy: { ...policy, ordering: 'by_key', retry_schedule_ms: [600_000] } }),
  ]);
});

beforeEach(() => {
  received = [];
  statuses = new Map();
  held = new Map();
});

afterAll(async () => {
  await world?.close();
  server?.closeAllConnections();
  server?.close();
});

describe('a delivery that its user cancels', () => {
  it('comes back from the wheel and is not attempted any more', async () => {
    statuses.set('w1', 500);
    await world.publishEvent('w1', { type: 'later' });
    await world.until(() => outcomesOf('w1').length > 0 || undefined, 'the first failure');
    await cancel('w1', 'sub_later');
    expect([requestsOf('w1'), outcomesOf('w1')]).toEqual([1, ['0/1 first retrying']]);
  });

  it('is not attempted when its turn comes in its lane', async () => {
    statuses.set('q1', 'held');
    await world.publishEvent('q1', { type: 'single' });
    await isReceived('q1');
    await world.publishEvent('q2', { type: 'single' });
    await world.until(async () => (await world.metric('posthorn_sender_lanes{state="waiting"')) > 0 || undefined, 'q2 to wait');
    const known = (): Promise<number> => world.metric('posthorn_sender_cancellations');
    const knownBefore = await known();
    await world.cancel('q2', 'sub_single');
    await world.until(async () => (await known()) > knownBefore || undefined, 'it to be known');
    const before = await cancelledSoFar();
    answer('q1', 200);
    await world.until(async () => (await cancelledSoFar()) > before || undefined, 'q2 to end');
    await world.publishEvent('q3', { type: 'single' });
    await isReceived('q3');
    expect([requestsOf('q2'), outcomesOf('q2')]).toEqual([0, []]);
  });

  it('lets its key go on at once, though it was to be tried again in ten minutes', async () => {
    statuses.set('o1', 500);
    await world.publishEvent('o1', { type: 'ordered', partitionkey: 'k' });
    await world.until(() => outcomesOf('o1').length > 0 || undefined, 'the first failure');
    await world.publishEvent('o2', { type: 'ordered', partitionkey: 'k' });
    await world.publishEvent('o3', { type: 'ordered', partitionkey: 'k' });
    const waiting = () => world.postponed.filter(({ event_id }) => event_id.startsWith('o'));
    await world.until(() => waiting().length >= 2 || undefined, 'two to wait');
    expect(waiting().map(({ event_id, cause, behind }) => [event_id, cause, behind])).toEqual(
      ['o2', 'o3'].map((id) => [id, 'ordered', deliveryId('default', 'o1', 'sub_ordered')]),
    );
    await world.cancel('o2', 'sub_ordered');
    await cancel('o1', 'sub_ordered');
    await isReceived('o3');
    await world.until(async () => ((await world.metric('posthorn_sender_backlog_deliveries')) === 0 ? true : undefined), 'the backlog to be empty');
    expect([requestsOf('o1'), requestsOf('o2')]).toEqual([1, 0]);
  });

  it('is known to who has the partition next, before anything of it is attempted', async () => {
    statuses.set('o4', 500);
    await world.publishEvent('o4', { type: 'ordered', partitionkey: 'l' });
    await world.until(() => outcomesOf('o4').length > 0 || undefined, 'the first failure');
    await world.publishEvent('o5', { type: 'ordered', partitionkey: 'l' });
    await world.until(() => world.postponed.some(({ event_id }) => event_id === 'o5') || undefined, 'it to wait');
    await world.whileNobodySends(() => world.cancel('o4', 'sub_ordered'));
    await isReceived('o5');
    expect(requestsOf('o4')).toBe(1);
  });
});

describe('a round that was asked for', () => {
  it('is sent, retried and recorded as that round, written once or twice', async () => {
    await world.publishEvent('r1', { type: 'plain' });
    await isReceived('r1');
    statuses.set('r1', 500);
    await Promise.all([world.publishRound('r1', 'sub_plain', 1), world.publishRound('r1', 'sub_plain', 1)]);
    await isReceived('r1', 3);
    statuses.set('r1', 200);
    await world.until(() => outcomesOf('r1').includes('1/2 retry delivered') || undefined, 'its end');
    expect(outcomesOf('r1')[0]).toBe('0/1 first delivered');
    expect(new Set(outcomesOf('r1'))).toEqual(new Set(['0/1 first delivered', '1/1 redeliver retrying', '1/2 retry delivered']));
    expect(world.outcomes.find(({ event_id }) => event_id === 'r1')?.subscription_version).toBe(1);
  });

  it('stands behind what is under way for its key', async () => {
    statuses.set('s1', 'held');
    await world.publishEvent('s0', { type: 'ordered', partitionkey: 'm' });
    await isReceived('s0');
    await world.publishEvent('s1', { type: 'ordered', partitionkey: 'm' });
    await isReceived('s1');
    await world.publishRound('s0', 'sub_ordered', 1, Buffer.from('{}'), 'm');
    await world.publishEvent('s2', { type: 'ordered', partitionkey: 'm' });
    await world.publishEvent('t0', { type: 'ordered', partitionkey: 'n' });
    await isReceived('t0');
    answer('s1', 200);
    await isReceived('s2');
    expect(received.filter((id) => id.startsWith('s'))).toEqual(['s0', 's1', 's0', 's2']);
  });
});

describe('who is put off', () => {
  it('is told of, with the cause and the time', async () => {
    await world.publishEvent('l1', { type: 'limited' });
    await isReceived('l1');
    await world.publishEvent('l2', { type: 'limited' });
    const fact = await world.until(() => world.postponed.find(({ event_id }) => event_id === 'l2'), 'l2 to be put off');
    expect(fact).toMatchObject({ delivery_id: deliveryId('default', 'l2', 'sub_limited'), cause: 'rate_limit', round: 0, number: 1 });
    await isReceived('l2');
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(String(fact.until)));
  });
});
