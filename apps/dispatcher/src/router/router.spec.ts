import { describe, expect, it } from '@jest/globals';
import { recordSchemas, unframe, type RequestedHead, type Routed, type SubscriptionState } from '@posthorn/contracts';
import type { OutgoingRecord } from '@posthorn/kafka';
import { RegistryFeed } from '../registry/registry-feed.js';
import { Calls, data, event, FakeRecord, subscription } from '../spec-support/records.js';
import { Router } from './router.js';
import { SubscriptionTable } from './subscription-table.js';

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
  const router = new Router({
    table,
    feed,
    send: sent.call,
    topics: { routed: 'routed', requested: 'requested' },
    matched: () => undefined,
    fatal: (error) => {
      throw error;
    },
  });
  const requests = (): { partition: number | undefined; head: RequestedHead; data: Buffer }[] =>
    sent.made
      .filter(({ topic }) => topic === 'requested')
      .map(({ partition, value }) => ({ partition, ...unframe<RequestedHead>(value as Buffer) }));
  const decisions = (): Routed[] => sent.made.filter(({ topic }) => topic === 'routed').map(({ value }) => JSON.parse(String(value)) as Routed);
  return { router, learn, apply, sent, requests, decisions };
};

const accepted = (headers?: Record<string, string>): FakeRecord => new FakeRecord('events.accepted', event, headers && { headers });

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
});
