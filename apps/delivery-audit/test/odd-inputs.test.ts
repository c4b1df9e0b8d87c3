import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deliveryId } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { accepted, attempted, envelopeOf, outcomeOf, registryEvent, routed } from './records.js';
import { World } from './world.js';

const AT = '2026-11-20T10:00:00.000Z';
const EVENT = envelopeOf('e', AT, { tenant: 'acme' });
const ACME = '/v1/tenants/acme';
const DELIVERY = `${ACME}/deliveries/${deliveryId('acme', 'e', 'sub_1')}`;
const DAY = 'from=2026-11-20T00:00:00Z&to=2026-11-21T00:00:00Z';

const tokenOf = (place: unknown): string => Buffer.from(JSON.stringify(place)).toString('base64url');

/** What PostgreSQL, and it alone, does not take: it would be called a fault of ours. */
describe('what no database can hold', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
    await world.publish([
      accepted(EVENT),
      routed(EVENT, ['sub_1']),
      attempted(outcomeOf(EVENT, 'sub_1')),
      registryEvent('sub_1', 1, 'SubscriptionCreated', { id: 'sub_1', tenant: 'acme', name: 'one', event_types: ['invoice.*'], enabled: true, policy: {} }),
    ]);
    await world.service.ready();
    await eventually(async () => (await world.service.get(`${DELIVERY}/attempts`)).status === 200 && (await world.service.get(`${ACME}/subscriptions/sub_1/stats`)).status === 200);
  }, 60_000);
  afterAll(() => world.close());

  it.each([
    ['an event with a NUL in its id, explained', `${ACME}/events/a%00b/explain?subscription=sub_1`, 404],
    ['a subscription with a NUL in its id, explained', `${ACME}/events/e/explain?subscription=a%00b`, 404],
    ['a NUL in a subscription with statistics', `${ACME}/subscriptions/a%00b/stats`, 404],
    ['a NUL in a tenant with statistics', '/v1/tenants/a%00b/stats', 200],
    ['a NUL in the tenant of a subscription with statistics', '/v1/tenants/a%00b/subscriptions/sub_1/stats', 404],
    ['a NUL in a tenant that missed something', `/v1/tenants/a%00b/stats/missed?${DAY}&event_types=*`, 200],
    ['a NUL in a condition', `${ACME}/deliveries?subject=a%00b`, 200],
    ['a NUL in a page token', `${ACME}/events?page_token=${tokenOf([AT, 'a\0b'])}`, 200],
    ['an attempt beyond all integers, in a page token', `${DELIVERY}/attempts?page_token=${tokenOf([2 ** 53 - 1, 1])}`, 422],
    ['statistics of the day before the first', `${ACME}/stats?to=0001-01-01T00:00:00Z`, 422],
  ])('is no fault of ours: %s', async (_, path, status) => {
    expect((await world.service.get(path)).status).toBe(status);
  });

  it.each(['0000-06-01T00:00:00Z', '0001-01-01T00:00:00+01:00'])('is no time to replay from: %s', async (from) => {
    const body = JSON.stringify({ from, to: AT, dry_run: true });
    const { status, body: problem } = await world.service.ask(`${ACME}/replays`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    expect([status, problem]).toMatchObject([422, { code: 'invalid', errors: [{ path: 'from' }] }]);
  });
});
