import { describe, expect, it } from '@jest/globals';
import { deliveryId, frame } from '@posthorn/contracts';
import type { IncomingRecord } from '@posthorn/kafka';
import { RecordedSpans } from '@posthorn/testkit';
import { Intake } from './intake.js';
import { tracingRecords } from './record-span.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfRouted } from './records.js';

const ignore = (): void => undefined;
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const context = (id: string, flags = '01'): string => `00-${id.repeat(32)}-${id.repeat(16)}-${flags}`;
const acceptedtime = '2026-11-21T00:00:00.000Z';
const accepted = (traceparent: unknown): Buffer =>
  frame({ specversion: '1.0', id: 'e1', tenant: 'acme', type: 'a', source: '/s', time: acceptedtime, acceptedtime, traceparent }, Buffer.from('"canary"'));
const routed = (traceparent: unknown): Buffer =>
  Buffer.from(JSON.stringify({ event_id: 'e1', tenant: 'acme', event_type: 'a', accepted_at: acceptedtime, position: 1, subscriptions: ['sub_1'], traceparent }));
const delivery_id = deliveryId('acme', 'e1', 'sub_1');
const outcome = { delivery_id, tenant: 'acme', event_id: 'e1', event_type: 'a', accepted_at: acceptedtime, subscription_id: 'sub_1', round: 0, number: 1, trigger: 'first', status: 'cancelled', at: acceptedtime };
const attempted = (...contexts: readonly unknown[]): Buffer =>
  Buffer.from(
    JSON.stringify({
      outcomes: contexts.map((traceparent) => ({
        ...outcome,
        traceparent,
      })),
    }),
  );

const intakeOf = (tracing: RecordedSpans | undefined) => {
  const commits: (() => void)[] = [];
  const counts = { events: 0, decisions: 0, deliveries: 0, attempts: 0, rounds: 0, cancellations: 0, rejected_events: 0, duplicates: 0, configuration: 0 };
  const unfoldable: Error[] = [];
  const intake = new Intake({
    folds: new Map([['events', rowsOfAccepted], ['routed', rowsOfRouted], ['attempted', rowsOfAttempted]]),
    load: () => new Promise((resolve) => void commits.push(() => resolve(counts))),
    limits: { rows: 1, bytes: 1, ageMs: 0 },
    // Nothing is held.
    heldLimits: { leastMs: 0, mostMs: 0, bytes: 0 },
    log: { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
    onUnfoldable: (error) => void unfoldable.push(error),
    ...tracingRecords(tracing),
  });
  const read = async (topic: string, value: Buffer): Promise<void> => {
    const record: IncomingRecord = { topic, partition: 3, offset: '7', timestampMs: 0, key: null, value, headers: { schema: Buffer.from('1') }, revoked: false, done: ignore };
    intake.add(record);
    await settled();
  };
  const commit = async (): Promise<void> => {
    commits.shift()?.();
    await settled();
  };
  return { read, commit, unfoldable };
};

describe('the span of a recording', () => {
  it.each([
    ['an event', 'events', accepted(context('a')), undefined],
    ['a decision', 'routed', routed(context('a')), undefined],
    ['an outcome', 'attempted', attempted(context('a')), delivery_id],
  ])('stands under that of %s, and is made when the rows are committed', async (_what, topic, value, delivery) => {
    const spans = new RecordedSpans();
    const { read, commit } = intakeOf(spans);
    await read(topic, value);
    expect(spans.all).toEqual([]);
    await commit();
    expect(spans.all).toMatchObject([
      {
        start: { name: 'posthorn.record', kind: 'consumer', parent: context('a'), startMs: expect.any(Number) },
        end: { attributes: { 'messaging.destination.name': topic, 'messaging.kafka.offset': 7, 'cloudevents.event_id': 'e1', 'posthorn.tenant': 'acme', 'posthorn.delivery': delivery } },
      },
    ]);
    expect(JSON.stringify(spans.all)).not.toContain('canary');
  });

  it('is made for each of a record’s outcomes whose trace is recorded, and for no other', async () => {
    const spans = new RecordedSpans();
    const { read, commit, unfoldable } = intakeOf(spans);
    await read('attempted', attempted(context('a'), undefined, context('b', '00'), 'nonsense', 7, context('c')));
    await commit();
    expect(spans.all.map(({ start }) => start.parent)).toEqual([context('a'), context('c')]);
    expect(unfoldable).toEqual([]);
  });

  it('is not there where none are exported', async () => {
    const { read, commit, unfoldable } = intakeOf(undefined);
    await read('events', accepted(context('a')));
    await commit();
    expect(unfoldable).toEqual([]);
  });
});
