import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { AskedRound, DeliveryView, DryRun, EnabledSubscription, Rounds, SubscriptionView, WholeReplay } from '@posthorn/contracts';
import { eventually, startReceiver, type Receiver } from '@posthorn/testkit';
import { Posthorn } from '../support/posthorn.js';

jest.setTimeout(120_000);

const TENANT = '/v1/tenants/default';
const PATIENCE = { timeoutMs: 30_000 } as const;

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await Posthorn.start('sending-again');
});

afterAll(async () => {
  await posthorn?.close();
  await receiver?.close();
});

const publish = (type: string, data: object): Promise<{ readonly id: string }> => posthorn.api.ask('POST', `${TENANT}/events`, { type, data });
const requestsFor = (path: string, id: string) => receiver.requests.filter((request) => request.path === path && request.headers['webhook-id'] === id);
const ended = (id: string): Promise<WholeReplay> =>
  eventually(
    async () => {
      const replay = await posthorn.api.get<WholeReplay>(`${TENANT}/replays/${id}`);
      return ['running', 'paused'].includes(replay.status) ? undefined : replay;
    },
    { ...PATIENCE, describe: 'the replay to end' },
  );

describe('the offer that enabling a subscription makes', () => {
  it('sends what it missed: to who asks at once, too', async () => {
    const { id } = await posthorn.subscribe({ url: `${receiver.url}/missed`, event_types: ['missed.*'], filter: 'data.n != 2' });
    await posthorn.api.ask('POST', `${TENANT}/subscriptions/${id}/disable`);
    const missed = [];
    for (const n of [1, 2, 3]) missed.push(await publish('missed.event', { n }));
    await publish('other.event', {});
    const { missed: offered } = await posthorn.api.ask<EnabledSubscription>('POST', `${TENANT}/subscriptions/${id}/enable`);
    const offer = offered?.replay ?? { method: '', path: '', body: {} };
    const replay = await posthorn.api.ask<WholeReplay>(offer.method, offer.path, offer.body);
    expect(await ended(replay.id)).toMatchObject({ status: 'done', matched: 3, done: 2, filtered: 1, to_subscription: id, actor: 'admin' });
    for (const event of [missed[0], missed[2]]) {
      await receiver.waitFor((request) => request.path === '/missed' && request.headers['webhook-id'] === event?.id, PATIENCE);
      const delivery = await posthorn.deliveryOf(event?.id ?? '', 'delivered');
      expect(await posthorn.attemptsOf(delivery)).toMatchObject([{ round: 1, number: 1, trigger: 'replay' }]);
    }
    expect(requestsFor('/missed', missed[1]?.id ?? '')).toEqual([]);
  });
});

describe('a delivery', () => {
  it('is sent again by one call, once, under the same webhook-id', async () => {
    await posthorn.subscribe({ url: `${receiver.url}/again`, event_types: ['again'] });
    const { id } = await publish('again', { n: 1 });
    const delivery = await posthorn.deliveryOf(id, 'delivered');
    const path = `${TENANT}/deliveries/${delivery.id}/redeliver`;
    const key = { 'idempotency-key': 'again-1' };
    const first = await posthorn.api.call('POST', path, undefined, key);
    expect([first.status, first.body]).toEqual([202, expect.objectContaining({ id: delivery.id, status: 'pending', round: 1 })]);
    const repeated = await posthorn.api.call('POST', path, undefined, key);
    expect([repeated.status, repeated.headers.get('idempotency-replayed'), repeated.body]).toEqual([202, 'true', first.body]);
    await eventually(() => requestsFor('/again', id).length === 2, { ...PATIENCE, describe: 'the second request' });
    const again = await posthorn.deliveriesOf(id, ([one]) => one?.status === 'delivered' && one.attempts === 2);
    expect(again).toMatchObject([{ round: 1 }]);
    expect(await posthorn.attemptsOf(delivery)).toMatchObject([{ round: 0, trigger: 'first' }, { round: 1, number: 1, trigger: 'redeliver' }]);
  });

  it('is cancelled while it waits for its next attempt, refused when it has ended, and can be sent again then', async () => {
    receiver.replyAt('/off', { status: 500 }, { status: 200 });
    await posthorn.subscribe({ url: `${receiver.url}/off`, event_types: ['off'], policy: { retry_schedule: ['1h'] } });
    const { id } = await publish('off', {});
    const delivery = await posthorn.deliveryOf(id, 'retrying');
    const redeliver = `${TENANT}/deliveries/${delivery.id}/redeliver`;
    expect(await posthorn.api.call('POST', redeliver, {})).toMatchObject({ status: 409, body: { code: 'conflict' } });
    const cancelled = await posthorn.api.call('POST', `${TENANT}/deliveries/${delivery.id}/cancel`);
    expect([cancelled.status, cancelled.body]).toEqual([202, expect.objectContaining({ status: 'cancelled', last_error: 'cancelled_by_user' })]);
    expect(await posthorn.api.call('POST', `${TENANT}/deliveries/${delivery.id}/cancel`)).toMatchObject({ status: 409, body: { code: 'conflict' } });
    await posthorn.api.ask('POST', redeliver, { force: false });
    await posthorn.deliveryOf(id, 'delivered');
    expect(requestsFor('/off', id)).toHaveLength(2);
  });

  it('of another tenant is not there', async () => {
    await posthorn.api.ask('POST', '/v1/tenants', { id: 'others' });
    const { id } = await publish('again', {});
    const delivery: DeliveryView = await posthorn.deliveryOf(id, 'delivered');
    for (const call of ['redeliver', 'cancel']) {
      expect(await posthorn.api.call('POST', `/v1/tenants/others/deliveries/${delivery.id}/${call}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    }
  });
});

describe('a replay', () => {
  it('is told before what it would send, and refused with the member that is wrong', async () => {
    const subscription = await posthorn.subscribe({ url: `${receiver.url}/dry`, event_types: ['dry'] });
    const { id } = await publish('dry', {});
    await posthorn.deliveryOf(id, 'delivered');
    const body = { from: '2020-01-01T00:00:00Z', to: '2999-01-01T00:00:00Z', subscription: subscription.id };
    const told = await posthorn.api.ask<DryRun>('POST', `${TENANT}/replays`, { ...body, dry_run: true });
    expect(told).toMatchObject({ status: 'dry_run', matched: 1, done: 1, at_least: false, sample: [{ event_id: id, subscription_id: subscription.id }] });
    for (const [wrong, path] of [
      [{ to: '2019-01-01T00:00:00Z' }, 'to'],
      [{ statuses: ['done'] }, 'statuses[0]'],
      [{ statuses: ['failed', 'failed'] }, 'statuses'],
      [{ rate: 0 }, 'rate'],
      [{ to_subscription: 'sub_nobody' }, 'to_subscription'],
      [{ event_types: ['a..b'] }, 'event_types[0]'],
      [{ colour: 'red' }, 'colour'],
    ] as const) {
      expect(await posthorn.api.call('POST', `${TENANT}/replays`, { ...body, ...wrong })).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path }] } });
    }
  });

  it('goes on when the audit is killed in its midst, and each delivery has one round more', async () => {
    const EVENTS = 400;
    const { id: subscription } = await posthorn.subscribe({ url: `${receiver.url}/many`, event_types: ['many'] });
    const from = new Date().toISOString();
    const events = Array.from({ length: EVENTS }, (_, n) => ({ type: 'many', data: { n } }));
    await posthorn.api.ask('POST', `${TENANT}/events/batch`, { events });
    const delivered = async () => (await posthorn.api.list<DeliveryView>(`${TENANT}/deliveries?subscription=${subscription}&status=delivered`)).length;
    await posthorn.until(async () => (await delivered()) === EVENTS, () => 'everything to be delivered');
    const { id } = await posthorn.api.ask<WholeReplay>('POST', `${TENANT}/replays`, { from, to: new Date(Date.now() + 1_000).toISOString(), subscription, rate: 200 });
    const audit = posthorn.services['delivery-audit'];
    await posthorn.until(async () => (await posthorn.api.get<WholeReplay>(`${TENANT}/replays/${id}`)).done >= 50, () => 'some to be asked for');
    await audit.end('SIGKILL');
    await audit.start();
    expect(await ended(id)).toMatchObject({ status: 'done', matched: EVENTS, done: EVENTS });
    const requests = () => receiver.requests.filter(({ path }) => path === '/many').length;
    await posthorn.until(() => requests() >= 2 * EVENTS, () => `everything to be sent again; there were ${requests()} requests`);
    const rounds = (await posthorn.recordsOf<Rounds>('deliveries.rounds')).flatMap(({ value }): readonly AskedRound[] => value?.rounds ?? []).filter(({ replay_id }) => replay_id === id);
    expect([new Set(rounds.map(({ delivery_id }) => delivery_id)).size, new Set(rounds.map(({ round }) => round))]).toEqual([EVENTS, new Set([1])]);
  });

  it('to a subscription that is disabled is refused, with what to do', async () => {
    const { id } = await posthorn.subscribe({ url: `${receiver.url}/closed`, event_types: ['closed'] });
    await posthorn.api.ask<SubscriptionView>('POST', `${TENANT}/subscriptions/${id}/disable`);
    const refused = await posthorn.api.call('POST', `${TENANT}/replays`, { from: '2020-01-01T00:00:00Z', to: '2999-01-01T00:00:00Z', to_subscription: id });
    expect(refused).toMatchObject({ status: 409, body: { code: 'conflict', detail: expect.stringMatching(/Enable it/) } });
  });
});
