import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createWorld, idOf, type Service, type World } from './world.js';

const asked: { readonly url: string; readonly authorization: string }[] = [];
/** In the audit's place. */
let audit: Server;
let world: World;
let service: Service;

beforeAll(async () => {
  audit = createServer(({ url = '', headers: { authorization = '' } }, response) => {
    asked.push({ url, authorization });
    response.end(JSON.stringify({ deliveries: 3, at_least: false }));
  }).listen(0, '127.0.0.1');
  await once(audit, 'listening');
  world = await createWorld();
  service = await world.boot({ POSTHORN_DELIVERY_AUDIT_URL: `http://127.0.0.1:${(audit.address() as AddressInfo).port}` });
}, 60_000);
afterAll(async () => {
  await world.destroy();
  audit.closeAllConnections();
  audit.close();
});

const subscriptions = '/tenants/default/subscriptions';
const disabled = async (): Promise<string> => {
  const id = idOf(await service.call('POST', subscriptions, { name: 'Ledger', url: 'https://example.com/in', event_types: ['invoice.*'] }));
  await service.call('POST', `${subscriptions}/${id}/disable`);
  return id;
};

it('enabling says what was missed, with the call that sends it; the audit is asked with a right to this tenant alone', async () => {
  const id = await disabled();
  const enabled = await service.call('POST', `${subscriptions}/${id}/enable`);
  expect(enabled).toMatchObject({
    status: 200,
    body: { id, enabled: true, missed: { deliveries: 3, at_least: false, replay: { path: '/v1/tenants/default/replays', body: { to_subscription: id } } } },
  });
  const [question] = asked;
  expect(question?.url).toMatch(/^\/v1\/tenants\/default\/stats\/missed\?from=.*&event_types=invoice/);
  const [, claims = ''] = (question?.authorization ?? '').split('.');
  expect(JSON.parse(Buffer.from(claims, 'base64url').toString())).toMatchObject({ sub: 'default', scope: 'audit:read' });
});

it('enabling what is enabled asks nobody', async () => {
  const id = await disabled();
  await service.call('POST', `${subscriptions}/${id}/enable`);
  asked.length = 0;
  const again = await service.call('POST', `${subscriptions}/${id}/enable`);
  expect([again.status, again.body, asked]).toEqual([200, expect.not.objectContaining({ missed: expect.anything() }), []]);
});
