import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createWorld, eventIn, idsIn, positionOf, type Service, type World } from './world.js';

const batch = '/tenants/default/subscriptions/batch';
const wanted = (n: number): object => ({ name: `S${n}`, url: `https://example.com/${n}`, event_types: ['invoice.*'] });

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

type Result = { readonly id?: string; readonly name?: string; readonly secret?: string; readonly error?: object };

describe('a batch', () => {
  it('judges, makes and answers each subscription on its own, in their order', async () => {
    const subscriptions = Array.from({ length: 1_000 }, (_, n) => wanted(n));
    subscriptions[1] = { ...wanted(1), url: 'http://example.com' };
    subscriptions[500] = { ...wanted(500), filter: 'event.type ==' };
    subscriptions[999] = { ...wanted(999), colour: 'red' };
    const answer = await service.call('POST', batch, { subscriptions }, { 'idempotency-key': 'the batch' });
    expect(answer).toMatchObject({ status: 200 });
    const results = answer.body['results'] as readonly Result[];
    expect(results).toHaveLength(1_000);
    const httpsRequired = 'https_required: The URL must begin with https://.';
    expect(results[1]).toEqual({ error: { code: 'invalid', message: `url: ${httpsRequired}`, errors: [{ path: 'url', message: httpsRequired }] } });
    expect(results[500]).toMatchObject({ error: { errors: [{ path: 'filter', message: expect.stringMatching(/^line 1, column \d+: /) }] } });
    expect(results[999]).toMatchObject({ error: { errors: [{ path: 'colour', message: 'is not known here' }] } });
    for (const [n, { id, name, secret }] of results.entries()) {
      if ([1, 500, 999].includes(n)) continue;
      expect({ id, name, secret }).toEqual({
        id: expect.stringMatching(/^sub_/),
        name: `S${n}`,
        secret: expect.stringMatching(/^whsec_/),
      });
    }
    const { rows } = await world.pool.query('select count(*)::int as count from registry.subscriptions');
    expect(rows).toEqual([{ count: 997 }]);
    const created = (await world.readTopic('registry.log')).map(eventIn).filter(({ type }) => type === 'SubscriptionCreated');
    expect(created).toHaveLength(997);
    expect(created.at(-1)?.position).toBe(positionOf(answer));

    const again = await service.call('POST', batch, { subscriptions }, { 'idempotency-key': 'the batch' });
    expect(again).toMatchObject({ status: 200, body: answer.body });
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  }, 60_000);

  it('of which nothing is good makes nothing', async () => {
    const answer = await service.call('POST', batch, { subscriptions: [{}, 7] });
    expect(answer).toMatchObject({ status: 200, body: { results: [{ error: { code: 'invalid' } }, { error: { code: 'invalid' } }] } });
    expect(answer.headers.get('posthorn-registry-position')).toBeNull();
  });

  it('may be larger than other bodies, and has an end', async () => {
    const large = { ...wanted(0), description: 'x'.repeat(1_000), filter: `event.type != "${'y'.repeat(3_000)}"` };
    await expect(service.call('POST', batch, { subscriptions: Array.from({ length: 400 }, () => large) })).resolves.toMatchObject({ status: 200 });
    const tooMany = Array.from({ length: 1_001 }, (_, n) => wanted(n));
    await expect(service.call('POST', batch, { subscriptions: tooMany })).resolves.toMatchObject({
      status: 422,
      body: { errors: [{ path: 'subscriptions' }] },
    });
    await expect(service.call('POST', '/tenants/nobody/subscriptions/batch', { subscriptions: [{}] })).resolves.toMatchObject({ status: 404 });
  });

  it('is listed in its order', async () => {
    const { rows } = await world.pool.query<{ id: string }>('select id from registry.subscriptions order by id limit 3');
    expect(idsIn(await service.call('GET', '/tenants/default/subscriptions?page_size=3'))).toEqual(rows.map(({ id }) => id));
  });
});
