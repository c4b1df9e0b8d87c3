import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Rejection } from '@posthorn/contracts';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
const KILOBYTE = 1024;
/** Digits, spelling and order that no parser would bring back. */
const DATA = '{"z":12345678901234567890,"a":1.0,"é":"\\u00e9 é"}';
const STRUCTURED = 'application/cloudevents+json';
const tooMuch = JSON.stringify('x'.repeat(300 * KILOBYTE));

let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;

beforeAll(async () => {
  kafka = await openKafka(prefix);
  await kafka.createTenant('default');
  await kafka.createTenant('acme');
  service = await startService(prefix);
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await kafka?.close();
});

const acceptedWith = (id: string) => kafka.accepted.first(({ envelope }) => envelope.id === id);
const rejectedWith = (meant: (rejection: Rejection) => boolean) => kafka.rejected.first(meant);

const post = async (path: string, body: string | Buffer, headers: Record<string, string> = {}) => {
  const response = await fetch(`${service.url}/v1/tenants/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, type: response.headers.get('content-type'), body: (await response.json()) as unknown };
};

describe('the Kafka door accepts', () => {
  it.each([
    ['plain JSON', `{"id":"k-plain","type":"invoice.paid","tenant":"acme","data":${DATA}}`, {}, {}],
    [
      'CloudEvents structured mode',
      `{"specversion":"1.0","id":"k-structured","source":"/s","type":"invoice.paid","tenant":"acme","data":${DATA}}`,
      { 'content-type': STRUCTURED },
      { source: '/s' },
    ],
    [
      'CloudEvents binary mode',
      DATA,
      { ce_id: 'k-binary', ce_type: 'invoice.paid', ce_source: '/s', ce_tenant: 'acme', ce_time: '2026-01-02T03:04:05Z', 'content-type': 'application/json' },
      { source: '/s', time: '2026-01-02T03:04:05Z', datacontenttype: 'application/json' },
    ],
  ])('%s', async (_, value, headers, expected) => {
    await kafka.send('events.inbound', value, { headers });
    const id = 'ce_id' in headers ? headers.ce_id : /"id":"([^"]+)"/.exec(value)?.[1];
    const { envelope, data, key } = await acceptedWith(String(id));
    expect(envelope).toMatchObject({ specversion: '1.0', type: 'invoice.paid', tenant: 'acme', ...expected });
    expect(data.toString()).toBe(DATA);
    expect(key).toBe(`acme/${id}`);
  });

  it('what is not JSON at all', async () => {
    const bytes = Buffer.from([0, 255, 10, 34]);
    await kafka.send('events.inbound', bytes, { headers: { ce_id: 'k-bytes', ce_type: 'a', 'content-type': 'image/png' } });
    const { data, envelope } = await acceptedWith('k-bytes');
    expect(data.equals(bytes)).toBe(true);
    expect(envelope.tenant).toBe('default');
  });

  it('an event of a tenant created a moment ago', async () => {
    await kafka.createTenant('fresh-kafka');
    await kafka.send('events.inbound', '{"id":"k-fresh","type":"a","data":1,"tenant":"fresh-kafka"}');
    expect((await acceptedWith('k-fresh')).envelope.tenant).toBe('fresh-kafka');
  });
});

describe('the Kafka door refuses', () => {
  it('each bad event with its reason, and none of those beside it', async () => {
    const partition = 3;
    const values = [
      '{"id":"n-0","type":"a","data":0}',
      '{"id":"b-1","type":',
      '{"id":"n-1","type":"a","data":0}',
      '{"id":"b-2","data":0}',
      '{"id":"n-2","type":"a","data":0}',
      '{"id":"b-3","type":"a","data":0,"tenant":"nobody"}',
      '{"id":"n-3","type":"a","data":0}',
      `{"id":"b-4","type":"a","data":${tooMuch}}`,
      '{"id":"n-4","type":"a","data":0}',
    ];
    await Promise.all(values.map((value) => kafka.send('events.inbound', value, { partition, headers: { cookie: 'secret' } })));
    await Promise.all([0, 1, 2, 3, 4].map((n) => acceptedWith(`n-${n}`)));
    const rejections = await Promise.all([1, 2, 3, 4].map((n) => rejectedWith(({ value }) => value?.startsWith(`{"id":"b-${n}"`) === true)));
    expect(rejections).toMatchObject([
      { door: 'kafka', reason: { code: 'malformed' }, value: values[1], record: { partition }, headers: {} },
      { reason: { code: 'invalid', path: 'type' }, event_id: 'b-2', tenant: 'default' },
      { reason: { code: 'unknown_tenant', path: 'tenant' }, event_id: 'b-3', tenant: 'nobody' },
      { reason: { code: 'too_large', path: 'data' }, event_id: 'b-4', value: values[7], truncated: false },
    ]);
    expect(JSON.stringify(rejections)).not.toContain('secret');
    expect(kafka.accepted.all.some(({ envelope }) => envelope.id.startsWith('b-'))).toBe(false);
  });
});

describe('the REST door accepts', () => {
  it.each([
    ['plain JSON', `{"id":"r-plain","type":"invoice.paid","data":${DATA}}`, {}],
    ['CloudEvents structured mode', `{"specversion":"1.0","id":"r-structured","source":"/s","type":"invoice.paid","data":${DATA}}`, { 'content-type': STRUCTURED }],
    ['CloudEvents binary mode', DATA, { 'ce-specversion': '1.0', 'ce-id': 'r-binary', 'ce-source': '/s', 'ce-type': 'invoice.paid' }],
  ])('%s', async (_, body, headers) => {
    const answer = await post('acme/events', body, headers);
    expect(answer).toMatchObject({ status: 202, body: { id: expect.stringMatching(/^r-/) } });
    const { id } = answer.body as { id: string };
    const { envelope, data } = await acceptedWith(id);
    expect(envelope).toMatchObject({ tenant: 'acme', type: 'invoice.paid' });
    expect(data.toString()).toBe(DATA);
  });

  it('what is not JSON at all', async () => {
    const bytes = Buffer.from([0, 255, 10, 34]);
    const answer = await post('acme/events', bytes, { 'ce-id': 'r-bytes', 'ce-type': 'a', 'content-type': 'image/png' });
    expect(answer.status).toBe(202);
    expect((await acceptedWith('r-bytes')).data.equals(bytes)).toBe(true);
  });

  it('a minimal event, and gives it an id', async () => {
    const { body } = await post('acme/events', '{"type":"a","data":null}');
    const { id } = body as { id: string };
    expect((await acceptedWith(id)).envelope.source).toBe('/v1/tenants/acme');
  });

  it('an event of a tenant created a moment ago', async () => {
    await kafka.createTenant('fresh-rest');
    expect((await post('fresh-rest/events', '{"type":"a","data":1}')).status).toBe(202);
  });

  it('a batch, event by event', async () => {
    const events = ['{"id":"s-0","type":"a","data":1.0}', '{"id":"s-1","data":1}', `{"id":"s-2","type":"a","data":${tooMuch}}`, '{"id":"s-3","type":"a","data":2}'];
    const { status, body } = await post('acme/events/batch', `{"events":[${events.join(', ')}]}`);
    expect(status).toBe(202);
    expect(body).toMatchObject({
      results: [
        { id: 's-0' },
        { error: { code: 'invalid', path: 'events[1].type' } },
        { error: { code: 'too_large', path: 'events[2].data' } },
        { id: 's-3' },
      ],
    });
    expect((await acceptedWith('s-0')).data.toString()).toBe('1.0');
    await acceptedWith('s-3');
    expect(await rejectedWith(({ event_id }) => event_id === 's-1')).toMatchObject({ value: events[1], tenant: 'acme' });
    await rejectedWith(({ event_id }) => event_id === 's-2');
  });

  it('a batch of CloudEvents', async () => {
    const event = '{"specversion":"1.0","id":"c-0","source":"/s","type":"a","data":1}';
    const answer = await post('acme/events/batch', `[${event}]`, { 'content-type': 'application/cloudevents-batch+json' });
    expect(answer).toMatchObject({ status: 202, body: { results: [{ id: 'c-0' }] } });
  });
});

describe('the REST door refuses', () => {
  it.each<[string, string, string, Record<string, string>, number, string, string | undefined]>([
    ['malformed JSON', 'acme/events', '{"id":"q-1","type":', {}, 400, 'malformed', undefined],
    ['no type', 'acme/events', '{"id":"q-2","data":1}', {}, 422, 'invalid', 'type'],
    ['no type, binary', 'acme/events', '"q-3"', { 'ce-id': 'q-3' }, 422, 'invalid', 'ce-type'],
    ['an unknown tenant', 'nobody/events', '{"id":"q-4","type":"a","data":1}', {}, 404, 'not_found', 'tenant'],
    ['300 KiB', 'acme/events', `{"id":"q-5","type":"a","data":${tooMuch}}`, {}, 413, 'too_large', 'data'],
    ["another tenant's event", 'acme/events', '{"id":"q-6","type":"a","data":1,"tenant":"default"}', {}, 422, 'invalid', 'tenant'],
    ['a form', 'acme/events', 'q-7=1', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'unsupported_media_type', 'content-type'],
    ['a body coded by Brotli', 'acme/events', 'q-8', { 'content-encoding': 'br' }, 415, 'unsupported_media_type', 'content-encoding'],
    ['a batch that is no JSON', 'acme/events/batch', '{"q-9"', {}, 400, 'malformed', undefined],
    ['a batch of none', 'acme/events/batch', '{"events":[],"q-10":1}', {}, 422, 'invalid', 'q-10'],
  ])('%s', async (_, path, body, headers, status, code, field) => {
    const answer = await post(path, body, { cookie: 'a=secret', ...headers });
    expect(answer).toMatchObject({ status, type: expect.stringContaining('application/problem+json'), body: { code } });
    expect((answer.body as { errors?: { path: string }[] }).errors?.[0]?.path).toBe(field);

    const [mark] = /q-\d+/.exec(body) ?? [];
    const rejection = await rejectedWith(({ value, door }) => door === 'rest' && new RegExp(`${mark}\\b`).test(value ?? ''));
    expect(rejection).toMatchObject({ tenant: path.split('/')[0], truncated: false });
    expect(rejection.reason.path).toBe(field);
    expect(JSON.stringify(rejection)).not.toMatch(/secret|phk_/);
  });

  it('who has no key', async () => {
    expect((await post('acme/events', '{"type":"a","data":1}', { authorization: '' })).status).toBe(401);
  });
});

describe('the process', () => {
  it('says that it is ready, and what it has done', async () => {
    expect((await fetch(`${service.url}/readyz`)).status).toBe(200);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    for (const door of ['kafka', 'rest']) {
      expect(metrics).toMatch(new RegExp(`posthorn_ingestion_events_total\\{door="${door}",outcome="accepted".*\\} [1-9]`));
      expect(metrics).toMatch(new RegExp(`posthorn_ingestion_events_total\\{door="${door}",outcome="rejected".*\\} [1-9]`));
    }
    expect(metrics).toContain('posthorn_ingestion_duration_seconds_bucket');
    expect(metrics).toContain(`posthorn_consumer_lag{topic="${prefix}.events.inbound.v1"`);
  });

  it('may be killed at any time: no event is lost, and one that is accepted twice is the same event', async () => {
    const count = 3000;
    const mine = () => kafka.accepted.all.filter(({ envelope }) => envelope.type === 'kill.test');
    const numbers = () => new Set(mine().map(({ data }) => data.toString()));
    const sent = Promise.all(Array.from({ length: count }, (_, n) => kafka.send('events.inbound', `{"type":"kill.test","data":${n}}`)));
    await kafka.accepted.until(() => mine().length > 0);
    await service.stop('SIGKILL');
    await sent;
    service = await startService(prefix);
    await kafka.accepted.until(() => numbers().size === count);
    // What was accepted twice has the same id and the same day both times.
    const distinct = new Set(mine().map(({ envelope, data }) => `${envelope.id} ${envelope.acceptedtime} ${data.toString()}`));
    expect(distinct.size).toBe(count);
  });
});
