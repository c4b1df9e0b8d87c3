import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { freePort, startReceiver, type Receiver, type Reply } from '@posthorn/testkit';
import { Webhook } from 'standardwebhooks';
import { Posthorn, type Subscription } from '../support/posthorn.js';

jest.setTimeout(120_000);

/** Around this a wait is drawn, a fifth longer or shorter: never so short that both requests have the second of their timestamps in common. */
const WAIT = '5s';
const SHORTEST_WAIT_MS = 4_000;

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('retries');
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

/** An event for a receiver that answers as told; the event's id, its type and its path are of one name. */
const publishTo = async (name: string, schedule: readonly string[], ...replies: readonly Reply[]): Promise<Subscription> => {
  receiver.replyAt(`/${name}`, ...replies);
  const subscription = await posthorn.subscribe({ url: `${receiver.url}/${name}`, event_types: [name], policy: { retry_schedule: [...schedule] } });
  await posthorn.api.ask('POST', '/v1/tenants/default/events', { id: name, type: name, data: { name } });
  return subscription;
};

const requestsTo = (name: string) => receiver.requests.filter(({ path }) => path === `/${name}`);
const numbersOf = async (name: string): Promise<unknown> => {
  const [delivery] = await posthorn.deliveriesOf(name, (all) => all.length === 1);
  return delivery && (await posthorn.attemptsOf(delivery)).map(({ number, trigger, response }) => [number, trigger, response?.status]);
};

describe('a receiver', () => {
  it('that fails once gets the same event again, after its wait, with a new timestamp', async () => {
    const { secret } = await publishTo('once', [WAIT], { status: 500, body: 'not today' }, { status: 200 });
    const waiting = await posthorn.deliveryOf('once', 'retrying');
    expect(waiting).toMatchObject({ attempts: 1, last_status_code: 500, next_attempt_at: expect.any(String) });

    expect(await posthorn.deliveryOf('once', 'delivered')).toMatchObject({ id: waiting.id, attempts: 2, last_status_code: 200 });
    expect(await numbersOf('once')).toEqual([
      [1, 'first', 500],
      [2, 'retry', 200],
    ]);

    const [first, second, ...more] = requestsTo('once');
    if (first === undefined || second === undefined) throw new Error('there are two requests');
    expect(more).toEqual([]);
    expect(second.headers['webhook-id']).toBe(first.headers['webhook-id']);
    expect(second.body).toEqual(first.body);
    expect(second.atMs - first.atMs).toBeGreaterThanOrEqual(SHORTEST_WAIT_MS);
    expect(second.atMs).toBeGreaterThanOrEqual(Date.parse(String(waiting.next_attempt_at)));
    expect(Number(second.headers['webhook-timestamp'])).toBeGreaterThan(Number(first.headers['webhook-timestamp']));
    for (const { headers, body } of [first, second]) new Webhook(secret).verify(body.toString(), headers as Record<string, string>);
    expect(second.headers['webhook-signature']).not.toBe(first.headers['webhook-signature']);

    const [attempt] = await posthorn.attemptsOf(waiting);
    expect(attempt).toMatchObject({ response: { status: 500, body: 'not today' }, error: { code: 'bad_status', message: expect.stringContaining('500') } });
  });

  it('that always fails ends the delivery when its schedule does', async () => {
    await publishTo('always', ['1s', '1s'], { status: 503 });
    expect(await posthorn.deliveryOf('always', 'failed')).toMatchObject({
      attempts: 3,
      last_status_code: 503,
      last_error: 'bad_status',
      finished_at: expect.any(String),
    });
    expect(await numbersOf('always')).toEqual([
      [1, 'first', 503],
      [2, 'retry', 503],
      [3, 'retry', 503],
    ]);
    expect(requestsTo('always')).toHaveLength(3);
  });

  it('that nobody runs fails the same way, and the audit says why', async () => {
    const url = `http://127.0.0.1:${await freePort('127.0.0.1')}`;
    await posthorn.subscribe({ url, event_types: ['nobody'], policy: { retry_schedule: ['1s'] } });
    await posthorn.api.ask('POST', '/v1/tenants/default/events', { id: 'nobody', type: 'nobody', data: null });
    const delivery = await posthorn.deliveryOf('nobody', 'failed');
    expect(delivery).toMatchObject({ attempts: 2 });
    expect((await posthorn.attemptsOf(delivery)).map(({ error }) => error?.code)).toEqual(['connection_refused', 'connection_refused']);
  });

  it('that answers 410 is not asked again', async () => {
    await publishTo('gone', ['1s', '1s'], { status: 410 });
    expect(await posthorn.deliveryOf('gone', 'failed')).toMatchObject({ attempts: 1, last_status_code: 410 });
    expect(await numbersOf('gone')).toEqual([[1, 'first', 410]]);
  });

  it('that answers with Retry-After is left alone for so long', async () => {
    await publishTo('later', ['1s'], { status: 429, headers: { 'retry-after': '3' } }, { status: 200 });
    await posthorn.deliveryOf('later', 'delivered');
    const [first, second] = requestsTo('later').map(({ atMs }) => atMs);
    expect(Number(second) - Number(first)).toBeGreaterThanOrEqual(3_000);
  });
});
