import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventIdOfRecord } from '@posthorn/contracts';
import { makeTopicOfOthers, openKafka, type Service, startService } from './support.js';

jest.setTimeout(90_000);

const KILOBYTE = 1024;
const prefix = `t${randomBytes(6).toString('hex')}`;
const TRACE = `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01`;

let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;
let orders: string;
let cloudEvents: string;
/** Made only while the service waits for it. */
const late = `${prefix}late.events.inbound.v1`;

const bindings = () => [
  {
    topic: orders,
    event: {
      tenant: { header: 'x-tenant' },
      type: { pointer: '/kind' },
      subject: { pointer: '/order/number' },
      key: { record: 'key' },
    },
  },
  { topic: cloudEvents },
  { topic: late, event: { tenant: { constant: 'acme' }, type: { constant: 'late.one' } } },
];

beforeAll(async () => {
  kafka = await openKafka(prefix);
  for (const tenant of ['default', 'acme']) await kafka.createTenant(tenant);
  orders = await makeTopicOfOthers(`${prefix}orders`, 5);
  cloudEvents = await makeTopicOfOthers(`${prefix}clouds`, 1);
  service = await startService(prefix, {
    POSTHORN_INBOUND_BINDINGS: JSON.stringify(bindings()),
    POSTHORN_MAX_EVENT_BYTES: String(900 * KILOBYTE),
  });
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await kafka?.close();
});

const acceptedWith = (id: string) => kafka.accepted.first(({ envelope }) => envelope.id === id);
const readiness = async () => {
  const response = await fetch(`${service.url}/readyz`);
  return { status: response.status, body: (await response.json()) as { reasons?: { name: string; reason: string }[] } };
};

/** Until what is asked for is so; jest's timeout ends the wait. */
const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  while (!(await isSo())) await new Promise((resolve) => void setTimeout(resolve, 50));
};

describe('a topic of others', () => {
  it('is read as its binding says, its data byte for byte', async () => {
    const value = '\n{"kind":"order.placed","z":12345678901234567890,"order":{"number":1.0},"é":"\\u00e9"} ';
    await kafka.sendTo(orders, { value, key: 'k1', partition: 4, headers: { 'x-tenant': 'acme', traceparent: TRACE } });
    const { envelope, data, key } = await kafka.accepted.first(({ envelope }) => envelope.type === 'order.placed');
    expect(data.toString()).toBe(value);
    expect(key).toBe('k1');
    expect(envelope).toMatchObject({ tenant: 'acme', subject: '1.0', source: `/kafka/${orders}`, traceparent: TRACE });
    expect(envelope.id).toBe(eventIdOfRecord(orders, 4, '0', Date.parse(envelope.acceptedtime)));
  });

  it('has its bad records refused, its tombstones skipped, and what stands beside them let through', async () => {
    const headers = { 'x-tenant': 'acme' };
    const values = ['{"kind":"o.0"}', '{"kind":', Buffer.from([0xff, 0x00]), null, '{"kind":"o.1"}', '{}', '{"kind":"o.2"}'];
    for (const value of values) await kafka.sendTo(orders, { value, partition: 3, headers });
    await kafka.sendTo(orders, { value: '{"kind":"o.3"}', partition: 3, headers: { 'x-tenant': 'nobody' } });
    await kafka.sendTo(orders, { value: '{"kind":"o.4"}', partition: 3 });
    await kafka.sendTo(orders, { value: '{"kind":"o.5"}', partition: 3, headers });

    for (const n of [0, 1, 2, 5]) await kafka.accepted.first(({ envelope }) => envelope.type === `o.${n}`);
    const mine = () => kafka.rejected.all.filter(({ record }) => record?.topic === orders);
    await kafka.rejected.until(() => mine().length === 5);
    const told = mine().toSorted((a, b) => Number(a.record?.offset) - Number(b.record?.offset));
    expect(told).toMatchObject([
      { record: { partition: 3, offset: '1' }, reason: { code: 'malformed', path: 'data' }, value: '{"kind":', tenant: 'acme' },
      { record: { offset: '2' }, reason: { code: 'malformed', path: 'data' }, value_base64: '/wA=' },
      { record: { offset: '5' }, reason: { code: 'invalid', path: 'data.kind' } },
      { record: { offset: '7' }, reason: { code: 'unknown_tenant', path: 'x-tenant' }, tenant: 'nobody' },
      { record: { offset: '8' }, reason: { code: 'invalid', path: 'x-tenant' } },
    ]);
    expect(new Set(told.map(({ rejection_id }) => rejection_id)).size).toBe(5);
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    expect(metrics).toMatch(/posthorn_ingestion_events_total\{door="kafka",outcome="skipped".*\} 1\n/);
  });

  it('without a mapping is read in the forms of events.inbound', async () => {
    await kafka.sendTo(cloudEvents, {
      value: '{"specversion":"1.0","id":"ce-1","source":"/s","type":"a","tenant":"acme","data":1.0}',
      headers: { 'content-type': 'application/cloudevents+json' },
    });
    expect((await acceptedWith('ce-1')).data.toString()).toBe('1.0');
    const bytes = Buffer.from([0, 0xff, 0x0a]);
    await kafka.sendTo(cloudEvents, { value: bytes, headers: { ce_id: 'ce-2', ce_type: 'a', 'content-type': 'application/protobuf' } });
    expect((await acceptedWith('ce-2')).data.equals(bytes)).toBe(true);
  });

  it('that is not there keeps the service from being ready, not from working, and is read when it comes', async () => {
    await until(async () => (await readiness()).body.reasons?.some(({ reason }) => reason === `there is no topic ${late}`) === true);
    const { status, body } = await readiness();
    expect([status, body.reasons?.map(({ name }) => name)]).toEqual([503, [`kafka door ${late}`]]);

    expect(await makeTopicOfOthers(`${prefix}late`, 2)).toBe(late);
    await kafka.sendTo(late, { value: '1' });
    await kafka.accepted.first(({ envelope }) => envelope.type === 'late.one');
    await until(async () => (await readiness()).status === 200);
  });
});

describe('on events.inbound', () => {
  it('a record that is refused keeps its bytes', async () => {
    const value = Buffer.concat([Buffer.from('{"id":"poison'), Buffer.alloc(1200 * KILOBYTE, 0xc3)]);
    await kafka.send('events.inbound', value, { partition: 7 });
    const rejection = await kafka.rejected.first(({ record }) => record?.partition === 7 && record.topic.startsWith(`${prefix}.`));
    expect(rejection.truncated).toBe(false);
    expect(Buffer.from(rejection.value_base64 ?? '', 'base64').equals(value)).toBe(true);
    expect(rejection.rejection_id).toMatch(/^rej_[\da-f]{32}$/);
  });

  it.each([
    ['JSON', Buffer.from(`"${'x'.repeat(890 * KILOBYTE)}"`), 'application/json'],
    ['bytes, which are a third longer in a record', randomBytes(890 * KILOBYTE), 'application/octet-stream'],
  ])('an event of 890 KiB gets through: %s', async (name, value, contentType) => {
    const id = `large ${name}`;
    await kafka.send('events.inbound', value, { headers: { ce_id: id, ce_type: 'large', 'content-type': contentType } });
    expect((await acceptedWith(id)).data.equals(value)).toBe(true);
  });

  it('an event without a value goes on without data', async () => {
    await kafka.send('events.inbound', null, { headers: { ce_id: 'no-data', ce_type: 'a' } });
    expect((await acceptedWith('no-data')).data.toString()).toBe('null');
    await kafka.send('events.inbound', null, { headers: { ce_id: 'no-bytes', ce_type: 'a', 'content-type': 'image/png' } });
    expect((await acceptedWith('no-bytes')).data.length).toBe(0);
  });
});

const said = { specversion: '1.0', type: 'com.example.someevent', source: '/mycontext/subcontext', time: '2018-04-05T03:56:24Z' };
const inHeaders = (id: string, more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
  ...Object.fromEntries(Object.entries({ ...said, id }).map(([name, value]) => [`ce_${name}`, value])),
  ...more,
});
const inBody = (id: string, more: object): string => JSON.stringify({ ...said, id, ...more });
const avro = Buffer.from([0x4f, 0x62, 0x6a, 0x01, 0x00, 0xff]);

/** After the examples of the Kafka binding 1.0.2, and what its text says beside them. */
describe('a CloudEvent over Kafka is taken', () => {
  it.each<[string, Buffer | string | null, Record<string, string>, object, Buffer | string]>([
    ['binary mode (3.2.5)', avro, inHeaders('k-avro', { 'content-type': 'application/avro' }), { ...said, id: 'k-avro', datacontenttype: 'application/avro' }, avro],
    ['binary mode without a content type', '{"a":1.0}', inHeaders('k-untyped'), { ...said, id: 'k-untyped' }, '{"a":1.0}'],
    ['binary mode with attributes in UTF-8 (3.2.4.2)', '1', inHeaders('k-utf8', { ce_subject: 'Euro € 😀 %41', ce_comexample: 'é' }), { id: 'k-utf8', subject: 'Euro € 😀 %41', extensions: { comexample: 'é' } }, '1'],
    ['binary mode, without data', null, inHeaders('k-none'), { ...said, id: 'k-none' }, 'null'],
    ['structured mode (3.3.3)', inBody('k-structured', { data: { a: 1 } }), { 'content-type': 'application/cloudevents+json; charset=UTF-8' }, { ...said, id: 'k-structured' }, '{"a":1}'],
    ['structured mode with headers besides: the body counts', inBody('k-body', { data: 1 }), { ...inHeaders('k-header'), 'content-type': 'application/cloudevents+json' }, { id: 'k-body' }, '1'],
    ['structured mode with data that is null', inBody('k-null', { data: null }), { 'content-type': 'application/cloudevents+json' }, { id: 'k-null' }, 'null'],
    ['structured mode with bytes', inBody('k-bytes', { datacontenttype: 'application/avro', data_base64: avro.toString('base64') }), { 'content-type': 'application/cloudevents+json' }, { id: 'k-bytes' }, avro],
    ['structured mode with text', inBody('k-text', { datacontenttype: 'text/xml', data: '<much wow="xml"/>' }), { 'content-type': 'application/cloudevents+json' }, { id: 'k-text' }, '<much wow="xml"/>'],
    ['an extension by the name of an encoding, which 1.0 does not know', '"QQ=="', inHeaders('k-encoding', { ce_datacontentencoding: 'base64' }), { extensions: { datacontentencoding: 'base64' } }, '"QQ=="'],
  ])('in %s', async (_, value, headers, expected, data) => {
    await kafka.send('events.inbound', value, { headers });
    const { envelope, data: told } = await acceptedWith(String('id' in expected ? expected.id : 'k-encoding'));
    expect(envelope).toMatchObject(expected);
    expect(told).toEqual(Buffer.from(data));
  });
});

describe('order', () => {
  it('is kept for every ordering key, whatever is refused and whoever is unknown in between', async () => {
    const keys = Array.from({ length: 40 }, (_, n) => `order-${n}`);
    const sent = new Map<string, number[]>();
    const sends: Promise<void>[] = [];
    for (let n = 0; n < 4_000; n++) {
      const key = keys[(n * 7) % keys.length] ?? '';
      const kind = n % 11;
      // Half of the tenants are created while their events are already there.
      if (n === 1_000) for (let t = 0; t < 5; t++) sends.push(kafka.createTenant(`late-${t}`));
      const tenant = kind === 0 ? 'nobody' : kind % 2 === 0 ? `late-${n % 5}` : 'acme';
      const value = kind === 5 ? `{"type":"order.test","key":"${key}"` : `{"type":"order.test","tenant":"${tenant}","key":"${key}","data":${n}}`;
      if (tenant === 'acme' && kind !== 5) sent.set(key, [...(sent.get(key) ?? []), n]);
      sends.push(kafka.send('events.inbound', value, { key }));
    }
    await Promise.all(sends);
    const mine = () => kafka.accepted.all.filter(({ envelope }) => envelope.type === 'order.test');
    const wanted = [...sent.values()].reduce((sum, { length }) => sum + length, 0);
    await kafka.accepted.until(() => mine().filter(({ envelope }) => envelope.tenant === 'acme').length >= wanted);

    const seen = new Map<string, number[]>();
    for (const { envelope, data } of mine()) {
      const lane = `${envelope.tenant} ${envelope.partitionkey}`;
      seen.set(lane, [...(seen.get(lane) ?? []), Number(data)]);
    }
    for (const [lane, numbers] of seen) expect([lane, numbers]).toEqual([lane, numbers.toSorted((a, b) => a - b)]);
    for (const [key, numbers] of sent) expect(seen.get(`acme ${key}`)).toEqual(numbers);
  });
});
