import { hash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { ApiKeyState } from '@posthorn/contracts';
import { CREATED_AT, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;

beforeAll(async () => {
  const prefix = `t${randomBytes(6).toString('hex')}`;
  kafka = await openKafka(prefix);
  await kafka.createTenant('acme');
  await kafka.createTenant('other');
  service = await startService(prefix);
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await kafka?.close();
});

const newKey = () => `phk_${randomBytes(32).toString('base64url')}`;

/** Published as the registry does, a moment before it is used. */
const keyWith = async (more: Partial<ApiKeyState>) => {
  const key = newKey();
  const id = `key_${randomBytes(16).toString('hex')}`;
  await kafka.publishState({
    kind: 'api_key',
    id,
    name: 'of a test',
    hash: hash('sha256', key, 'hex'),
    prefix: key.slice(0, 12),
    scopes: ['events:write'],
    created_at: CREATED_AT,
    ...more,
  });
  return { id, key };
};

const publish = async (key: string, tenant = 'acme') => {
  const response = await fetch(`${service.url}/v1/tenants/${tenant}/events`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: '{"type":"invoice.paid","data":1}',
  });
  return response.status;
};

describe('a key may publish', () => {
  it('from the moment it is in registry.state until its end is', async () => {
    const { id, key } = await keyWith({});
    expect(await publish(key)).toBe(202);
    await kafka.publishEnd('api_key', id);
    // A stranger is refused only after everything published so far has been read, the end of the key included.
    expect(await publish(newKey())).toBe(401);
    expect(await publish(key)).toBe(401);
  });

  it('for its own tenant only', async () => {
    const { key } = await keyWith({ tenant: 'acme' });
    expect([await publish(key), await publish(key, 'other'), await publish(key, 'nowhere')]).toEqual([202, 404, 404]);
  });

  it('only with the scope for it', async () => {
    const { key } = await keyWith({ scopes: ['registry:write', 'audit:read'] });
    expect(await publish(key)).toBe(403);
    expect(await publish((await keyWith({ scopes: ['admin'], tenant: 'acme' })).key)).toBe(202);
  });

  it('until it expires', async () => {
    const { key } = await keyWith({ expires_at: new Date(Date.now() - 1).toISOString() });
    expect(await publish(key)).toBe(401);
  });
});
