import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { accepted, envelopeOf, registryEvent, routed } from './records.js';
import { World } from './world.js';

const EVENT = envelopeOf('e', '2026-11-20T08:00:00.000Z', { tenant: 'acme' });

const made = (id: string, position: number) =>
  registryEvent(id, position, 'SubscriptionCreated', { id, tenant: 'acme', name: id, event_types: ['invoice.*'], enabled: true, policy: {} }, { version: 1 });

/** Its maker has been answered: the registry's state is in Kafka, its log is on the way. */
describe('a subscription that was made just now', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
    await world.publish([accepted(EVENT), routed(EVENT, [], { position: 0 })]);
    await world.service.ready();
    await eventually(async () => (await world.count('events')) === 1);
  }, 60_000);
  afterAll(() => world.close());

  const toldOf = async (id: string, position: number, path: string) => {
    await world.publishState('subscription', id, null, position);
    const asked = world.service.get(`/v1/tenants/acme/${path}`);
    await world.publish([made(id, position)]);
    return asked;
  };

  it('has statistics', async () => {
    expect((await toldOf('sub_1', 1, 'subscriptions/sub_1/stats')).status).toBe(200);
    expect((await world.service.get('/v1/tenants/acme/subscriptions/sub_none/stats')).status).toBe(404);
  });

  it('is known to have come after an event', async () => {
    expect((await toldOf('sub_2', 2, 'events/e/explain?subscription=sub_2')).body).toMatchObject({ result: 'created_after' });
  });

  it('may be there, as far as anybody can say, while the log stays away', async () => {
    await world.publishState('subscription', 'sub_3', null, 4);
    expect(await world.service.get('/v1/tenants/acme/subscriptions/sub_3/stats')).toMatchObject({ status: 503, body: { code: 'unavailable' } });
  });
});
