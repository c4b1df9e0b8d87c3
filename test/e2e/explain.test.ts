import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { Explanation, WholeDeliveryView, Page, TimelineEntry } from '@posthorn/contracts';
import { eventually, startReceiver, type Receiver } from '@posthorn/testkit';
import { Posthorn, type NewSubscription, type Subscription } from '../support/posthorn.js';

jest.setTimeout(120_000);

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('explain');
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

const subscribe = (path: string, more: Partial<NewSubscription> = {}): Promise<Subscription> =>
  posthorn.subscribe({ name: path.slice(1), url: `${receiver.url}${path}`, event_types: ['invoice.*'], ...more });

const change = (method: 'PATCH' | 'POST' | 'DELETE', { id }: Subscription, action = '', body?: object): Promise<unknown> =>
  posthorn.api.ask(method, `/v1/tenants/default/subscriptions/${id}${action}`, body);

const publish = (id: string, type = 'invoice.paid', data: unknown = { amount: 50 }): Promise<unknown> =>
  posthorn.api.ask('POST', '/v1/tenants/default/events', { id, type, data });

/** Once it is decided about, and recorded, as is meant. */
const explained = (event: string, { id }: Subscription, result: Explanation['result']): Promise<Explanation> => {
  let last: unknown;
  return eventually(
    async () => {
      const { status, body } = await posthorn.api.call('GET', `/v1/tenants/default/events/${event}/explain?subscription=${id}`);
      last = body;
      return status === 200 && (body as Explanation).result === result ? (body as Explanation) : undefined;
    },
    { timeoutMs: 30_000, everyMs: 50, describe: () => `${event} to be explained as ${result}; it is ${JSON.stringify(last)}` },
  );
};

describe('why an event did not reach a subscription: the configuration of its moment', () => {
  let subscription: Subscription;
  let owner: string;

  beforeAll(async () => {
    subscription = await subscribe('/changed', { event_types: ['order.*'], filter: 'data.amount > 100 && event.type != "x"' });
    await publish('of-another-type');
    await change('PATCH', subscription, '', { event_types: ['invoice.*'] });
    await publish('too-small');
    await publish('without-amount', 'invoice.paid', { total: 1 });
    await change('POST', subscription, '/disable');
    await publish('while-disabled');
    await change('POST', subscription, '/enable');
    await change('PATCH', subscription, '', { filter: null });
    await publish('delivered');
    await change('DELETE', subscription);
    await publish('after-its-end');
    owner = (await explained('while-disabled', subscription, 'disabled')).disabled?.by ?? '';
  });

  it('says that its type was not asked for', async () => {
    expect(await explained('of-another-type', subscription, 'type_mismatch')).toMatchObject({ subscription: { version: 1, event_types: ['order.*'] } });
  });

  it('says that its filter was false, with the values that it saw', async () => {
    expect(await explained('too-small', subscription, 'filter_false')).toMatchObject({
      subscription: { version: 2, name: 'changed' },
      filter: {
        expression: 'data.amount > 100 && event.type != "x"',
        saw: [
          { expression: 'data.amount', value: 50 },
          { expression: 'data.amount > 100', value: false },
        ],
      },
    });
  });

  it('says that its filter could not be evaluated', async () => {
    const { filter } = await explained('without-amount', subscription, 'filter_failed');
    expect(filter).toMatchObject({ reason: expect.stringContaining('amount'), saw: expect.arrayContaining([{ expression: 'data.amount', error: expect.any(String) }]) });
  });

  it('says that it was disabled, and by whom', async () => {
    expect(owner).not.toBe('');
    expect(await explained('while-disabled', subscription, 'disabled')).toMatchObject({
      disabled: { reason: 'by_user', by: owner, since: expect.any(String) },
      subscription: { enabled: false, version: 3 },
    });
  });

  it('says that it was delivered, once the filter was gone', async () => {
    expect(await explained('delivered', subscription, 'delivered')).toMatchObject({ delivery: { status: 'delivered', attempts: 1 }, subscription: { version: 5 } });
  });

  it('says that it had been deleted, and by whom', async () => {
    expect(await explained('after-its-end', subscription, 'deleted_before')).toMatchObject({ deleted: { by: owner } });
  });

  it('says that it was made only after', async () => {
    const later = await subscribe('/later');
    expect(await explained('too-small', later, 'created_after')).toMatchObject({ created: { by: owner } });
  });
});

describe('an event that is on its way, or was never let in', () => {
  it('waits for its retry, is told so with the time, and its timeline has each attempt with the version that made it', async () => {
    const subscription = await subscribe('/failing', { event_types: ['failing'], policy: { retry_schedule: ['1h'] } });
    receiver.replyAt('/failing', { status: 500 });
    await publish('to-be-retried', 'failing');
    const { waiting, delivery } = await explained('to-be-retried', subscription, 'waiting');
    expect(waiting).toMatchObject({ cause: 'retry', until: expect.any(String) });
    const path = `/v1/tenants/default/deliveries/${delivery?.id}`;
    expect(await posthorn.api.get<WholeDeliveryView>(path)).toMatchObject({ status: 'retrying', waiting, next_attempt_at: waiting?.until, last_error: 'bad_status', rounds: [] });
    const { data } = await posthorn.api.get<Page<TimelineEntry>>(`${path}/timeline`);
    expect(data.map(({ kind }) => kind)).toEqual(['accepted', 'routed', 'attempt']);
    expect(data[2]).toMatchObject({ trigger: 'first', status: 'retrying', status_code: 500, subscription_version: 1 });
  });

  it('came again, and was let in once: how often is told, whichever door it knocked at', async () => {
    const subscription = await subscribe('/again', { event_types: ['again'] });
    await publish('again', 'again');
    for (let i = 0; i < 3; i += 1) await publish('again', 'again');
    await posthorn.produce({ value: JSON.stringify({ id: 'again', type: 'again', data: null }) });
    await eventually(async () => ((await explained('again', subscription, 'delivered')).duplicates?.count ?? 0) >= 4, { timeoutMs: 30_000, everyMs: 100 });
    expect(await posthorn.api.get('/v1/tenants/default/events/again')).toMatchObject({ duplicates: { count: 4, first_at: expect.any(String) } });
  });

  it('was refused, and why', async () => {
    const subscription = await subscribe('/strict', { event_types: ['*'] });
    expect((await posthorn.api.call('POST', '/v1/tenants/default/events', { id: 'refused', type: 'No Type', data: null })).status).toBe(422);
    expect(await explained('refused', subscription, 'rejected')).toMatchObject({ rejection: { code: 'invalid', path: 'type' } });
  });
});

it('tells nothing to who asks for a subscription of another tenant', async () => {
  await posthorn.api.ask('POST', '/v1/tenants', { id: 'theirs' });
  const theirs = await posthorn.subscribe({ url: `${receiver.url}/theirs`, event_types: ['*'] }, 'theirs');
  await publish('ours', 'invoice.paid');
  await posthorn.routingOf('ours');
  expect(await posthorn.api.call('GET', `/v1/tenants/default/events/ours/explain?subscription=${theirs.id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
});
