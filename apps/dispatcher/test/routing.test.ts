import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startReceiver, type Receiver } from '@posthorn/testkit';
import { World } from './world.js';

jest.setTimeout(120_000);

const PARTITIONS = 12;
const idsOf = (count: number): string[] => Array.from({ length: count }, (_, n) => `sub_${String(n).padStart(32, '0')}`);

/** Each takes all the steps that a filter may. */
const hostile = (n: number): string => `data.list.exists(a, data.list.exists(b, data.list.exists(c, c < -${n + 1})))`;
const list = Buffer.from(JSON.stringify({ list: Array.from({ length: 100 }, (_, n) => n), amount: 7 }));

describe('an event to 10,000 subscriptions', () => {
  const ids = idsOf(10_000);
  let receiver: Receiver;
  let world: World;

  beforeAll(async () => {
    receiver = await startReceiver();
    world = await World.start('fan-out', 'router,sender,delay', (world) => {
      const state = world.subscription('');
      return ids.map((id) => ({ ...state, id, url: `${receiver.url}/${id}` }));
    });
  });

  afterAll(async () => {
    await world?.close();
    await receiver?.close();
  });

  it('is one request in each partition, one decision, and one HTTP request to each', async () => {
    await world.publishEvent('wide');
    const [decision, ...more] = await world.decisionOf('wide');
    expect(more).toEqual([]);
    expect(decision?.subscriptions.toSorted()).toEqual(ids);
    await receiver.received(ids.length, { timeoutMs: 60_000 });
    expect(receiver.requests.map(({ path }) => path.slice(1)).toSorted()).toEqual(ids);
    expect(world.requests.map(({ partition }) => partition).toSorted((a, b) => a - b)).toEqual(Array.from({ length: PARTITIONS }, (_, n) => n));
    expect(world.requests.flatMap(({ head }) => head.subscriptions).toSorted()).toEqual(ids);
  });
});

describe('a router', () => {
  const ids = idsOf(60_000);
  let world: World;

  beforeAll(async () => {
    world = await World.start('routing', 'router', (world) => {
      const state = world.subscription('');
      return [
        ...ids.map((id) => ({ ...state, id, tenant: 'wide' })),
        ...Array.from({ length: 300 }, (_, n) => ({ ...state, id: `hostile_${n}`, tenant: 'hostile', filter: hostile(n) })),
        { ...state, id: 'matches', filter: 'data.amount == 7' },
        { ...state, id: 'false', filter: 'data.amount == 8' },
        { ...state, id: 'failed', filter: 'data.absent == 8' },
        { ...state, id: 'disabled', enabled: false },
      ];
    });
  });

  afterAll(() => world?.close());

  it('takes an event of the largest size, in base64, to 60,000 subscriptions, in records that Kafka takes', async () => {
    await world.publishEvent('wide', { tenant: 'wide', datacontenttype: 'application/octet-stream', data: Buffer.alloc(900 * 1024, 0xff) });
    const parts = await world.decisionOf('wide');
    expect(parts).toHaveLength(2);
    expect(parts.flatMap(({ subscriptions }) => subscriptions).toSorted()).toEqual(ids);
    const requests = () => world.requests.filter(({ head }) => head.event.id === 'wide');
    const requested = await world.until(() => (requests().flatMap(({ head }) => head.subscriptions).length >= ids.length ? requests() : undefined), 'all requests');
    expect(requested.flatMap(({ head }) => head.subscriptions).toSorted()).toEqual(ids);
    expect(requested).toHaveLength(PARTITIONS);
  });

  it('says who nearly matched, and why', async () => {
    await world.publishEvent('near', { data: list });
    const [decision] = await world.decisionOf('near');
    expect(decision).toMatchObject({
      subscriptions: ['matches'],
      near: [
        { subscription: 'false', why: 'filter_false' },
        { subscription: 'failed', why: 'filter_failed' },
        { subscription: 'disabled', why: 'disabled' },
      ],
    });
  });

  it('lets the events of others pass while one tenant has it judge for seconds', async () => {
    const hostileIds = Array.from({ length: 60 }, (_, n) => `hostile-${n}`);
    await Promise.all(hostileIds.map((id) => world.publishEvent(id, { tenant: 'hostile', data: list })));
    await world.decisionOf('hostile-0');
    for (let n = 0; n < 5; n += 1) {
      await world.publishEvent(`beside-${n}`, { data: list });
      expect((await world.decisionOf(`beside-${n}`))[0]?.subscriptions).toEqual(['matches']);
    }
    expect(world.decisions.filter(({ tenant }) => tenant === 'hostile').length).toBeLessThan(hostileIds.length);
    for (const id of hostileIds) expect(await world.decisionOf(id)).toMatchObject([{ subscriptions: [] }]);
    expect(await world.metric('posthorn_router_near_matches_total{why="filter_budget"')).toBeGreaterThan(0);
    expect(await world.metric('posthorn_router_waiting_events')).toBe(0);
  });
});
