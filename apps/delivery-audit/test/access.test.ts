import { hash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SCHEMA_HEADER, SCHEMA_VERSION, type ApiKeyState } from '@posthorn/contracts';
import { World } from './world.js';

const newKey = () => `phk_${randomBytes(32).toString('base64url')}`;

describe('who may read the history', () => {
  let world: World;
  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
  });
  afterAll(() => world.close());

  const state = (id: string, value: string | null) =>
    world.producer.send({
      topic: world.kafka.topic('registry.state'),
      key: id,
      value,
      headers: { [SCHEMA_HEADER]: SCHEMA_VERSION, kind: 'api_key', position: '1' },
    });

  const keyWith = async (more: Partial<ApiKeyState>) => {
    const key = newKey();
    const id = `key_${randomBytes(16).toString('hex')}`;
    const made: ApiKeyState = {
      kind: 'api_key',
      id,
      name: 'of a test',
      hash: hash('sha256', key, 'hex'),
      prefix: key.slice(0, 12),
      scopes: ['audit:read'],
      created_at: '2026-01-02T03:04:05.678Z',
      ...more,
    };
    await state(id, JSON.stringify({ position: 1, version: 1, state: made }));
    return { id, key };
  };

  const statuses = async (key: string, tenant = 'acme'): Promise<readonly number[]> => {
    const paths = ['events', 'events/e', 'events/e/deliveries', 'deliveries', 'deliveries/d', 'deliveries/d/attempts', 'rejected-events', 'rejected-events/r'];
    const answers = await Promise.all(
      paths.map((path) => world.service.get(`/v1/tenants/${tenant}/${path}`, { authorization: `Bearer ${key}` })),
    );
    return answers.map(({ status }) => status);
  };
  const OPEN = [200, 404, 404, 200, 404, 404, 200, 404];
  const all = (status: number) => OPEN.map(() => status);

  it('is a key with the scope for it, of this tenant or of all', async () => {
    expect(await statuses((await keyWith({})).key)).toEqual(OPEN);
    const { key } = await keyWith({ tenant: 'acme' });
    expect(await statuses(key)).toEqual(OPEN);
    expect(await statuses(key, 'other')).toEqual(all(404));
    expect(await statuses((await keyWith({ scopes: ['events:write', 'registry:write', 'audit:write'] })).key)).toEqual(all(403));
  });

  it('is nobody whose key was revoked', async () => {
    const { id, key } = await keyWith({});
    expect(await statuses(key)).toEqual(OPEN);
    await state(id, null);
    // A stranger is refused only after everything published so far has been read, the end of the key included.
    expect(await statuses(newKey())).toEqual(all(401));
    expect(await statuses(key)).toEqual(all(401));
  });
});
