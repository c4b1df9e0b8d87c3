import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { DeliveryView } from '@posthorn/contracts';
import { startReceiver, type Received, type Receiver } from '@posthorn/testkit';
import { Webhook } from 'standardwebhooks';
import { EventStream } from '../support/event-stream.js';
import { otherProducers } from '../support/other-producer.js';
import { Posthorn, type Subscription } from '../support/posthorn.js';

jest.setTimeout(120_000);

/** Digits, order, spelling and white space that no parser would bring back. */
const DATA = String.raw`{"z":12345678901234567890,"a":1.0, "é":"\u00e9 é \/","list":[1e400,-0]}`;
const TIME = '2026-01-02T03:04:05.678Z';
const BODY = `{"type":"invoice.paid","timestamp":"${TIME}","data":${DATA}}`;

const TENANT = '/v1/tenants/default';
const STRUCTURED = 'application/cloudevents+json';

const plain = (id: string): string => `{"id":"${id}","type":"invoice.paid","time":"${TIME}","subject":"customer-7","data":${DATA}}`;
const cloudEvent = (id: string): string =>
  `{"specversion":"1.0","id":"${id}","source":"/shop","type":"invoice.paid","time":"${TIME}","subject":"customer-7","data":${DATA}}`;
const attributes = (prefix: string, id: string): Record<string, string> => ({
  [`${prefix}specversion`]: '1.0',
  [`${prefix}id`]: id,
  [`${prefix}source`]: '/shop',
  [`${prefix}type`]: 'invoice.paid',
  [`${prefix}time`]: TIME,
  [`${prefix}subject`]: 'customer-7',
  'content-type': 'application/json',
});

let posthorn: Posthorn;
let receiver: Receiver;
let subscription: Subscription;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('main-job');
  subscription = await posthorn.subscribe({ url: `${receiver.url}/webhooks`, event_types: ['invoice.*'], headers: { 'x-shop': 'one' } });
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

const requestFor = (id: string): Promise<Received> =>
  receiver.waitFor(({ headers }) => headers['webhook-id'] === id, { timeoutMs: 30_000 });

/** What the reference implementation says of a request. */
const verified = (secret: string, { headers, body }: Received): unknown => new Webhook(secret).verify(body.toString(), headers as Record<string, string>);

const doors: readonly (readonly [string, (id: string) => Promise<unknown>])[] = [
  ['Kafka, CloudEvents binary', (id) => posthorn.produce({ value: DATA, headers: attributes('ce_', id) })],
  ['Kafka, CloudEvents structured', (id) => posthorn.produce({ value: cloudEvent(id), headers: { 'content-type': STRUCTURED } })],
  ['Kafka, plain JSON', (id) => posthorn.produce({ value: plain(id) })],
  ['REST, plain JSON', (id) => posthorn.api.ask('POST', `${TENANT}/events`, plain(id))],
  ['REST, CloudEvents structured', (id) => posthorn.api.ask('POST', `${TENANT}/events`, cloudEvent(id), { 'content-type': STRUCTURED })],
  ['REST, CloudEvents binary', (id) => posthorn.api.ask('POST', `${TENANT}/events`, DATA, attributes('ce-', id))],
  ['REST, a batch', (id) => posthorn.api.ask('POST', `${TENANT}/events/batch`, `{"events":[${plain(`${id}-other`)},${plain(id)}]}`)],
  [
    'REST, a batch of CloudEvents',
    (id) => posthorn.api.ask('POST', `${TENANT}/events/batch`, `[${cloudEvent(id)}]`, { 'content-type': 'application/cloudevents-batch+json' }),
  ],
];

describe.each(doors.map(([door, publish], i) => [door, `event-${i}`, publish] as const))('an event by %s', (_, id, publish) => {
  beforeAll(async () => {
    await publish(id);
  });

  it('is delivered signed, its data byte for byte', async () => {
    const request = await requestFor(id);
    expect(request).toMatchObject({ method: 'POST', path: '/webhooks' });
    expect(request.body.toString()).toBe(BODY);
    expect(request.headers).toMatchObject({
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(BODY)),
      'user-agent': expect.stringMatching(/^Posthorn\/\d+\.\d+\.\d+$/),
      'webhook-id': id,
      'webhook-timestamp': expect.stringMatching(/^\d{10}$/),
      'webhook-signature': expect.stringMatching(/^v1,[\w+/]{43}=$/),
      traceparent: expect.stringMatching(/^00-[\da-f]{32}-[\da-f]{16}-0[01]$/),
      'x-shop': 'one',
    });
    expect(verified(subscription.secret, request)).toMatchObject({ type: 'invoice.paid', timestamp: TIME });
    expect(() => verified(subscription.secret, { ...request, body: Buffer.from(BODY.replace('1.0', '1')) })).toThrow('No matching signature');
  });

  it('stands in the audit: the event, its delivery, its attempt', async () => {
    const delivery = await posthorn.deliveryOf(id, 'delivered');
    expect(delivery).toMatchObject({
      tenant: 'default',
      event_id: id,
      event_type: 'invoice.paid',
      subscription_id: subscription.id,
      attempts: 1,
      last_status_code: 200,
      finished_at: expect.stringMatching(/Z$/),
    });
    expect(await posthorn.api.get(`${TENANT}/deliveries/${delivery.id}`)).toEqual({ ...delivery, rounds: [] });
    expect(await posthorn.api.list(`${TENANT}/deliveries?event_id=${id}&status=delivered&subject=customer-7`)).toEqual([delivery]);

    const request = await requestFor(id);
    const attempts = await posthorn.attemptsOf(delivery);
    expect(attempts).toEqual([
      {
        round: 0,
        number: 1,
        trigger: 'first',
        subscription_version: 1,
        started_at: expect.any(String),
        duration_ms: expect.any(Number),
        request: { url: subscription.url, headers: expect.objectContaining({ 'webhook-id': id, 'webhook-signature': request.headers['webhook-signature'] }) },
        response: { status: 200, headers: expect.any(Object), body: '', truncated: false },
      },
    ]);

    const { status, text, body } = await posthorn.api.call('GET', `${TENANT}/events/${id}`);
    expect([status, body]).toMatchObject([200, { id, tenant: 'default', type: 'invoice.paid', time: TIME, subject: 'customer-7' }]);
    expect(text).toContain(`"data":${DATA}}`);
    expect(await posthorn.api.list(`${TENANT}/events?event_type=invoice.paid`)).toContainEqual(expect.objectContaining({ id }));
  });
});

describe('the lists', () => {
  it('hold each event and each delivery once, newest first, in pages', async () => {
    await posthorn.deliveryOf('event-6-other', 'delivered');
    const ids = [...doors.map((_, i) => `event-${i}`), 'event-6-other'].toSorted();
    const pages: DeliveryView[][] = [];
    let token = '';
    do {
      const page = await posthorn.api.get<{ data: DeliveryView[]; next_page_token?: string }>(
        `${TENANT}/deliveries?subscription=${subscription.id}&page_size=4${token && `&page_token=${encodeURIComponent(token)}`}`,
      );
      pages.push(page.data);
      token = page.next_page_token ?? '';
    } while (token !== '');
    const deliveries = pages.flat();
    expect(pages.map(({ length }) => length)).toEqual([4, 4, 1]);
    expect(deliveries.map(({ event_id }) => event_id).toSorted()).toEqual(ids);
    const times = deliveries.map(({ created_at }) => created_at);
    expect(times).toEqual(times.toSorted().toReversed());
    expect((await posthorn.api.list<{ id: string }>(`${TENANT}/events`)).map(({ id }) => id).toSorted()).toEqual(ids);
  });

  it('show nothing to whoever has no key', async () => {
    for (const path of ['deliveries', 'events', 'subscriptions']) {
      expect(await posthorn.api.call('GET', `${TENANT}/${path}`, undefined, { authorization: 'Bearer phk_wrong_wrong_wrong' })).toMatchObject({
        status: 401,
        body: { code: 'unauthenticated' },
      });
    }
  });
});

const others = otherProducers();

(others.length > 0 ? describe : describe.skip)('a CloudEvent by a client that is not ours', () => {
  it.each(others.map((other, i) => [other.name, `foreign-${i}`, other] as const))('%s, is delivered and listed', async (_, id, other) => {
    await other.produce({ brokers: process.env['POSTHORN_KAFKA_BROKERS'] ?? '', topic: posthorn.inbound, headers: attributes('ce_', id), value: DATA });
    const request = await requestFor(id);
    expect(request.body.toString()).toBe(BODY);
    verified(subscription.secret, request);
    const delivery = await posthorn.deliveryOf(id, 'delivered');
    expect(await posthorn.api.list(`${TENANT}/deliveries?subscription=${subscription.id}`)).toContainEqual(delivery);
  });
});

it('a delivery is told to whoever watches, in a stream through the gateway', async () => {
  const stream = await EventStream.open(`${posthorn.services.gateway.url}${TENANT}/deliveries/tail?subscription=${subscription.id}`, posthorn.api.authorization);
  await posthorn.api.ask('POST', `${TENANT}/events`, plain('watched'));
  expect(await stream.next()).toMatchObject({ name: 'outcome', id: expect.any(String), data: { event_id: 'watched', status: 'delivered', status_code: 200 } });
  stream.close();
});

it('the audit says afterwards what the topics say', async () => {
  expect(await posthorn.verifyAudit()).toEqual({ exit: 0, said: expect.stringContaining(': equal; ') });
});
