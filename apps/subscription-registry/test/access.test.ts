import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { createWorld, eventIn, stateIn, type Answer, type Service, type World } from './world.js';

jest.setTimeout(60_000);

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
  for (const id of ['acme', 'other']) await call('POST', '/tenants', { id });
});
afterAll(() => world.destroy());

const ADMIN = undefined;

/** As the bearer of this key, or of the admin key. */
const call = (method: string, path: string, body?: unknown, key: string | undefined = ADMIN, at = service): Promise<Answer> =>
  at.call(method, path, body, key === undefined ? {} : { authorization: `Bearer ${key}` });

const idIn = ({ body }: Answer): string => String(body['id']);
const keyIn = ({ body }: Answer): string => String(body['key']);
const idsIn = ({ body }: Answer): readonly string[] => (body['data'] as readonly { id: string }[]).map(({ id }) => id);

const make = async (body: object, key: string | undefined = ADMIN): Promise<{ readonly id: string; readonly key: string }> => {
  const answer = await call('POST', '/api-keys', { name: 'of a test', ...body }, key);
  expect(answer).toMatchObject({ status: 201 });
  return { id: idIn(answer), key: keyIn(answer) };
};

describe('an API key', () => {
  it('is told once, and nowhere else', async () => {
    const made = await call('POST', '/api-keys', { name: 'CI', scopes: ['registry:read'], tenant: 'acme', expires_at: '2036-01-01T01:00:00+01:00' });
    expect(made.status).toBe(201);
    expect(made.headers.get('cache-control')).toBe('no-store');
    const { key, ...view } = made.body;
    expect(view).toEqual({
      id: expect.stringMatching(/^key_[0-9a-f]{32}$/),
      name: 'CI',
      prefix: String(key).slice(0, 12),
      scopes: ['registry:read'],
      tenant: 'acme',
      expires_at: '2036-01-01T00:00:00.000Z',
      created_at: expect.any(String),
    });
    expect(key).toMatch(/^phk_[A-Za-z0-9_-]{43}$/);
    const list = await call('GET', '/api-keys');
    expect(list.body).toMatchObject({ data: expect.arrayContaining([view]) });
    const stored = await world.pool.query('select row_to_json(e)::text as text from registry.events e union all select row_to_json(k)::text from registry.api_keys k');
    const published = [...(await world.readTopic('registry.log')), ...(await world.readTopic('registry.state'))];
    const kept = JSON.stringify([list.body, stored.rows, published]);
    expect(kept).toContain(view['id']);
    expect(kept).not.toContain(key);
  });

  it('does what its scopes allow, for its tenant', async () => {
    const reader = await make({ scopes: ['registry:read'], tenant: 'acme' });
    const statuses = async (path: string) => [
      (await call('GET', path, undefined, reader.key)).status,
      (await call('POST', path, { name: 'n', url: 'https://example.com', event_types: ['*'] }, reader.key)).status,
    ];
    expect(await statuses('/tenants/acme/subscriptions')).toEqual([200, 403]);
    expect(await statuses('/tenants/other/subscriptions')).toEqual([404, 404]);
    expect(await statuses('/tenants/nowhere/subscriptions')).toEqual([404, 404]);
    const foreign = await call('GET', '/tenants/other/subscriptions', undefined, reader.key);
    const absent = await call('GET', '/tenants/nowhere/subscriptions', undefined, reader.key);
    expect(foreign.body).toEqual(absent.body);
    expect((await call('POST', '/tenants', { id: 'mine' }, reader.key)).status).toBe(403);
  });

  it('sees its own tenant only', async () => {
    const { key } = await make({ scopes: ['registry:read'], tenant: 'acme' });
    expect(idsIn(await call('GET', '/tenants', undefined, key))).toEqual(['acme']);
    expect((await call('GET', '/tenants/acme', undefined, key)).status).toBe(200);
    expect((await call('GET', '/tenants/other', undefined, key)).status).toBe(404);
  });

  it('is named as the one who did it', async () => {
    const writer = await make({ scopes: ['registry:write'], tenant: 'acme' });
    const subscription = await call('POST', '/tenants/acme/subscriptions', { name: 'n', url: 'https://example.com', event_types: ['*'] }, writer.key);
    expect(subscription.status).toBe(201);
    const events = (await world.readTopic('registry.log')).map(eventIn);
    expect(events.find(({ stream }) => stream === `subscription/${idIn(subscription)}`)).toMatchObject({ actor: writer.id });
  });

  it('is let in nowhere from the answer to its revocation on', async () => {
    const replica = await world.boot();
    const { id, key } = await make({ scopes: ['registry:read'] });
    const status = async (at: Service) => (await call('GET', '/tenants', undefined, key, at)).status;
    expect([await status(service), await status(replica)]).toEqual([200, 200]);
    const gone = await call('DELETE', `/api-keys/${id}`);
    expect([gone.status, gone.body]).toEqual([204, {}]);
    // A stranger is refused only after everything published so far has been read, the revocation included.
    for (const at of [service, replica]) expect((await call('GET', '/tenants', undefined, `phk_${'x'.repeat(43)}`, at)).status).toBe(401);
    expect([await status(service), await status(replica)]).toEqual([401, 401]);
    expect(idsIn(await call('GET', '/api-keys'))).not.toContain(id);
    expect((await call('DELETE', `/api-keys/${id}`)).status).toBe(404);
  });

  it('shows when it was last used', async () => {
    const { id, key } = await make({ scopes: ['registry:read'] });
    const before = Date.now();
    await call('GET', '/tenants', undefined, key);
    const used = await eventually(async () => {
      const { body } = await call('GET', '/api-keys');
      return (body['data'] as readonly { id: string; last_used_at?: string }[]).find((one) => one.id === id)?.last_used_at;
    });
    expect(Date.parse(used)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(used)).toBeLessThanOrEqual(Date.now());
  });

  it.each([
    ['a tenant that there is not', { scopes: ['registry:read'], tenant: 'nowhere' }, 'tenant'],
    ['an end in the past', { scopes: ['registry:read'], expires_at: '2020-01-01T00:00:00Z' }, 'expires_at'],
    ['no scope', { scopes: [] }, 'scopes'],
    ['a scope twice', { scopes: ['admin', 'admin'] }, 'scopes'],
    ['an unknown scope', { scopes: ['everything'] }, 'scopes[0]'],
  ])('is not made with %s', async (_what, body, path) => {
    const answer = await call('POST', '/api-keys', { name: 'n', ...body });
    expect([answer.status, answer.body]).toEqual([422, expect.objectContaining({ code: 'invalid', errors: [expect.objectContaining({ path })] })]);
  });

  it('is made once, however often the same request comes', async () => {
    const body = { name: 'once', scopes: ['registry:read'], tenant: 'acme' };
    const ask = () => service.call('POST', '/api-keys', body, { 'idempotency-key': 'make-it-once' });
    const [first, second] = [await ask(), await ask()];
    expect([first.status, second.status, second.body]).toEqual([201, 201, first.body]);
    const { rows } = await world.pool.query("select state from registry.api_keys where state->>'name' = 'once'");
    expect(rows).toHaveLength(1);
  });
});

describe("a tenant's admin", () => {
  it('makes, sees and revokes keys of that tenant and no others', async () => {
    const admin = await make({ scopes: ['admin'], tenant: 'acme' });
    const [everywhere, elsewhere] = [await make({ scopes: ['events:write'] }), await make({ scopes: ['events:write'], tenant: 'other' })];
    const own = await make({ scopes: ['events:write'], tenant: 'acme' }, admin.key);
    const made = (tenant: object) => call('POST', '/api-keys', { name: 'n', scopes: ['events:write'], ...tenant }, admin.key);
    expect((await made({})).status).toBe(403);
    expect((await made({ tenant: 'other' })).status).toBe(403);
    expect((await made({ tenant: 'nowhere' })).status).toBe(403);
    const seen = idsIn(await call('GET', '/api-keys', undefined, admin.key));
    expect(seen).toEqual(expect.arrayContaining([admin.id, own.id]));
    expect(seen).not.toEqual(expect.arrayContaining([everywhere.id]));
    expect(seen).not.toEqual(expect.arrayContaining([elsewhere.id]));
    expect((await call('GET', '/api-keys?tenant=other', undefined, admin.key)).status).toBe(404);
    for (const { id } of [everywhere, elsewhere]) expect((await call('DELETE', `/api-keys/${id}`, undefined, admin.key)).status).toBe(404);
    expect((await call('DELETE', `/api-keys/${own.id}`, undefined, admin.key)).status).toBe(204);
  });

  it('may neither make nor delete tenants', async () => {
    const { key } = await make({ scopes: ['admin'], tenant: 'acme' });
    expect((await call('POST', '/tenants', { id: 'more' }, key)).status).toBe(403);
    expect((await call('DELETE', '/tenants/acme', undefined, key)).status).toBe(403);
  });

  it('is the only one to handle keys', async () => {
    const { key } = await make({ scopes: ['registry:read', 'registry:write', 'events:write', 'audit:read', 'audit:write'] });
    for (const [method, path] of [
      ['GET', '/api-keys'],
      ['POST', '/api-keys'],
      ['DELETE', '/api-keys/key_1'],
      ['POST', '/tenants/acme/portal-tokens'],
    ] as const) {
      expect((await call(method, path, method === 'POST' ? {} : undefined, key)).status).toBe(403);
    }
  });
});

describe('lists of keys', () => {
  it('go on where the page before ended, and by tenant', async () => {
    await call('POST', '/tenants', { id: 'pages' });
    const made: string[] = [];
    for (let n = 0; n < 5; n++) made.push((await make({ scopes: ['events:write'], tenant: 'pages' })).id);
    const listed: string[] = [];
    for (let token = ''; ; ) {
      const page = await call('GET', `/api-keys?tenant=pages&page_size=2${token}`);
      listed.push(...idsIn(page));
      if (page.body['next_page_token'] === undefined) break;
      token = `&page_token=${String(page.body['next_page_token'])}`;
    }
    expect(listed).toEqual(made);
  });
});

const tokenOf = async (key: string | undefined, body: object = {}): Promise<string> => {
  const answer = await call('POST', '/tenants/acme/portal-tokens', body, key);
  expect(answer).toMatchObject({ status: 201, body: { tenant: 'acme' } });
  expect(answer.headers.get('cache-control')).toBe('no-store');
  const lastsMs = Date.parse(String(answer.body['expires_at'])) - Date.now();
  expect(Math.abs(lastsMs - 3_600_000)).toBeLessThan(10_000);
  return String(answer.body['token']);
};

describe('a portal token', () => {
  it('opens its tenant, to what it holds', async () => {
    const [all, reading] = [await tokenOf(ADMIN), await tokenOf(ADMIN, { scopes: ['registry:read'] })];
    const body = { name: 'n', url: 'https://example.com', event_types: ['*'] };
    expect((await call('POST', '/tenants/acme/subscriptions', body, all)).status).toBe(201);
    expect((await call('POST', '/tenants/acme/subscriptions', body, reading)).status).toBe(403);
    expect((await call('GET', '/tenants/acme/subscriptions', undefined, reading)).status).toBe(200);
    expect((await call('GET', '/tenants/other/subscriptions', undefined, all)).status).toBe(404);
    expect((await call('GET', '/api-keys', undefined, all)).status).toBe(403);
    expect((await call('POST', '/tenants/acme/portal-tokens', {}, all)).status).toBe(403);
  });

  it('ends with the key that made it', async () => {
    const admin = await make({ scopes: ['admin'], tenant: 'acme' });
    const token = await tokenOf(admin.key);
    expect((await call('GET', '/tenants/acme', undefined, token)).status).toBe(200);
    await call('DELETE', `/api-keys/${admin.id}`);
    expect((await call('GET', '/tenants/acme', undefined, `phk_${'x'.repeat(43)}`)).status).toBe(401);
    expect((await call('GET', '/tenants/acme', undefined, token)).status).toBe(401);
  });

  it('is known to a replica that started later', async () => {
    const token = await tokenOf(ADMIN);
    const later = await world.boot();
    expect((await call('GET', '/tenants/acme', undefined, token, later)).status).toBe(200);
  });

  it('is not made for a tenant that there is not, nor for one that is not the caller’s', async () => {
    expect((await call('POST', '/tenants/nowhere/portal-tokens', {})).status).toBe(404);
    const { key } = await make({ scopes: ['admin'], tenant: 'other' });
    expect((await call('POST', '/tenants/acme/portal-tokens', {}, key)).status).toBe(404);
    expect((await call('POST', '/tenants/acme/portal-tokens', { scopes: ['admin'] })).status).toBe(422);
  });

  it('is signed with a key that is kept encrypted', async () => {
    // A record may be there more than once, as after a change of the relay's leader.
    const states = (await world.readTopic('registry.state')).filter(({ kind }) => kind === 'portal_key');
    expect(new Set(states.map(({ key }) => key)).size).toBe(1);
    for (const record of states) {
      expect(stateIn(record).state).toMatchObject({ private_key: { key_id: 'k1', ciphertext: expect.any(String) } });
    }
  });
});
