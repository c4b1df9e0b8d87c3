import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createWorld, eventIn, idsIn, positionOf, type Service, type World } from './world.js';

const wanted = { name: 'Billing', url: 'https://example.com/in', event_types: ['invoice.*'] };

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

const createTenant = async (id: string): Promise<void> => {
  await expect(service.call('POST', '/tenants', { id })).resolves.toMatchObject({ status: 201 });
};
const createMany = async (tenant: string, count: number): Promise<void> => {
  const subscriptions = Array.from({ length: count }, () => wanted);
  await expect(service.call('POST', `/tenants/${tenant}/subscriptions/batch`, { subscriptions })).resolves.toMatchObject({ status: 200 });
};

describe('tenants', () => {
  it('begin with one called default, which cannot be deleted', async () => {
    await expect(service.call('GET', '/tenants/default')).resolves.toMatchObject({ status: 200, body: { id: 'default', name: 'Default' } });
    await expect(service.call('DELETE', '/tenants/default')).resolves.toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  it('are created once, with the settings that are not given by default', async () => {
    const created = await service.call('POST', '/tenants', { id: 'acme', name: 'Acme', settings: { retention: '24h' } });
    expect(created).toMatchObject({ status: 201 });
    expect(created.body).toEqual({
      id: 'acme',
      name: 'Acme',
      settings: { schema_policy: 'warn', unknown_event_types: 'accept', retention: '24h' },
      version: 1,
      created_at: expect.any(String),
      updated_at: created.body['created_at'],
    });
    expect(created.headers.get('etag')).toBe('"1"');
    expect(positionOf(created)).toBeGreaterThan(0);
    await expect(service.call('POST', '/tenants', { id: 'acme' })).resolves.toMatchObject({ status: 409, body: { code: 'already_exists' } });
    await expect(service.call('POST', '/tenants', { id: 'No Good' })).resolves.toMatchObject({ status: 422 });
    await expect(service.call('GET', '/tenants/nobody')).resolves.toMatchObject({ status: 404 });
    expect(idsIn(await service.call('GET', '/tenants'))).toEqual(expect.arrayContaining(['acme', 'default']));
  });

  it('are changed member by member, at the version that is meant', async () => {
    await createTenant('changing');
    const changed = await service.call('PATCH', '/tenants/changing', { settings: { schema_policy: 'reject' } }, { 'if-match': '"1"' });
    expect(changed).toMatchObject({
      status: 200,
      body: { name: 'changing', settings: { schema_policy: 'reject', unknown_event_types: 'accept', retention: '720h' }, version: 2 },
    });
    const late = await service.call('PATCH', '/tenants/changing', { name: 'Late' }, { 'if-match': '"1"' });
    expect(late).toMatchObject({ status: 412, body: { current_version: 2 } });
    await expect(service.call('PATCH', '/tenants/nobody', { name: 'N' })).resolves.toMatchObject({ status: 404 });
    await expect(service.call('PATCH', '/tenants/changing', { settings: { retention: '1h' } })).resolves.toMatchObject({
      status: 422,
      body: { errors: [{ path: 'settings.retention' }] },
    });
  });
});

it('a key of one tenant sees that tenant alone', async () => {
  await createTenant('alone');
  const { body } = await service.call('POST', '/api-keys', { name: 'K', scopes: ['registry:read'], tenant: 'alone' });
  const authorization = `Bearer ${String(body['key'])}`;
  const list = await service.call('GET', '/tenants', undefined, { authorization });
  expect(list.body).toEqual({ data: [expect.objectContaining({ id: 'alone' })] });
  await expect(service.call('GET', '/tenants/default', undefined, { authorization })).resolves.toMatchObject({ status: 404 });
  await expect(service.call('POST', '/tenants', { id: 'more' }, { authorization })).resolves.toMatchObject({ status: 403 });
});

describe('deleting a tenant', () => {
  it('takes everything beneath along, the tenant last, and its id is never used again', async () => {
    await createTenant('full');
    for (const count of [1_000, 300]) await createMany('full', count);
    await service.call('POST', '/api-keys', { name: 'K', scopes: ['registry:read'], tenant: 'full' });
    await service.call('PUT', '/tenants/full/event-types/invoice.paid', { description: 'Paid' });
    await expect(service.call('DELETE', '/tenants/full', undefined, { 'if-match': '"7"' })).resolves.toMatchObject({ status: 412 });
    const deleted = await service.call('DELETE', '/tenants/full');
    expect(deleted).toMatchObject({ status: 204 });

    const { rows } = await world.pool.query(
      `select (select count(*)::int from registry.subscriptions where tenant = 'full') as subscriptions,
              (select count(*)::int from registry.api_keys where tenant = 'full') as keys,
              (select count(*)::int from registry.event_types where tenant = 'full') as types,
              (select count(*)::int from registry.tenants where id = 'full') as tenants`,
    );
    expect(rows).toEqual([{ subscriptions: 0, keys: 0, types: 0, tenants: 0 }]);
    const log = (await world.readTopic('registry.log')).map(eventIn);
    const countOf = (wantedType: string): number => log.filter(({ type }) => type === wantedType).length;
    expect(['SubscriptionDeleted', 'ApiKeyRevoked', 'EventTypeDeleted'].map(countOf)).toEqual([1_300, 1, 1]);
    expect(log.at(-1)).toMatchObject({ type: 'TenantDeleted', stream: 'tenant/full', position: positionOf(deleted) });

    const after = await Promise.all([
      service.call('GET', '/tenants/full'),
      service.call('DELETE', '/tenants/full'),
      service.call('GET', '/tenants/full/subscriptions'),
      service.call('POST', '/tenants/full/subscriptions', wanted),
    ]);
    expect(after.map(({ status }) => status)).toEqual([404, 404, 404, 404]);
    await expect(service.call('POST', '/tenants', { id: 'full' })).resolves.toMatchObject({ status: 409 });
  }, 60_000);

  it('leaves nothing behind of what is made at the same time', async () => {
    await createTenant('racing');
    await createMany('racing', 200);
    const deleted = new AbortController();
    const statuses = new Set<number>();
    const creating = async (): Promise<void> => {
      while (!deleted.signal.aborted) statuses.add((await service.call('POST', '/tenants/racing/subscriptions', wanted)).status);
    };
    const creators = Array.from({ length: 4 }, creating);
    const deletion = await service.call('DELETE', '/tenants/racing').finally(() => deleted.abort());
    await Promise.all(creators);
    expect(deletion.status).toBe(204);
    expect([...statuses].every((status) => [201, 404, 409].includes(status))).toBe(true);
    const { rows } = await world.pool.query(`select id from registry.subscriptions where tenant = 'racing'`);
    expect(rows).toEqual([]);
  }, 60_000);

  it('leaves connections to the other writers, however many are deleted at once', async () => {
    const ids = Array.from({ length: 24 }, (_, n) => `crowd-${n}`);
    for (const id of ids) {
      await createTenant(id);
      await createMany(id, 2);
    }
    const deleted = new AbortController();
    const statuses = new Set<number>();
    const writing = async (): Promise<void> => {
      while (!deleted.signal.aborted) statuses.add((await service.call('POST', '/tenants/default/subscriptions', wanted)).status);
    };
    const writers = Array.from({ length: 2 }, writing);
    const deletions = await Promise.all(ids.map((id) => service.call('DELETE', `/tenants/${id}`)));
    deleted.abort();
    await Promise.all(writers);
    expect(new Set(deletions.map(({ status }) => status))).toEqual(new Set([204]));
    expect(statuses).toEqual(new Set([201]));
  }, 60_000);
});
