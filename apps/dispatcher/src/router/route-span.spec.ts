import { describe, expect, it } from '@jest/globals';
import { recordSchemas, unframe, type RequestedHead, type Routed } from '@posthorn/contracts';
import type { OutgoingRecord } from '@posthorn/kafka';
import { RecordedSpans } from '@posthorn/testkit';
import { RegistryFeed } from '../registry/registry-feed.js';
import { Calls, event, FakeRecord, subscription, turn } from '../spec-support/records.js';
import { Router } from './router.js';
import { SubscriptionTable } from './subscription-table.js';

const traceparent = (flags: string): string => `00-${'b'.repeat(32)}-${'c'.repeat(16)}-${flags}`;

const routing = (filter?: string) => {
  const table = new SubscriptionTable(() => 0);
  table.changed(subscription('sub_a', ['*'], filter === undefined ? {} : { filter }));
  const sent = new Calls<OutgoingRecord>();
  const spans = new RecordedSpans();
  const router = new Router({
    table,
    feed: new RegistryFeed([table], async () => undefined),
    send: sent.call,
    topics: { routed: 'routed', requested: 'requested' },
    partitions: 1,
    turns: { nowMs: () => 0, later: () => undefined },
    decided: () => undefined,
    tracing: spans,
    fatal: (error) => {
      throw error;
    },
  });
  const route = async (flags?: string): Promise<void> => {
    router.onRecord(new FakeRecord('events.accepted', { ...event, ...(flags !== undefined && { traceparent: traceparent(flags) }) }));
    await sent.settleAll();
    await turn();
  };
  const contexts = () =>
    sent.made.map(({ topic, value, headers }) => [
      topic,
      (topic === 'requested' ? unframe<RequestedHead>(value as Buffer).head : (JSON.parse(String(value)) as Routed)).traceparent,
      headers?.['traceparent'],
    ]);
  return { sent, spans: spans.all, route, contexts };
};

describe('the span of a routing', () => {
  it('stands under the event’s, and is handed on in every record', async () => {
    const { spans, sent, route, contexts } = routing();
    await route('01');
    expect(spans).toMatchObject([
      {
        start: { name: 'posthorn.route', kind: 'consumer', parent: traceparent('01') },
        end: { attributes: { 'messaging.destination.name': 'events.accepted', 'messaging.kafka.offset': 0, 'posthorn.matched': 1, 'posthorn.near_matches': 0 } },
      },
    ]);
    const own = spans[0]?.traceparent;
    expect(contexts()).toEqual([
      ['requested', own, own],
      ['routed', own, own],
    ]);
    for (const { topic, value } of sent.made.filter(({ topic }) => topic === 'routed')) expect([topic, recordSchemas.routed.safeParse(JSON.parse(String(value))).success]).toEqual(['routed', true]);
  });

  it.each([undefined, '00'])('is not made for an event that is not sampled, whose flags are %s', async (flags) => {
    const { spans, route, contexts } = routing();
    await route(flags);
    expect(spans).toEqual([]);
    expect(contexts()).toEqual([
      ['requested', undefined, undefined],
      ['routed', undefined, undefined],
    ]);
  });

  it('is made when a filter cannot be evaluated, and then concerns nobody else', async () => {
    const { spans, route, contexts } = routing('data.none.such == 1');
    await route('00');
    expect(spans).toMatchObject([{ start: { parent: traceparent('00') }, end: { error: 'filter_failed', attributes: { 'posthorn.matched': 0, 'posthorn.near_matches': 1 } } }]);
    expect(contexts()).toEqual([['routed', undefined, undefined]]);
  });
});
