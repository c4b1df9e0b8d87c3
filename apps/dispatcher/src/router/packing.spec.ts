import { describe, expect, it } from '@jest/globals';
import { recordSchemas, unframe, type RequestedHead, type Routed } from '@posthorn/contracts';
import { MAX_MESSAGE_BYTES } from '@posthorn/kafka';
import { event, requestFor } from '../spec-support/records.js';
import { MOST_VALUE_BYTES, requestedValues, routedValues } from './packing.js';

const idsOf = (count: number): string[] => Array.from({ length: count }, (_, n) => `sub_${String(n).padStart(32, '0')}`);
const subscriptionsIn = (values: readonly Buffer[]): string[][] => values.map((value) => [...unframe<RequestedHead>(value).head.subscriptions]);
const read = (values: readonly string[]): Routed[] => values.map((value) => recordSchemas.routed.strict().parse(JSON.parse(value)));

describe('the requests of a partition', () => {
  it('are one record as long as it fits, and two from the next byte on', () => {
    const head = requestFor(idsOf(1_000));
    const whole = requestedValues(head, Buffer.from('[]'))[0]?.length ?? 0;
    expect(requestedValues(head, Buffer.from('[]'), whole)).toHaveLength(1);
    const parts = requestedValues(head, Buffer.from('[]'), whole - 1);
    expect(subscriptionsIn(parts)).toEqual([idsOf(1_000).slice(0, 999), idsOf(1_000).slice(999)]);
  });

  it('fill each record but the last to within one subscription, and hold each subscription once', () => {
    const ids = idsOf(1_000).map((id, n) => (n % 3 === 0 ? `"é\n${n}` : id));
    for (const most of [700, 1_000, 4_001, 20_000]) {
      const values = requestedValues(requestFor(ids), Buffer.from('{"a":1}'), most);
      expect(subscriptionsIn(values).flat()).toEqual(ids);
      for (const value of values) expect(value.length).toBeLessThanOrEqual(most);
      for (const value of values.slice(0, -1)) expect(value.length).toBeGreaterThan(most - 42);
    }
  });

  it('stand alone where not even one fits', () => {
    expect(subscriptionsIn(requestedValues(requestFor(['a', 'b']), Buffer.from('[]'), 10))).toEqual([['a'], ['b']]);
  });

  it('take few records for the largest event, in base64, and 30,000 subscriptions', () => {
    const data = Buffer.alloc(900 * 1024, 0xff);
    const ids = idsOf(30_000);
    const values = requestedValues(requestFor(ids, { event: { ...event, datacontenttype: 'application/octet-stream' } }), data);
    expect(values).toHaveLength(2);
    expect(subscriptionsIn(values).flat()).toEqual(ids);
    for (const value of values) {
      expect(value.length).toBeLessThan(MAX_MESSAGE_BYTES);
      expect(unframe(value).data.equals(data)).toBe(true);
    }
  });
});

describe('the decision about an event', () => {
  const near = [{ subscription: 'near', why: 'disabled' as const }];
  const routed = (subscriptions: string[]): Routed => ({
    event_id: 'evt_é',
    tenant: 'default',
    event_type: 'a',
    accepted_at: event.acceptedtime,
    position: 7,
    subscriptions,
    near,
    near_more: 3,
  });

  it('is one record as long as it fits, at the exact bound', () => {
    const whole = Buffer.byteLength(JSON.stringify(routed(idsOf(500))));
    expect(read(routedValues(routed(idsOf(500)), whole))).toEqual([routed(idsOf(500))]);
    expect(routedValues(routed(idsOf(500)), whole - 1)).toHaveLength(2);
  });

  it('comes in numbered parts else: each with what it says of the event, the first with the near matches', () => {
    const ids = idsOf(100_000);
    const values = routedValues(routed(ids));
    const parts = read(values);
    expect(parts.map(({ part }) => part)).toEqual([
      { number: 1, of: 2 },
      { number: 2, of: 2 },
    ]);
    expect(parts.flatMap(({ subscriptions }) => subscriptions)).toEqual(ids);
    expect(parts.map((each) => [each.event_id, each.position, each.near, each.near_more])).toEqual([
      ['evt_é', 7, near, 3],
      ['evt_é', 7, undefined, undefined],
    ]);
    for (const value of values) expect(Buffer.byteLength(value)).toBeLessThanOrEqual(MOST_VALUE_BYTES);
  });
});
