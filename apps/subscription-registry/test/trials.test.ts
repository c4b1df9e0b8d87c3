import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startReceiver, type Receiver } from '@posthorn/testkit';
import { createWorld, type Service, type World } from './world.js';

let world: World;
let service: Service;
let receiver: Receiver;

beforeAll(async () => {
  world = await createWorld();
  receiver = await startReceiver();
  service = await world.boot({ POSTHORN_EGRESS_ALLOW_HTTP: 'true', POSTHORN_EGRESS_ALLOW_CIDRS: '127.0.0.0/8' });
}, 60_000);
afterAll(async () => {
  await receiver.close();
  await world.destroy();
});

const call: Service['call'] = (...request) => service.call(...request);

describe('checking a filter', () => {
  const path = '/tenants/default/filter-check';
  const event = { type: 'invoice.paid', subject: 'inv-1', data: { amount: 12 } };

  it.each([
    [{ filter: 'event.subject == "inv-1" && data.amount > 10', event }, { matches: true, cost: 0 }],
    [{ transform: '{"sum": data.amount * 2}', event }, { result: { sum: 24 }, cost: expect.any(Number) }],
    [{ transform: 'request(data.amount, {"X-Subject": event.subject})', event }, { result: 12, headers: { 'x-subject': 'inv-1' }, cost: expect.any(Number) }],
    [{ filter: 'data.amount >', event }, { error: { message: expect.any(String), position: { offset: 13, line: 1, column: 14 } } }],
  ])('%j', async (body, answer) => {
    const { status, body: answered } = await call('POST', path, body);
    expect([status, answered]).toEqual([200, answer]);
  });

  it('says which member of the event could not be published', async () => {
    const { status, body } = await call('POST', path, { filter: 'true', event: { ...event, time: 'noon' } });
    expect(status).toBe(422);
    expect(body['errors']).toMatchObject([{ path: 'event.time' }]);
  });

  it('is for tenants that there are', async () => {
    expect((await call('POST', '/tenants/nobody/filter-check', { filter: 'true', event })).status).toBe(404);
  });
});

describe('a test of a subscription', () => {
  it('sends the example of the catalogue, signed, with its authentication, and tells what came of it', async () => {
    await call('PUT', '/tenants/default/event-types/order.made', { example: { total: 7 } });
    const made = await call('POST', '/tenants/default/subscriptions', {
      name: 'tried',
      url: `${receiver.url}/tried`,
      event_types: ['order.*', 'order.made'],
      enabled: false,
      authentication: { type: 'token', token: 'a-token' },
    });
    const path = `/tenants/default/subscriptions/${String(made.body['id'])}`;
    receiver.replyAt('/tried', { status: 410 });
    const { status, body } = await call('POST', `${path}/test`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ trigger: 'test', round: 0, number: 1, response: { status: 410 }, error: { code: 'bad_status' } });
    const request = await receiver.waitFor(({ path: at }) => at === '/tried');
    expect(receiver.verify(request, String(made.body['secret']))).toEqual({ valid: true });
    expect(JSON.parse(request.body.toString())).toMatchObject({ type: 'order.made', data: { total: 7 } });
    expect(request.headers['x-auth-token']).toBe('a-token');
    expect(JSON.stringify(body)).not.toContain('a-token');
    expect((await call('GET', path)).body).toMatchObject({ version: 1, enabled: false });
  });

  it('needs a subscription', async () => {
    expect((await call('POST', `/tenants/default/subscriptions/sub_${'0'.repeat(32)}/test`, {})).status).toBe(404);
  });
});
