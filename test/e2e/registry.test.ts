import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { CreatedApiKey, EnabledSubscription, HistoryEntry, SecretView, SubscriptionView } from '@posthorn/contracts';
import { eventually, startReceiver, type Receiver } from '@posthorn/testkit';
import { Posthorn } from '../support/posthorn.js';

jest.setTimeout(120_000);

const SUBSCRIPTIONS = '/v1/tenants/default/subscriptions';
const PATIENCE = { timeoutMs: 30_000 } as const;

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('registry');
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

const publish = (type: string, data: object): Promise<{ readonly id: string }> => posthorn.api.ask('POST', '/v1/tenants/default/events', { type, data });
const arrivalOf = (path: string, id: string) => receiver.waitFor((request) => request.path === path && request.headers['webhook-id'] === id, PATIENCE);

describe('a filter', () => {
  it('lets through only what it is true for, from the next event on', async () => {
    const subscription = await posthorn.subscribe({
      url: `${receiver.url}/filtered`,
      event_types: ['order.created'],
      filter: 'data.amount > 100 && data.currency == "EUR"',
    });
    const small = await publish('order.created', { amount: 7, currency: 'EUR' });
    const large = await publish('order.created', { amount: 700, currency: 'EUR' });
    await arrivalOf('/filtered', large.id);
    expect((await posthorn.routingOf(small.id)).subscriptions).not.toContain(subscription.id);

    await posthorn.api.ask('PATCH', `${SUBSCRIPTIONS}/${subscription.id}`, { filter: null });
    const unfiltered = await publish('order.created', { amount: 7, currency: 'EUR' });
    await arrivalOf('/filtered', unfiltered.id);
    expect(receiver.requests.filter(({ path }) => path === '/filtered')).toHaveLength(2);
  });
});

describe('a rotated secret', () => {
  it('signs together with the one before it, until the overlap is over', async () => {
    const { id, secret: before } = await posthorn.subscribe({ url: `${receiver.url}/rotated`, event_types: ['rotated'] });
    const { secret: after } = await posthorn.api.ask<SecretView>('POST', `${SUBSCRIPTIONS}/${id}/rotate-secret`, {});
    expect(after).toMatch(/^whsec_/);
    expect(after).not.toBe(before);
    const during = await arrivalOf('/rotated', (await publish('rotated', {})).id);
    for (const secret of [before, after ?? '']) expect(receiver.verify(during, secret)).toEqual({ valid: true });

    await posthorn.api.ask('POST', `${SUBSCRIPTIONS}/${id}/rotate-secret`, { overlap: '0s' });
    const { secret: last, previous } = await posthorn.api.get<SecretView>(`${SUBSCRIPTIONS}/${id}/secret`);
    expect(previous).toEqual([]);
    const afterwards = await arrivalOf('/rotated', (await publish('rotated', {})).id);
    expect([before, after ?? '', last ?? ''].map((secret) => receiver.verify(afterwards, secret).valid)).toEqual([false, false, true]);
  });
});

describe('a receiver that says 410', () => {
  it('is disabled as gone, which is an operational event and stands in the history; enabling tells what was missed', async () => {
    receiver.replyAt('/gone', { status: 410 }, { status: 200 });
    const { id } = await posthorn.subscribe({ url: `${receiver.url}/gone`, event_types: ['gone.event'] });
    const first = await publish('gone.event', {});
    await arrivalOf('/gone', first.id);
    const disabled = await eventually(
      async () => {
        const view = await posthorn.api.get<SubscriptionView>(`${SUBSCRIPTIONS}/${id}`);
        return view.enabled ? undefined : view;
      },
      { ...PATIENCE, describe: 'the subscription to be disabled' },
    );
    expect(disabled).toMatchObject({ disabled_reason: 'gone' });
    expect(await posthorn.operation(({ subject }) => subject === id)).toMatchObject({
      type: 'subscription.disabled',
      tenant: 'default',
      data: { reason: 'gone' },
    });
    const delivery = await posthorn.deliveryOf(first.id, 'failed');
    const history = await posthorn.api.list<HistoryEntry>(`${SUBSCRIPTIONS}/${id}/history`);
    expect(history.at(-1)).toMatchObject({ type: 'SubscriptionDisabled', actor: 'subscription-registry', cause: expect.stringContaining(delivery.id) });

    const missed = await publish('gone.event', {});
    await eventually(async () => (await posthorn.api.call('GET', `/v1/tenants/default/events/${missed.id}`)).status === 200, {
      ...PATIENCE,
      describe: 'the audit to know the event',
    });
    const enabled = await posthorn.api.ask<EnabledSubscription>('POST', `${SUBSCRIPTIONS}/${id}/enable`);
    expect(enabled).toMatchObject({ enabled: true, missed: { deliveries: 1, at_least: false, replay: { method: 'POST', body: { to_subscription: id } } } });
    await arrivalOf('/gone', (await publish('gone.event', {})).id);
  });
});

describe('an API key', () => {
  it('opens at every service what its scopes name, and nothing once it is revoked', async () => {
    const { id, key } = await posthorn.api.ask<CreatedApiKey>('POST', '/v1/api-keys', {
      name: 'a producer',
      scopes: ['events:write', 'audit:read', 'registry:read'],
      tenant: 'default',
    });
    const api = posthorn.apiOf(key);
    const doors = [
      () => api.call('POST', '/v1/tenants/default/events', { type: 'any', data: {} }),
      () => api.call('GET', '/v1/tenants/default/events'),
      () => api.call('GET', SUBSCRIPTIONS),
    ];
    for (const door of doors) expect((await door()).status).toBeLessThan(300);
    await posthorn.api.ask('DELETE', `/v1/api-keys/${id}`);
    for (const door of doors) {
      await eventually(async () => (await door()).status === 401, { timeoutMs: 5_000, everyMs: 20, describe: 'the key to be refused' });
    }
  });
});
