import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually, startReceiver, type Receiver } from '@posthorn/testkit';
import { Posthorn } from '../support/posthorn.js';

jest.setTimeout(120_000);

const KILOBYTE = 1024;
const MUCH = JSON.stringify('x'.repeat(300 * KILOBYTE));

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('refusals');
  await posthorn.subscribe({ url: receiver.url, event_types: ['*'] });
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

const good = (id: string): string => `{"id":"${id}","type":"good","data":"${id}"}`;
const delivered = async (ids: readonly string[]): Promise<void> => {
  for (const id of ids) {
    await receiver.waitFor(({ headers }) => headers['webhook-id'] === id, { timeoutMs: 30_000 });
    await posthorn.deliveryOf(id, 'delivered');
  }
};

const publish = (body: string, tenant = 'default', path = 'events') => posthorn.api.call('POST', `/v1/tenants/${tenant}/${path}`, body);

/** `what`, the event, and how each door tells it: the code and path in `events.rejected`; the status and code over REST. */
const bad = [
  ['no type', 'no-type', '{"id":"no-type","data":1}', { code: 'invalid', path: 'type' }, 422, 'invalid'],
  ['300 KiB of data', 'much', `{"id":"much","type":"much","data":${MUCH}}`, { code: 'too_large', path: 'data' }, 413, 'too_large'],
  ['a misspelt member', 'misspelt', '{"id":"misspelt","type":"a","data":1,"tpye":"a"}', { code: 'invalid', path: 'tpye' }, 422, 'invalid'],
] as const;

describe('on Kafka', () => {
  it('what is bad is refused with its reason, and what stands beside it in the partition is delivered', async () => {
    const before = bad.map(([, id]) => `kafka-before-${id}`);
    const values = [
      ...bad.flatMap(([, id, value]) => [good(`kafka-before-${id}`), value]),
      '{"id":"broken","type":"broken',
      good('kafka-between'),
      '{"id":"stranger","type":"a","tenant":"nobody","data":1}',
      good('kafka-after'),
    ];
    await Promise.all(values.map((value) => posthorn.produce({ value, partition: 1 })));
    await delivered([...before, 'kafka-between', 'kafka-after']);

    for (const [, id, , reason] of bad) {
      expect(await posthorn.rejection(({ door, event_id }) => door === 'kafka' && event_id === id)).toMatchObject({
        reason: { ...reason, message: expect.stringContaining(reason.path) },
        record: { topic: posthorn.inbound, partition: 1, offset: expect.any(String) },
      });
    }
    expect(await posthorn.rejection(({ value }) => value?.startsWith('{"id":"broken"') === true)).toMatchObject({
      door: 'kafka',
      reason: { code: 'malformed', message: expect.stringContaining('not JSON') },
    });
    expect(await posthorn.rejection(({ event_id }) => event_id === 'stranger')).toMatchObject({
      reason: { code: 'unknown_tenant', path: 'tenant', message: expect.stringContaining('nobody') },
      tenant: 'nobody',
    });
  });

  it('a CloudEvent is refused under its own names', async () => {
    await posthorn.produce({ value: '{}', headers: { ce_specversion: '1.0', ce_id: 'binary-no-type', ce_source: '/shop' } });
    expect(await posthorn.rejection(({ event_id }) => event_id === 'binary-no-type')).toMatchObject({
      reason: { code: 'invalid', path: 'ce_type', message: 'ce_type is required' },
      headers: { ce_id: 'binary-no-type' },
      value: '{}',
    });
  });
});

describe('over REST', () => {
  it.each(bad)('%s is refused with its reason', async (_, id, body, reason, status, code) => {
    const answer = await publish(body.replace(`"id":"${id}"`, `"id":"rest-${id}"`));
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(answer).toMatchObject({ status, body: { status, code, errors: [{ path: reason.path, message: expect.stringContaining(reason.path) }] } });
    expect(await posthorn.rejection(({ event_id }) => event_id === `rest-${id}`)).toMatchObject({ door: 'rest', tenant: 'default', reason });
  });

  it('malformed JSON is refused, and shown as it came', async () => {
    const body = '{"id":"rest-broken","type":';
    expect(await publish(body)).toMatchObject({ status: 400, body: { code: 'malformed', detail: expect.stringContaining('not JSON') } });
    expect(await posthorn.rejection(({ value }) => value === body)).toMatchObject({ door: 'rest', reason: { code: 'malformed' } });
  });

  it('a tenant that does not exist is told as such', async () => {
    expect(await publish(good('rest-stranger'), 'nobody')).toMatchObject({ status: 404, body: { code: 'not_found', errors: [{ path: 'tenant' }] } });
    expect(await posthorn.rejection(({ door, tenant }) => door === 'rest' && tenant === 'nobody')).toMatchObject({ reason: { code: 'unknown_tenant', path: 'tenant' } });
  });

  it('the good ones of a batch are delivered, the bad ones told by their place', async () => {
    const ids = ['rest-good-0', 'rest-good-1', 'rest-good-2', 'rest-good-3'];
    const [first = '', ...others] = ids.map(good);
    const events = [first, ...bad.flatMap(([, id, value], i) => [value.replace(`"id":"${id}"`, `"id":"batch-${id}"`), others[i] ?? ''])];
    const answer = await publish(`{"events":[${events.join(',')}]}`, 'default', 'events/batch');
    expect(answer.status).toBe(202);
    const places = bad.map(([, , , { code, path }], i) => ({ error: { code, path: `events[${2 * i + 1}].${path}`, message: expect.any(String) } }));
    expect(answer.body).toEqual({ results: [{ id: ids[0] }, ...places.flatMap((place, i) => [place, { id: ids[i + 1] }])] });
    await delivered(ids);
    for (const [, id] of bad) await posthorn.rejection(({ event_id }) => event_id === `batch-${id}`);
  });

  it('a batch that is no JSON is refused as a whole', async () => {
    expect(await publish(`{"events":[${good('rest-lost')},]}`, 'default', 'events/batch')).toMatchObject({ status: 400, body: { code: 'malformed' } });
  });
});

it('what was refused is listed, and delivered once it is corrected and published again', async () => {
  await posthorn.produce({ value: '{"id":"to-be-mended","data":1.0}' });
  const { rejection_id } = await posthorn.rejection(({ event_id }) => event_id === 'to-be-mended');
  const refused = '/v1/tenants/default/rejected-events';
  await eventually(async () => (await posthorn.api.list<{ id: string }>(`${refused}?code=invalid`)).some(({ id }) => id === rejection_id));
  expect(await posthorn.api.ask('POST', `${refused}/${rejection_id}/publish`, good('mended'))).toEqual({ id: 'mended' });
  await delivered(['mended']);
  expect(await posthorn.api.get(`${refused}/${rejection_id}`)).toMatchObject({
    door: 'kafka',
    event_id: 'to-be-mended',
    reason: { code: 'invalid', path: 'type' },
    value: '{"id":"to-be-mended","data":1.0}',
    published_as: 'mended',
  });
});

it('nothing that was refused is in the audit or went out', async () => {
  await posthorn.produce({ value: good('the-last') });
  await delivered(['the-last']);
  const events = await posthorn.api.list<{ id: string; type: string }>('/v1/tenants/default/events');
  expect(events.filter(({ type }) => type !== 'good')).toEqual([]);
  expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(events.map(({ id }) => id)));
});
