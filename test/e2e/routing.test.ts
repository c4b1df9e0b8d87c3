import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { startReceiver, type Receiver } from '@posthorn/testkit';
import { Posthorn, type NewSubscription, type Subscription } from '../support/posthorn.js';

jest.setTimeout(120_000);

const FAN_OUT = 50;

let posthorn: Posthorn;
let receiver: Receiver;
let events = 0;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('routing');
  await posthorn.api.ask('POST', '/v1/tenants', { id: 'acme' });
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

/** A subscription whose requests are told from all others by their path. */
const subscribe = (path: string, eventTypes: readonly string[], more: Partial<NewSubscription> = {}, tenant = 'default'): Promise<Subscription> =>
  posthorn.subscribe({ url: `${receiver.url}${path}`, event_types: [...eventTypes], ...more }, tenant);

const publish = async (type: string, tenant = 'default'): Promise<string> => {
  events += 1;
  const id = `event-${events}`;
  await posthorn.produce({ value: JSON.stringify({ id, type, tenant, data: null }) });
  return id;
};

const change = (method: 'PATCH' | 'POST' | 'DELETE', { id, tenant }: Subscription, action = '', body?: object): Promise<unknown> =>
  posthorn.api.ask(method, `/v1/tenants/${tenant}/subscriptions/${id}${action}`, body);

/** Where an event was delivered to, once each subscription that the router matched has got it. */
const deliveredTo = async (eventId: string): Promise<readonly string[]> => {
  const { subscriptions } = await posthorn.routingOf(eventId);
  await posthorn.deliveriesOf(eventId, (all) => all.length === subscriptions.length && all.every(({ status }) => status === 'delivered'));
  return receiver.requests.filter(({ headers }) => headers['webhook-id'] === eventId).map(({ path }) => path).toSorted();
};

describe('an event', () => {
  beforeAll(async () => {
    await subscribe('/exact', ['invoice.paid']);
    await subscribe('/below', ['invoice.*']);
    await subscribe('/two', ['order.placed', 'invoice.item.added', 'invoice.item.*']);
    await subscribe('/acme', ['*'], {}, 'acme');
  });

  it.each([
    ['invoice.paid', ['/below', '/exact']],
    ['invoice.item.added', ['/below', '/two']],
    ['order.placed', ['/two']],
  ])('%s goes to %j', async (type, paths) => {
    expect(await deliveredTo(await publish(type))).toEqual(paths);
  });

  it.each(['invoice', 'invoices.paid', 'order.placed.late'])('%s matches nothing: it is in the audit, without a delivery', async (type) => {
    const id = await publish(type);
    expect(await deliveredTo(id)).toEqual([]);
    expect(await posthorn.api.get(`/v1/tenants/default/events/${id}`)).toMatchObject({ id, type });
  });

  it('of another tenant goes to its own subscriptions, and is not seen from here', async () => {
    const id = await publish('invoice.paid', 'acme');
    await receiver.waitFor(({ path, headers }) => path === '/acme' && headers['webhook-id'] === id);
    expect(receiver.requests.filter(({ path }) => path === '/acme')).toHaveLength(1);
    expect(receiver.requests.filter(({ headers }) => headers['webhook-id'] === id)).toHaveLength(1);
    expect(await posthorn.api.call('GET', `/v1/tenants/default/events/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('goes to who wants everything, too', async () => {
    const all = await subscribe('/all', ['*']);
    expect(await deliveredTo(await publish('invoice.paid'))).toEqual(['/all', '/below', '/exact']);
    expect(await deliveredTo(await publish('something.else'))).toEqual(['/all']);
    await change('DELETE', all);
  });
});

describe('a subscription', () => {
  it('that is disabled gets nothing until it is enabled', async () => {
    const subscription = await subscribe('/switched', ['switched']);
    expect(await deliveredTo(await publish('switched'))).toEqual(['/switched']);
    await change('POST', subscription, '/disable');
    const missed = await publish('switched');
    await change('POST', subscription, '/enable');
    expect(await deliveredTo(await publish('switched'))).toEqual(['/switched']);
    expect(await deliveredTo(missed)).toEqual([]);
  });

  it('that is deleted gets nothing', async () => {
    const subscription = await subscribe('/deleted', ['deleted']);
    await change('DELETE', subscription);
    await subscribe('/its-successor', ['deleted']);
    expect(await deliveredTo(await publish('deleted'))).toEqual(['/its-successor']);
  });

  it('that changes its event types gets what it now asks for', async () => {
    const subscription = await subscribe('/changed', ['changed.before']);
    await change('PATCH', subscription, '', { event_types: ['changed.after'] });
    expect(await deliveredTo(await publish('changed.before'))).toEqual([]);
    expect(await deliveredTo(await publish('changed.after'))).toEqual(['/changed']);
  });

  it.each([
    ['deleted', 'DELETE', ''],
    ['disabled', 'POST', '/disable'],
  ] as const)('that is %s while a delivery waits for its next attempt has it cancelled, with the reason', async (what, method, action) => {
    const type = `meanwhile.${what}`;
    // Time enough for the change to come before the attempt, and not after it.
    const subscription = await subscribe(`/${type}`, [type], { policy: { retry_schedule: ['5s'] } });
    receiver.replyAt(`/${type}`, { status: 500 });
    const id = await publish(type);
    await posthorn.deliveryOf(id, 'retrying');
    await change(method, subscription, action);
    expect(await posthorn.deliveryOf(id, 'cancelled')).toMatchObject({ attempts: 1, last_error: expect.stringContaining(what), finished_at: expect.any(String) });
    expect(receiver.requests.filter(({ path }) => path === `/${type}`)).toHaveLength(1);
  });
});

describe('a fan-out', () => {
  it(`to ${FAN_OUT} subscriptions reaches each once`, async () => {
    const paths = Array.from({ length: FAN_OUT }, (_, i) => `/fan-${String(i).padStart(2, '0')}`);
    const subscriptions = await Promise.all(paths.map((path) => subscribe(path, ['fan.out'])));
    const id = await publish('fan.out');
    expect(await deliveredTo(id)).toEqual(paths);
    const deliveries = await posthorn.deliveriesOf(id, () => true);
    expect(deliveries.map(({ subscription_id }) => subscription_id).toSorted()).toEqual(subscriptions.map((each) => each.id).toSorted());
  });
});
