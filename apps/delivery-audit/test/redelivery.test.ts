import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { deliveryId } from '@posthorn/contracts';
import { partitionFor } from '@posthorn/domain';
import { ask } from '../src/asking/ask.js';
import { inTransaction } from '../src/asking/transactions.js';
import { storedDeliveryId } from '../src/delivery-id.js';
import { Again, byAnn, PARTITIONS, requestedValue, withKey } from './again.js';
import { statisticsAreTrue } from './figures.js';
import { accepted, attempted, envelopeOf, outcomeOf, routed } from './records.js';

const DATA = '{"b": 1.10,  "a": 12345678901234567890}';
const paid = envelopeOf('e1', '2026-11-20T12:00:00.000Z', {
  subject: 'inv/1',
  partitionkey: 'k',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  headers: { 'x-a': 'b' },
  context: null,
  extensions: { sequence: 7 },
});
const id = deliveryId('default', 'e1', 'sub_1');

// For a machine that does much else.
jest.setTimeout(60_000);

let again: Again;

beforeAll(async () => {
  again = await Again.create();
});
afterAll(() => again.close());

beforeEach(async () => {
  await again.empty();
  await again.subscribe('sub_1', { policy: { spread: 4 } });
  await again.subscribe('sub_2', { policy: { spread: 4 } });
  await again.load(accepted(paid, DATA), routed(paid, ['sub_1', 'sub_2']), attempted(outcomeOf(paid, 'sub_1', { status: 'failed' }), outcomeOf(paid, 'sub_2')));
});

/** Whatever was asked for or called off, and however it ended. */
afterEach(() => statisticsAreTrue(again.database));

const conflict = (detail: RegExp) => expect.objectContaining({ code: 'conflict', message: expect.stringMatching(detail) });
const dieAt = (topic: string): void => {
  again.beforeSending = (record) => {
    if (record.topic === topic) throw new Error('killed');
  };
};
const both = () => Promise.all(['sub_1', 'sub_2'].map((subscription) => again.redelivery.redeliver('default', deliveryId('default', 'e1', subscription), false, byAnn)));
const waiting = async (): Promise<number> => (await again.database.query('select from replays.outbox')).length;

/** As the tables keep it. */
const stored = (event: string): string => storedDeliveryId(deliveryId('default', event, 'sub_1')) ?? '';

describe('redelivering', () => {
  it('asks the sender for the next round, with the event as it was accepted, where the delivery has always gone', async () => {
    const { answer } = await again.redelivery.redeliver('default', id, false, byAnn);
    expect(answer).toMatchObject({ id, status: 'pending', round: 1, attempts: 1 });
    await again.work();
    const [record, ...others] = again.sentTo('deliveries.requested');
    const partition = partitionFor('sub_1', 4, 'e1', PARTITIONS);
    expect(record).toMatchObject({ partition, key: String(partition), headers: { schema: '1' } });
    expect(String(record?.value)).toBe(String(requestedValue(paid, DATA, { subscriptions: ['sub_1'], position: 2, round: 1, number: 1, trigger: 'redeliver' })));
    expect([others, await waiting()]).toEqual([[], 0]);
  });

  it('tells the history first, and nothing that it does not show already', async () => {
    await again.redelivery.redeliver('default', id, false, byAnn);
    await again.work();
    expect(again.sent.map(({ topic }) => topic)).toEqual(['deliveries.rounds', 'deliveries.requested']);
    expect(again.roundsSent()).toMatchObject([{ delivery_id: id, round: 1, trigger: 'redeliver', actor: 'key_ann', subject: 'inv/1' }]);
    const before = await again.database.dump();
    await again.loadSent('deliveries.rounds');
    expect(await again.database.dump()).toEqual(before);
    expect(before['rounds']).toMatchObject([{ round: 1, actor: 'key_ann', forced: false, replay_id: null }]);
  });

  it('is refused while the delivery is under way, unless it is forced, which is noted', async () => {
    await again.redelivery.redeliver('default', id, false, byAnn);
    await expect(again.redelivery.redeliver('default', id, false, byAnn)).rejects.toThrow(conflict(/under way/));
    expect((await again.redelivery.redeliver('default', id, true, byAnn)).answer).toMatchObject({ status: 'pending', round: 2 });
    expect(await again.database.query('select round, forced from audit.rounds order by round')).toEqual([
      { round: 1, forced: false },
      { round: 2, forced: true },
    ]);
    await again.work();
    expect(again.roundsSent().map(({ round, forced }) => [round, forced])).toEqual([[1, undefined], [2, true]]);
    expect(again.sentTo('deliveries.requested')).toHaveLength(2);
  });

  it('is done once for all who ask at the same time', async () => {
    const asked = await Promise.allSettled(Array.from({ length: 6 }, () => again.redelivery.redeliver('default', id, false, byAnn)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await waiting()).toBe(1);
  });

  it('answers the same to the same request, at the same time and later, and does it once', async () => {
    const both = await Promise.all([1, 2].map(() => again.redelivery.redeliver('default', id, true, withKey('k1'))));
    expect(both.map(({ isRepetition }) => isRepetition).toSorted()).toEqual([false, true]);
    const later = await again.redelivery.redeliver('default', id, true, withKey('k1'));
    expect(later).toEqual({ answer: both[0]?.answer, isRepetition: true });
    expect(await waiting()).toBe(1);
    await expect(again.redelivery.redeliver('default', id, true, withKey('k1', 'another'))).rejects.toMatchObject({ code: 'idempotency_conflict' });
    expect((await again.redelivery.redeliver('default', id, true, { ...withKey('k1'), actor: 'key_bob' })).isRepetition).toBe(false);
  });

  it('is refused when there is nothing to send, or nobody to send it to', async () => {
    await again.registryHas('sub_1', 'SubscriptionDisabled', { reason: 'gone' });
    await expect(again.redelivery.redeliver('default', id, true, byAnn)).rejects.toThrow(conflict(/disabled/));
    await again.registryHas('sub_1', 'SubscriptionDeleted');
    await expect(again.redelivery.redeliver('default', id, true, byAnn)).rejects.toThrow(conflict(/deleted/));
    await again.database.query('delete from audit.events');
    await expect(again.redelivery.redeliver('default', deliveryId('default', 'e1', 'sub_2'), false, byAnn)).rejects.toThrow(conflict(/event/));
    expect(await waiting()).toBe(0);
  });

  it.each([['other', id], ['default', deliveryId('default', 'e1', 'sub_9')], ['default', 'nonsense'], ['def\0ault', id]])('finds nothing in %j by %s', async (tenant, which) => {
    await expect(again.redelivery.redeliver(tenant, which, false, byAnn)).rejects.toMatchObject({ code: 'not_found' });
    await expect(again.redelivery.cancel(tenant, which, byAnn)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('what was asked for', () => {
  it.each(['deliveries.rounds', 'deliveries.requested'])('is asked for all the same when the process dies before %s has it', async (topic) => {
    await both();
    dieAt(topic);
    await expect(again.requestOldest()).rejects.toThrow('killed');
    expect(await waiting()).toBe(2);
    expect(again.sentTo('deliveries.requested')).toEqual([]);
    again.beforeSending = () => undefined;
    await again.work();
    expect(again.sentTo('deliveries.requested').length).toBeGreaterThan(0);
    expect(await waiting()).toBe(0);
    await again.loadSent('deliveries.rounds');
    expect(await again.database.query('select round, count(*)::integer from audit.rounds group by 1')).toEqual([{ round: 1, count: 2 }]);
  });

  it('is the same round when the process dies before the outbox forgets it, and everything is sent twice', async () => {
    await both();
    again.beforeSending = ({ topic }) => {
      if (topic === 'deliveries.requested') void again.leader.end();
    };
    await expect(again.requestOldest()).rejects.toThrow(/closed|terminated|ended/i);
    expect(await waiting()).toBe(2);
    again.beforeSending = () => undefined;
    await again.restart();
    await again.work();
    const values = again.sentTo('deliveries.requested').map(({ value }) => String(value));
    expect(values.slice(values.length / 2)).toEqual(values.slice(0, values.length / 2));
    const before = await again.database.dump();
    await again.loadSent('deliveries.rounds');
    expect(await again.database.dump()).toEqual(before);
  });

  it('is found also when it is committed after what was asked for later', async () => {
    const [one, other] = ['sub_1', 'sub_2'].map((subscription) => ({
      day: '2026-11-20',
      delivery_id: storedDeliveryId(deliveryId('default', 'e1', subscription)) ?? '',
      event_id: 'e1',
      event_type: paid.type,
      subject: null,
      accepted_at: paid.acceptedtime,
      subscription_id: subscription,
      spread: 1,
    }));
    const asking = { tenant: 'default', trigger: 'redeliver', at: '2026-11-21T00:00:00.000Z', actor: 'a', force: false } as const;
    const first = await again.pool.connect();
    await first.query('begin');
    await ask(first, one === undefined ? [] : [one], asking);
    await inTransaction(again.pool, (later) => ask(later, other === undefined ? [] : [other], asking));
    // After the outbox has been looked at, and before what was found there is deleted.
    again.beforeSending = async () => void (await first.query('commit'));
    expect(await again.requestOldest()).toBe(1);
    first.release();
    again.beforeSending = () => undefined;
    expect(await again.requestOldest()).toBe(1);
    expect(again.roundsSent().map(({ subscription_id }) => subscription_id)).toEqual(['sub_2', 'sub_1']);
  });

  it('locks deliveries day by day, as the loader does: at midnight neither waits for the other in a circle', async () => {
    const early = Array.from({ length: 64 }, (_, n) => envelopeOf(`early${n}`, '2026-11-19T23:59:59.000Z')).find((event) => stored(event.id) > stored('e1'));
    if (early === undefined) throw new Error('ids are not what they were');
    await again.load(accepted(early), routed(early, ['sub_1']), attempted(outcomeOf(early, 'sub_1', { status: 'failed' })));
    const candidates = [paid, early].map(({ id: event_id, type, acceptedtime }) => ({
      day: acceptedtime.slice(0, 10),
      delivery_id: stored(event_id),
      event_id,
      event_type: type,
      subject: null,
      accepted_at: acceptedtime,
      subscription_id: 'sub_1',
      spread: 1,
    }));
    const loader = await again.pool.connect();
    await loader.query('begin');
    await loader.query('select from audit.deliveries where id = $1 for update', [stored(early.id)]);
    const asked = inTransaction(again.pool, (client) => ask(client, candidates, { tenant: 'default', trigger: 'replay', at: '2026-11-21T00:00:00.000Z', actor: 'a', force: false }));
    const waits = `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    while ((await again.database.query(waits)).length === 0);
    const isFree = loader.query('select from audit.deliveries where id = $1 for update nowait', [stored('e1')]);
    await isFree.finally(() => loader.query('rollback')).finally(() => loader.release());
    expect(await asked).toBe(2);
  });

  it('is dropped with its event', async () => {
    await both();
    await again.database.query('delete from audit.events');
    expect(await again.requestOldest()).toBe(2);
    expect([again.sent, await waiting()]).toEqual([[], 0]);
  });

  it('shares a record among the subscriptions of one partition, as the router does', async () => {
    const many = Array.from({ length: 60 }, (_, i) => `sub_many${i}`);
    for (const subscription of many) await again.subscribe(subscription);
    await again.load(routed(paid, many, { position: 2 }), attempted(...many.map((subscription) => outcomeOf(paid, subscription))));
    await Promise.all(many.map((subscription) => again.redelivery.redeliver('default', deliveryId('default', 'e1', subscription), false, byAnn)));
    await again.work();
    expect(again.sentTo('deliveries.requested')).toHaveLength(PARTITIONS);
    expect(again.sentTo('deliveries.rounds').length).toBeLessThanOrEqual(PARTITIONS);
  });
});

describe('cancelling', () => {
  it('tells the sender of the latest round, and ends the delivery at once', async () => {
    await again.redelivery.redeliver('default', id, false, byAnn);
    const { answer } = await again.redelivery.cancel('default', id, { ...byAnn, actor: 'key_bob' });
    expect(answer).toMatchObject({ status: 'cancelled', round: 1, last_error: 'cancelled_by_user', finished_at: expect.any(String) });
    const [record] = again.sentTo('deliveries.cancelled');
    expect(record).toMatchObject({ partition: partitionFor('sub_1', 4, 'e1', PARTITIONS), key: 'sub_1' });
    expect(JSON.parse(String(record?.value))).toMatchObject({ cancellations: [{ delivery_id: id, round: 1, actor: 'key_bob', event_id: 'e1', accepted_at: paid.acceptedtime }] });
    const before = await again.database.dump();
    await again.loadSent('deliveries.cancelled');
    expect(await again.database.dump()).toEqual(before);
    expect(before['cancellations']).toMatchObject([{ round: 1, actor: 'key_bob' }]);
  });

  it('has its effect also when the process dies after Kafka has it', async () => {
    await again.redelivery.redeliver('default', id, false, byAnn);
    again.beforeSending = (record) => {
      again.sent.push(record);
      throw new Error('killed');
    };
    await expect(again.redelivery.cancel('default', id, byAnn)).rejects.toThrow('killed');
    await again.loadSent('deliveries.cancelled');
    expect(await again.database.query(`select status, round from audit.deliveries where subscription_id = 'sub_1'`)).toEqual([{ status: 'cancelled', round: 1 }]);
  });

  it('is refused when the delivery has ended', async () => {
    await expect(again.redelivery.cancel('default', id, byAnn)).rejects.toThrow(conflict(/failed/));
    expect(again.sent).toEqual([]);
  });

  it('does not take back a request that got through meanwhile', async () => {
    await again.redelivery.redeliver('default', id, false, byAnn);
    const through = attempted(outcomeOf(paid, 'sub_1', { round: 1, trigger: 'redeliver' }));
    await again.redelivery.cancel('default', id, byAnn);
    await again.load(through);
    await again.loadSent('deliveries.cancelled');
    await expect(again.redelivery.cancel('default', id, byAnn)).rejects.toThrow(conflict(/delivered/));
  });

  it('leaves a delivery that can be sent again', async () => {
    await again.redelivery.redeliver('default', id, false, byAnn);
    await again.redelivery.cancel('default', id, byAnn);
    expect((await again.redelivery.redeliver('default', id, false, byAnn)).answer).toMatchObject({ status: 'pending', round: 2 });
  });
});
