import { status, type Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DeliveryStatus, TailServiceDefinition } from '@posthorn/contracts/grpc/audit';
import { eventually } from '@posthorn/testkit';
import { EventStream } from '../../../test/support/event-stream.js';
import { connect, feedOf, refusalOf } from '../../../test/support/grpc-client.js';
import { attempted, envelopeOf, outcomeOf, type TestRecord } from './records.js';
import { World } from './world.js';

const AT = '2026-11-21T10:00:00.000Z';

let world: World;
let client: Client;
let key: string;
beforeAll(async () => {
  world = await World.create();
  await world.service.ready();
  client = connect(await world.service.grpcAddress);
  ({ key } = await world.publishKey({ tenant: 'acme' }));
}, 60_000);
afterAll(async () => {
  client.close();
  await world.close();
}, 30_000);

const record = (...ids: readonly string[]): TestRecord => attempted(...ids.map((id) => outcomeOf(envelopeOf(id, AT, { tenant: 'acme' }), 'sub_1')));

/** A tail of acme's, once it is open. */
const open = async (query = '', headers: Readonly<Record<string, string>> = {}): Promise<EventStream> =>
  EventStream.open(`${await world.service.url}/v1/tenants/acme/deliveries/tail${query}`, { authorization: `Bearer ${key}`, ...headers });

const tailCall = (request: object, options = { key }) => feedOf(client, TailServiceDefinition, TailServiceDefinition.methods.tailDeliveries, { tenant: 'acme', ...request }, options);

describe('a tail over HTTP', () => {
  it('tells what happens to the deliveries of its tenant from now on', async () => {
    await world.publish([record('before')]);
    const stream = await open();
    expect(stream.headers.get('content-type')).toBe('text/event-stream');
    const foreign = attempted(outcomeOf(envelopeOf('theirs', AT, { tenant: 'other' }), 'sub_9'));
    await world.publish([foreign]);
    await world.publish([record('now')]);
    const event = await stream.next();
    expect(event).toMatchObject({ name: 'outcome', id: expect.stringMatching(/^[0-9a-z.~]+$/), data: { event_id: 'now', status: 'delivered', status_code: 200, duration_ms: 4.25 } });
    stream.close();
  });

  it('tells of one subscription, or of one outcome, if that is what is wanted', async () => {
    const [ofOne, ofFailed] = [await open('?subscription=sub_2'), await open('?status=failed')];
    const envelope = envelopeOf('narrow', AT, { tenant: 'acme' });
    await world.publish([attempted(outcomeOf(envelope, 'sub_1'), outcomeOf(envelope, 'sub_1', { number: 2, status: 'failed' }), outcomeOf(envelope, 'sub_2'))]);
    expect((await ofOne.next()).data).toMatchObject({ subscription_id: 'sub_2' });
    expect((await ofFailed.next()).data).toMatchObject({ subscription_id: 'sub_1', number: 2 });
    for (const stream of [ofOne, ofFailed]) stream.close();
  });

  it('goes on after the event that was told last, in the middle of a record too', async () => {
    const first = await open();
    await world.publish([record('r1', 'r2', 'r3')]);
    await first.next();
    const { id = '' } = await first.next();
    first.close();
    await world.publish([record('r4')]);
    const resumed = await open('', { 'last-event-id': id });
    const told = [await resumed.next(), await resumed.next()];
    expect(told.map(({ data }) => (data as { event_id: string }).event_id)).toEqual(['r3', 'r4']);
    resumed.close();
  });

  it('is not opened at what is no place, nor for a status that there is not', async () => {
    const path = '/v1/tenants/acme/deliveries/tail';
    expect(await world.service.ask(path, { key, headers: { 'last-event-id': 'x!' } })).toMatchObject({ status: 400, body: { code: 'malformed' } });
    expect(await world.service.ask(`${path}?status=lost`, { key })).toMatchObject({ status: 422, body: { code: 'invalid' } });
    expect(await world.service.ask('/v1/tenants/other/deliveries/tail', { key })).toMatchObject({ status: 404 });
  });

  it('is open so often for a key, and is free again when its client has gone', async () => {
    const { key: many } = await world.publishKey({ tenant: 'acme' });
    const headers = { authorization: `Bearer ${many}` };
    const streams: EventStream[] = [];
    for (let n = 0; n < 20; n += 1) streams.push(await open('', headers));
    const refused = await world.service.ask('/v1/tenants/acme/deliveries/tail', { key: many });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '5']);
    for (const stream of streams) stream.close();
    const again = await eventually(() => open('', headers).catch(() => undefined), { timeoutMs: 5_000 });
    again.close();
    const watchers = async (): Promise<boolean> => (await world.service.get('/metrics')).text.includes('posthorn_tail_watchers{service="delivery-audit"} 0');
    await eventually(watchers, { timeoutMs: 5_000 });
  });

  it('holds nobody up who reads, while another does not', async () => {
    const slow = await open();
    const quick = await open();
    const [waves, each] = [80, 64];
    for (let wave = 0; wave < waves; wave += 1) {
      await world.publish([attempted(...Array.from({ length: each }, (_, n) => outcomeOf(envelopeOf(`bulk-${wave}-${n}`, AT, { tenant: 'acme', subject: 'x'.repeat(1_500) }), 'sub_1')))]);
      for (let n = 0; n < each; n += 1) expect((await quick.next()).name).toBe('outcome');
    }
    // What it had not read when its buffer was full is counted, and nothing is told twice or lost untold.
    let [told, missed] = [0, 0];
    while (told + missed < waves * each) {
      const { name, data } = await slow.next();
      if (name === 'outcome') told += 1;
      else missed += (data as { count: number }).count;
    }
    expect([told > 0, missed > 0, told + missed]).toEqual([true, true, waves * each]);
    for (const stream of [slow, quick]) stream.close();
  }, 30_000);

  it('ends with its key', async () => {
    const { id, key: brief } = await world.publishKey({ tenant: 'acme' });
    const stream = await open('', { authorization: `Bearer ${brief}` });
    await world.publishState('api_key', id, null);
    expect(await stream.next()).toMatchObject({ name: 'end', data: { code: 'unauthenticated' } });
    await expect(stream.next()).rejects.toThrow('ended');
  });
});

describe('a tail over gRPC', () => {
  it('tells the same, and goes on after a place', async () => {
    const { messages, stream } = tailCall({});
    const next = async () => ((await messages.next()) as { value: { place: string; news?: { $case: string; value: object } } }).value;
    expect(await next()).toEqual({ place: expect.stringMatching(/^[0-9a-z.~]+$/), news: undefined });
    await world.publish([record('g1', 'g2')]);
    const told = await next();
    expect(told).toMatchObject({ news: { $case: 'outcome', value: { event_id: 'g1', status: DeliveryStatus.DELIVERY_STATUS_DELIVERED, at: expect.any(Date), status_code: 200 } } });
    stream.cancel();
    const resumed = tailCall({ after: told.place });
    await resumed.messages.next();
    expect((await resumed.messages.next()).value).toMatchObject({ news: { value: { event_id: 'g2' } } });
    resumed.stream.cancel();
  });

  it('ends with its key, and is not opened for a stranger', async () => {
    const { id, key: brief } = await world.publishKey({ tenant: 'acme' });
    const { messages } = tailCall({}, { key: brief });
    await messages.next();
    await world.publishState('api_key', id, null);
    expect(await refusalOf(messages.next())).toMatchObject({ code: status.UNAUTHENTICATED });
    expect(await refusalOf(tailCall({ tenant: 'other' }).messages.next())).toMatchObject({ code: status.NOT_FOUND, details: 'There is no such tenant.' });
    expect(await refusalOf(tailCall({ after: 'x!' }).messages.next())).toMatchObject({ code: status.INVALID_ARGUMENT });
  });
});

describe('the end of the process', () => {
  it('ends every tail with the reason, and is not held up by one that nobody reads', async () => {
    const unread = await open();
    for (let wave = 0; wave < 20; wave += 1) await world.publish([record(...Array.from({ length: 500 }, (_, n) => `unread-${wave}-${n}`))]);
    const overHttp = await open('?status=failed');
    const { messages } = tailCall({ status: DeliveryStatus.DELIVERY_STATUS_FAILED });
    await messages.next();
    const refused = refusalOf(messages.next());
    const stopped = world.service.stop();
    expect(await overHttp.next()).toMatchObject({ name: 'end', data: { code: 'unavailable' } });
    expect(await refused).toMatchObject({ code: status.UNAVAILABLE });
    expect(await stopped).toBe(0);
    unread.close();
  }, 20_000);
});
