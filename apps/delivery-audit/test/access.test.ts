import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { newKey, World } from './world.js';

describe('who may read the history', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
  });
  afterAll(() => world.close());

  const statusesOf = async (key: string, paths: readonly string[]): Promise<readonly number[]> => {
    const answers = await Promise.all(paths.map((path) => world.service.ask(path, { key })));
    return answers.map(({ status }) => status);
  };

  const BELOW = ['events', 'events/e', 'events/e/deliveries', 'deliveries', 'deliveries/d', 'deliveries/d/attempts', 'rejected-events', 'rejected-events/r'];
  const OPEN = [200, 404, 404, 200, 404, 404, 200, 404];
  const all = (status: number) => OPEN.map(() => status);
  const statuses = (key: string, tenant = 'acme') => statusesOf(key, BELOW.map((path) => `/v1/tenants/${tenant}/${path}`));

  it('is a key with the scope for it, of this tenant or of all', async () => {
    expect(await statuses((await world.publishKey({})).key)).toEqual(OPEN);
    const { key } = await world.publishKey({ tenant: 'acme' });
    expect(await statuses(key)).toEqual(OPEN);
    expect(await statuses(key, 'other')).toEqual(all(404));
    expect(await statuses((await world.publishKey({ scopes: ['events:write', 'registry:write', 'audit:write'] })).key)).toEqual(all(403));
  });

  it('is, for what is refused of all tenants, a key of all', async () => {
    const ofAll = ['/v1/rejected-events', '/v1/rejected-events/r'];
    expect(await statusesOf((await world.publishKey({})).key, ofAll)).toEqual([200, 404]);
    expect(await statusesOf((await world.publishKey({ tenant: 'acme' })).key, ofAll)).toEqual([403, 403]);
    expect(await statusesOf((await world.publishKey({ scopes: ['events:write'] })).key, ofAll)).toEqual([403, 403]);
  });

  it('is nobody whose key was revoked', async () => {
    const { id, key } = await world.publishKey({});
    expect(await statuses(key)).toEqual(OPEN);
    await world.publishState('api_key', id, null);
    // A stranger is refused only after everything published so far has been read, the end of the key included.
    expect(await statuses(newKey())).toEqual(all(401));
    expect(await statuses(key)).toEqual(all(401));
  });
});
