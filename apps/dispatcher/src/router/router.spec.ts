import { describe, expect, it } from '@jest/globals';
import { recordSchemas, unframe, type RequestedHead, type Routed, type SubscriptionState } from '@posthorn/contracts';
import { partitionFrom } from '@posthorn/domain';
import { MAX_MESSAGE_BYTES, type OutgoingRecord } from '@posthorn/kafka';
import { RegistryFeed } from '../registry/registry-feed.js';
import { Calls, data, defaultPolicy, event, FakeRecord, subscription } from '../spec-support/records.js';
import { seeded } from '../spec-support/seeded.js';
import { Router } from './router.js';
import { SubscriptionTable } from './subscription-table.js';

const PARTITIONS = 4;

const routing = () => {
  const table = new SubscriptionTable((id) => id.length % 2);
  const feed = new RegistryFeed([table], () => new Promise(() => undefined));
  const apply = (position: number, state: SubscriptionState): void =>
    feed.apply({
      key: Buffer.from(state.id),
      value: Buffer.from(JSON.stringify({ state })),
      headers: { position: Buffer.from(String(position)) },
    });
  const learn = (position: number, id: string, ...event_types: string[]): void => apply(position, subscription(id, event_types));
  const sent = new Calls<OutgoingRecord>();
  /** A millisecond passes whenever it is looked at. */
  const clock = { nowMs: 0 };
  const turns: (() => void)[] = [];
  const counted: object[] = [];
  const nextTurn = (): boolean => {
    const run = turns.shift();
    run?.();
    return run !== undefined;
  };
  const router = new Router({
    table,
    feed,
    send: sent.call,
    topics: { routed: 'routed', requested: 'requested' },
    partitions: PARTITIONS,
    turns: { nowMs: () => clock.nowMs++, later: (run) => void turns.push(run) },
    decided: (matched, near) => void counted.push({ matched, ...near }),
    fatal: (error) => {
      throw error;
    },
  });
  const requests = (): { partition: number | undefined; head: RequestedHead; data: Buffer }[] =>
    sent.made
      .filter(({ topic }) => topic === 'requested')
      .map(({ partition, value }) => ({ partition, ...unframe<RequestedHead>(value as Buffer) }));
  const decisions = (): Routed[] => sent.made.filter(({ topic }) => topic === 'routed').map(({ value }) => JSON.parse(String(value)) as Routed);
  return { router, table, learn, apply, sent, requests, decisions, counted, nextTurn };
};

const accepted = (headers?: Record<string, string>): FakeRecord => new FakeRecord('events.accepted', event, headers && { headers });
const acceptedOf = (tenant: string, id: string): FakeRecord => new FakeRecord('events.accepted', { ...event, tenant, id });

describe('the router', () => {
  it('writes one request per partition, with the data as it came, and the decision once', () => {
    const { router, learn, requests, decisions } = routing();
    learn(1, 'a', '*');
    learn(2, 'b', 'invoice.*');
    learn(3, 'cc', 'invoice.paid');
    learn(4, 'dd', 'order.*');
    router.onRecord(accepted());
    expect(requests().map(({ partition, head }) => [partition, head.subscriptions.toSorted()])).toEqual([
      [0, ['cc']],
      [1, ['a', 'b']],
    ]);
    for (const request of requests()) {
      expect(request.data).toEqual(data);
      expect(request.head).toMatchObject({ event, position: 4, round: 0, number: 1, trigger: 'first' });
    }
    expect(decisions()).toMatchObject([{ event_id: 'evt_1', position: 4, accepted_at: event.acceptedtime }]);
    expect(decisions()[0]?.subscriptions.toSorted()).toEqual(['a', 'b', 'cc']);
  });

  it('writes records as the catalogue describes them', () => {
    const { router, learn, sent } = routing();
    learn(1, 'a', '*');
    router.onRecord(accepted());
    expect(sent.made.map(({ topic }) => topic).toSorted()).toEqual(['requested', 'routed']);
    for (const { topic, value } of sent.made) {
      recordSchemas[topic as 'requested' | 'routed'].strict().parse(JSON.parse(String(value))); // The topics' names above.
    }
  });

  it('states the decision also when nothing matched', () => {
    const { router, requests, decisions } = routing();
    router.onRecord(accepted());
    expect(requests()).toEqual([]);
    expect(decisions()).toMatchObject([{ event_id: 'evt_1', subscriptions: [] }]);
  });

  it('delivers to those whose filter the event passes, and states them alone', () => {
    const { router, apply, requests, decisions } = routing();
    apply(1, subscription('a', ['*'], { filter: 'data.a == 1 && event.type == "invoice.paid"' }));
    apply(2, subscription('b', ['*'], { filter: 'data.a > 1' }));
    apply(3, subscription('c', ['*'], { filter: 'data.missing == 1' }));
    apply(4, subscription('d', ['*'], { filter: 'no longer +' }));
    apply(5, subscription('ee', ['*'], { filter: 'data.a == 1 && event.type == "invoice.paid"' }));
    router.onRecord(accepted());
    expect(requests().map(({ head }) => head.subscriptions)).toEqual([['a'], ['ee']]);
    expect(requests()[0]?.data).toEqual(data);
    expect(decisions()[0]?.subscriptions).toEqual(['a', 'ee']);
  });

  it('is done at once with a record that holds no event', () => {
    const { router, sent } = routing();
    const record = accepted();
    router.onRecord({ ...record, value: null, done: () => record.done() });
    expect([record.timesDone, sent.made.length]).toEqual([1, 0]);
  });

  it('is done with an event only when everything it wrote is in Kafka', async () => {
    const { router, learn, sent } = routing();
    learn(1, 'a', '*');
    const record = accepted();
    router.onRecord(record);
    expect(record.timesDone).toBe(0);
    await sent.settleAll();
    expect(record.timesDone).toBe(1);
  });

  it('waits for the registry position that the publisher asked for', () => {
    const { router, learn, requests } = routing();
    learn(1, 'a', 'other');
    router.onRecord(accepted({ 'posthorn-registry-position': '2' }));
    expect(requests()).toEqual([]);
    learn(2, 'b', 'invoice.paid');
    expect(requests().map(({ head }) => head.subscriptions)).toEqual([['b']]);
  });

  it('spreads the deliveries of a subscription by the events that it gets', () => {
    const { router, apply, requests } = routing();
    apply(1, subscription('a', ['*'], { policy: { ...defaultPolicy, spread: 3 } }));
    const places = Array.from({ length: 60 }, (_, n) => {
      router.onRecord(acceptedOf('default', `evt_${n}`));
      const partition = requests().at(-1)?.partition;
      expect(partition).toBe(partitionFrom(1, 3, `evt_${n}`, PARTITIONS));
      return partition;
    });
    expect([...new Set(places)].toSorted()).toEqual([1, 2, 3]);
  });

  it('says who nearly matched, and why, and counts them', () => {
    const { router, apply, decisions, counted } = routing();
    apply(1, subscription('false', ['*'], { filter: 'data.a > 1' }));
    apply(2, subscription('failed', ['*'], { filter: 'data.missing == 1' }));
    apply(3, subscription('disabled', ['invoice.*'], { enabled: false, filter: 'data.a == 1' }));
    apply(4, subscription('another type', ['order.*'], { enabled: false }));
    apply(5, subscription('matches', ['*']));
    router.onRecord(accepted());
    expect(decisions()[0]).toMatchObject({
      subscriptions: ['matches'],
      near: [
        { subscription: 'false', why: 'filter_false' },
        { subscription: 'failed', why: 'filter_failed' },
        { subscription: 'disabled', why: 'disabled' },
      ],
    });
    expect(decisions()[0]).not.toHaveProperty('near_more');
    expect(counted).toEqual([{ matched: 1, filter_false: 1, filter_failed: 1, filter_budget: 0, disabled: 1 }]);
  });

  it('counts the near matches that it does not name', () => {
    const { router, apply, decisions } = routing();
    for (let n = 0; n < 130; n += 1) apply(n + 1, subscription(`s${n}`, ['*'], { enabled: false }));
    router.onRecord(accepted());
    expect(decisions()[0]?.near).toHaveLength(100);
    expect(decisions()[0]?.near_more).toBe(30);
  });

  it('writes a fan-out to 100,000 in a few records that Kafka takes, each subscription once', () => {
    const { router, table, requests, sent, decisions } = routing();
    const ids = Array.from({ length: 100_000 }, (_, n) => `sub_${String(n).padStart(32 - (n % 2), '0')}`);
    for (const id of ids) table.changed(subscription(id, ['invoice.paid']));
    router.onRecord(accepted());
    expect(requests().flatMap(({ head }) => head.subscriptions).toSorted()).toEqual(ids.toSorted());
    expect(decisions().flatMap(({ subscriptions }) => subscriptions).toSorted()).toEqual(ids.toSorted());
    expect(sent.made.length).toBeLessThanOrEqual(4);
    for (const { value } of sent.made) expect(Buffer.byteLength(value ?? '')).toBeLessThan(MAX_MESSAGE_BYTES);
  });
});

/** Each spends all that a filter may, on data of two members. */
const hostile = (n: number): string => `[0,1,2,3,4,5,6,7,8,9].map(a, [0,1,2,3,4,5,6,7,8,9].map(b, [0,1,2,3,4,5,6,7,8,9].map(c, ${'[0,1,2,3,4,5,6,7,8,9] + '.repeat(4)}[c]))).size() == ${n}`;

describe('when Kafka takes less than comes', () => {
  it('has 2 MiB on the way and one decision more at most, whatever the fan-out, and goes on in order as that arrives', async () => {
    const { router, learn, sent, decisions, nextTurn } = routing();
    for (const [index, id] of ['a', 'bb', 'ccc', 'dddd'].entries()) learn(index + 1, id, '*');
    const large = Buffer.from(JSON.stringify('x'.repeat(200_000)));
    const records = Array.from({ length: 60 }, (_, n) => new FakeRecord('events.accepted', { ...event, id: `evt_${n}` }, { payload: large }));
    let settled = 0;
    for (const record of records) router.onRecord(record);
    for (let round = 0; round < 100 && records.some(({ timesDone }) => timesDone === 0); round += 1) {
      while (nextTurn());
      const underWay = sent.made.slice(settled).reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
      expect(underWay).toBeLessThanOrEqual(3 * 1024 * 1024);
      settled = sent.made.length;
      await sent.settleAll();
    }
    expect(records.every(({ timesDone }) => timesDone === 1)).toBe(true);
    expect(decisions().map(({ event_id }) => event_id)).toEqual(records.map((_, n) => `evt_${n}`));
    expect(router.waiting).toBe(0);
  });
});

describe('with filters that take their time', () => {
  it('one tenant does not hold up the events of the others', async () => {
    const { router, apply, decisions, nextTurn } = routing();
    for (let n = 0; n < 40; n += 1) apply(n + 1, subscription(`hostile ${n}`, ['*'], { tenant: 'acme', filter: hostile(n) }));
    apply(50, subscription('filtered', ['*'], { filter: 'data.a == 1' }));
    apply(51, subscription('plain', ['*'], { tenant: 'plain' }));
    const slow = acceptedOf('acme', 'slow');
    router.onRecord(slow);
    expect(decisions()).toEqual([]);
    router.onRecord(acceptedOf('plain', 'plain'));
    expect(decisions().map(({ event_id }) => event_id)).toEqual(['plain']);
    router.onRecord(acceptedOf('default', 'filtered'));
    nextTurn();
    nextTurn();
    expect(decisions().map(({ event_id }) => event_id)).toEqual(['plain', 'filtered']);
    expect(router.waiting).toBe(1);
    while (nextTurn());
    expect(decisions().map(({ event_id }) => event_id)).toEqual(['plain', 'filtered', 'slow']);
    expect(router.waiting).toBe(0);
  });

  it('the requests for a subscription come in the order of the events, whichever of them are slow', () => {
    const { router, apply, requests, nextTurn } = routing();
    const random = seeded(3);
    const order = new Map<string, string[]>();
    for (const tenant of ['one', 'two', 'three']) {
      for (let n = 0; n < 30; n += 1) apply(1, subscription(`${tenant} ${n}`, ['slow'], { tenant, filter: `size("${n}") > 0 && true` }));
      apply(1, subscription(`${tenant} all`, ['*'], { tenant }));
    }
    for (let n = 0; n < 300; n += 1) {
      const tenant = ['one', 'two', 'three'][Math.floor(random() * 3)] ?? '';
      order.set(`${tenant} all`, [...(order.get(`${tenant} all`) ?? []), `evt_${n}`]);
      router.onRecord(new FakeRecord('events.accepted', { ...event, tenant, id: `evt_${n}`, type: random() < 0.3 ? 'slow' : 'quick' }));
      if (random() < 0.5) nextTurn();
    }
    expect(router.waiting).toBeGreaterThan(0);
    while (nextTurn());
    const got = new Map<string, string[]>();
    for (const { head } of requests()) {
      for (const each of head.subscriptions) if (each.endsWith(' all')) got.set(each, [...(got.get(each) ?? []), head.event.id]);
    }
    expect(got).toEqual(order);
  });

  it('an event is decided by the table of one position, whatever changes meanwhile', () => {
    const { router, apply, decisions, requests, nextTurn } = routing();
    for (let n = 0; n < 20; n += 1) apply(n + 1, subscription(`s${n}`, ['*'], { filter: `data.a == 1 && ${n} >= 0` }));
    router.onRecord(acceptedOf('default', 'before'));
    router.onRecord(acceptedOf('default', 'after'));
    apply(21, subscription('s19', ['*'], { enabled: false }));
    apply(22, subscription('new', ['*']));
    while (nextTurn());
    expect(decisions().map(({ event_id, position, subscriptions }) => [event_id, position, subscriptions.length, subscriptions.includes('new')])).toEqual([
      ['before', 20, 20, false],
      ['after', 22, 20, true],
    ]);
    expect(new Set(requests().map(({ head }) => `${head.event.id} ${head.position}`))).toEqual(new Set(['before 20', 'after 22']));
  });

  it('an event has a budget for all of them: what is beyond it does not match, and is named', () => {
    const { router, apply, decisions, counted, nextTurn } = routing();
    for (let n = 0; n < 300; n += 1) apply(n + 1, subscription(`hostile ${n}`, ['*'], { filter: hostile(n) }));
    apply(301, subscription('last', ['*'], { filter: 'data.a == 1' }));
    apply(302, subscription('unfiltered', ['*']));
    router.onRecord(accepted());
    while (nextTurn());
    expect(decisions()[0]?.subscriptions).toEqual(['unfiltered']);
    // 5,000,000 steps, of which each takes 50,000 and a few.
    expect(counted).toEqual([{ matched: 1, filter_false: 0, filter_failed: 99, filter_budget: 202, disabled: 0 }]);
    expect(decisions()[0]?.near?.at(-1)).toEqual({ subscription: 'hostile 99', why: 'filter_budget' });
    // The next event has one of its own.
    router.onRecord(acceptedOf('another', 'next'));
    apply(303, subscription('s', ['*'], { tenant: 'another', filter: 'data.a == 1' }));
    router.onRecord(acceptedOf('another', 'one more'));
    while (nextTurn());
    expect(decisions().at(-1)?.subscriptions).toEqual(['s']);
  });

  it('a record that was taken away meanwhile is let go', () => {
    const { router, apply, decisions, nextTurn } = routing();
    for (let n = 0; n < 20; n += 1) apply(n + 1, subscription(`s${n}`, ['*'], { filter: `data.a == 1 && ${n} >= 0` }));
    const record = accepted();
    router.onRecord(record);
    record.revoked = true;
    while (nextTurn());
    expect(decisions()).toEqual([]);
    expect(router.waiting).toBe(0);
  });
});
