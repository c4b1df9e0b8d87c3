import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createWorld, eventIn, stateIn, type Answer, type Service, type World } from './world.js';

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy());

const call: Service['call'] = (...request) => service.call(...request);
const schema = { type: 'object', required: ['amount'], properties: { amount: { type: 'integer' } } };
const breaking = { type: 'object', required: ['amount'], properties: { amount: { type: 'string' } } };

/** The paths of what is wrong, of an answer that says so. */
const pathsOf = ({ status, body }: Answer): readonly unknown[] => [
  status,
  ...((body['errors'] ?? []) as readonly { readonly path: string }[]).map(({ path }) => path),
];
const namesOf = ({ body }: Answer): readonly string[] => (body['data'] as readonly { readonly name: string }[]).map(({ name }) => name);
const tenantOf = async (id: string): Promise<string> => {
  expect((await call('POST', '/tenants', { id })).status).toBe(201);
  return `/tenants/${id}/event-types`;
};

const manyTypes = (count: number, description: string) =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`t${n}`, { description, schema }]));

describe('an event type', () => {
  const path = '/tenants/default/event-types/invoice.paid';

  it('is made, read, changed, and told to the other services', async () => {
    const made = await call('PUT', path, { name: 'invoice.paid', description: 'Paid', schema, example: { amount: 1 } });
    expect(made.status).toBe(201);
    expect(made.headers.get('etag')).toBe('"1"');
    expect(Number(made.headers.get('posthorn-registry-position'))).toBeGreaterThan(0);
    const view = { name: 'invoice.paid', tenant: 'default', description: 'Paid', schema, example: { amount: 1 }, version: 1, archived: false };
    expect(made.body).toEqual({ ...view, created_at: expect.any(String), updated_at: made.body['created_at'] });

    const read = await call('GET', path);
    expect([read.status, read.headers.get('etag'), read.body]).toEqual([200, '"1"', made.body]);

    const changed = await call('PUT', path, { description: 'Settled', schema, archived: true });
    expect([changed.status, changed.headers.get('etag')]).toEqual([200, '"2"']);
    expect(changed.body).toMatchObject({ description: 'Settled', archived: true, version: 1 });
    expect(changed.body).not.toHaveProperty('example');

    const same = await call('PUT', path, { description: 'Settled', schema, archived: true });
    expect([same.status, same.headers.get('etag')]).toEqual([200, '"2"']);

    const states = (await world.readTopic('registry.state')).filter(({ key }) => key === 'default/invoice.paid');
    expect(states.map(stateIn).at(-1)).toMatchObject({ version: 2, state: { kind: 'event_type', name: 'invoice.paid', description: 'Settled', schema } });
    const events = (await world.readTopic('registry.log')).map(eventIn).filter(({ stream }) => stream === 'event_type/default/invoice.paid');
    // The log may hold an event twice, in order all the same.
    const told = new Map(events.map(({ version, type, actor }) => [version, `${type} by ${actor}`]));
    expect([...told]).toEqual([
      [1, 'EventTypeCreated by admin'],
      [2, 'EventTypeUpdated by admin'],
    ]);
  });

  it('breaks only as a new version, and keeps the old ones', async () => {
    const refused = await call('PUT', path, { schema: breaking });
    expect(pathsOf(refused)).toEqual([422, 'schema.properties.amount.type', 'schema.properties.amount.type']);
    expect(refused.body['detail']).toContain('"version": 2');
    expect(pathsOf(await call('PUT', path, {}))[0]).toBe(422);
    expect(pathsOf(await call('PUT', path, { schema: breaking, version: 3 }))).toEqual([422, 'version']);

    const next = await call('PUT', path, { schema: breaking, version: 2 });
    expect([next.status, next.body['version']]).toEqual([200, 2]);
    expect((await call('GET', `${path}?version=1`)).body).toMatchObject({ schema, description: 'Settled', version: 1 });
    expect((await call('GET', `${path}?version=2`)).body).toMatchObject({ schema: breaking, version: 2 });
    expect((await call('GET', `${path}?version=3`)).status).toBe(404);
    expect(pathsOf(await call('GET', `${path}?version=0`))).toEqual([422, 'version']);
  });

  it('is changed only as it was seen', async () => {
    const etag = (await call('GET', path)).headers.get('etag') ?? '';
    const stale = await call('PUT', path, { schema: breaking, description: 'x' }, { 'if-match': '"1"' });
    expect([stale.status, stale.body['current_version']]).toEqual([412, 3]);
    expect((await call('PUT', path, { schema: breaking, description: 'x' }, { 'if-match': etag })).status).toBe(200);
    expect((await call('PUT', path, {}, { 'if-none-match': '*' })).status).toBe(412);
    expect((await call('PUT', path, {}, { 'if-none-match': '"1"' })).status).toBe(400);
    const other = '/tenants/default/event-types/invoice.late';
    expect((await call('PUT', other, {}, { 'if-match': '*' })).status).toBe(412);
    expect((await call('PUT', other, {}, { 'if-none-match': '*' })).status).toBe(201);
    expect((await call('DELETE', other, undefined, { 'if-match': '"7"' })).status).toBe(412);
  });

  it('is deleted, and may be put again from the first version on', async () => {
    const gone = await call('DELETE', path);
    expect([gone.status, gone.body]).toEqual([204, {}]);
    expect(Number(gone.headers.get('posthorn-registry-position'))).toBeGreaterThan(0);
    expect((await call('GET', path)).status).toBe(404);
    expect((await call('GET', `${path}?version=1`)).status).toBe(404);
    expect((await call('DELETE', path)).status).toBe(404);
    expect((await world.readTopic('registry.state')).findLast(({ key }) => key === 'default/invoice.paid')?.text).toBeUndefined();
    expect((await call('PUT', path, { schema: true })).body).toMatchObject({ version: 1, description: '' });
    expect((await call('GET', `${path}?version=2`)).status).toBe(404);
  });

  it.each<[string, string, unknown, readonly unknown[]]>([
    ['a name that is none', 'Invoice', {}, [422, 'name']],
    ['another name', 'a', { name: 'b' }, [422, 'name']],
    ['an unknown member', 'a', { scheme: {} }, [422, 'scheme']],
    ['a schema of another draft', 'a', { schema: { $schema: 'http://json-schema.org/draft-07/schema#' } }, [422, 'schema.$schema']],
    ['a schema that reaches out', 'a', { schema: { items: { $ref: 'https://elsewhere.example/' } } }, [422, 'schema.items.$ref']],
    ['a pattern that backtracks', 'a', { schema: { properties: { x: { pattern: '(?=a)' } } } }, [422, 'schema.properties.x.pattern']],
    ['a schema that is too large', 'a', { schema: { description: 'x'.repeat(65_536) } }, [422, 'schema']],
    ['an example that does not fit', 'a', { schema, example: { amount: 'x' } }, [422, 'example.amount']],
    ['an example that is not whole', 'a', { schema, example: {} }, [422, 'example.amount']],
    ['a text that cannot be stored', 'a', { example: { a: ['\0'] } }, [422, 'example.a[0]']],
    ['a version before the first', 'a', { version: 0 }, [422, 'version']],
    ['a second version of nothing', 'a', { version: 2 }, [422, 'version']],
  ])('is refused for %s', async (_what, name, body, expected) => {
    expect(pathsOf(await call('PUT', `/tenants/default/event-types/${name}`, body))).toEqual(expected);
  });

  it('needs its tenant', async () => {
    expect((await call('PUT', '/tenants/nobody/event-types/a', {})).status).toBe(404);
    expect((await call('GET', '/tenants/nobody/event-types')).status).toBe(404);
    expect((await call('GET', '/tenants/nobody/event-types/a')).status).toBe(404);
    expect((await call('DELETE', '/tenants/nobody/event-types/a')).status).toBe(404);
    expect((await call('POST', '/tenants/nobody/event-types/import', { schemas: { a: true } })).status).toBe(404);
  });
});

describe('the list of event types', () => {
  it('goes by name, page by page, with filters', async () => {
    const path = await tenantOf('listing');
    for (const name of ['b.two', 'a.one', 'b', 'c_3']) await call('PUT', `${path}/${name}`, { archived: name === 'b' });
    const first = await call('GET', `${path}?page_size=3`);
    expect(namesOf(first)).toEqual(['a.one', 'b', 'b.two']);
    const second = await call('GET', `${path}?page_size=3&page_token=${String(first.body['next_page_token'])}`);
    expect([namesOf(second), second.body['next_page_token']]).toEqual([['c_3'], undefined]);
    expect(namesOf(await call('GET', `${path}?archived=true`))).toEqual(['b']);
    expect(namesOf(await call('GET', `${path}?archived=false&q=O`))).toEqual(['a.one', 'b.two']);
    expect(namesOf(await call('GET', `${path}?q=_`))).toEqual(['c_3']);
    expect(pathsOf(await call('GET', `${path}?page_token=x`))).toEqual([422, 'page_token']);
  });

  it('ends at ten thousand', async () => {
    const path = await tenantOf('crowded');
    await world.pool.query(
      `insert into registry.event_types (id, version, tenant, name, archived, state)
       select 'crowded/t' || n, 1, 'crowded', 't' || n, false, '{}' from generate_series(1, 9999) as n`,
    );
    expect((await call('POST', `${path}/import`, { schemas: { x: true, y: true } })).status).toBe(409);
    expect((await call('PUT', `${path}/x`, {})).status).toBe(201);
    const full = await call('PUT', `${path}/y`, {});
    expect([full.status, full.body['code']]).toEqual([409, 'conflict']);
    expect((await call('PUT', `${path}/x`, { description: 'still' })).status).toBe(200);
  });
});

describe('an import', () => {
  const document = {
    openapi: '3.1.0',
    info: { title: 'Shop', version: '1' },
    webhooks: {
      'order.made': {
        post: {
          summary: 'Made',
          requestBody: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Order' }, example: { total: 1 } } } },
        },
      },
      ping: { post: {} },
    },
    components: { schemas: { Order: { type: 'object', properties: { total: { $ref: '#/components/schemas/Money' } } }, Money: { type: 'integer' } } },
  };

  it('makes types, says what it does, and does it once', async () => {
    const path = await tenantOf('shop');
    const changes = [
      { name: 'order.made', action: 'create', version: 1 },
      { name: 'ping', action: 'create', version: 1 },
    ];
    const tried = await call('POST', `${path}/import?dry_run=true`, document);
    expect([tried.status, tried.body]).toEqual([200, { dry_run: true, changes }]);
    expect(namesOf(await call('GET', path))).toEqual([]);

    const key = { 'idempotency-key': 'import-1' };
    const done = await call('POST', `${path}/import`, document, key);
    expect([done.status, done.body]).toEqual([200, { dry_run: false, changes }]);
    expect(Number(done.headers.get('posthorn-registry-position'))).toBeGreaterThan(0);
    expect((await call('POST', `${path}/import`, document, key)).body).toEqual(done.body);
    expect((await call('GET', `${path}/order.made`)).body).toMatchObject({
      description: 'Made',
      schema: { properties: { total: { $ref: '#/$defs/Money' } }, $defs: { Money: { type: 'integer' } } },
      example: { total: 1 },
    });
    const again = await call('POST', `${path}/import`, document);
    expect(again.body['changes']).toEqual(changes.map((change) => ({ ...change, action: 'unchanged' })));
  });

  it('is all or nothing, and names every reason', async () => {
    const path = await tenantOf('whole');
    await call('PUT', `${path}/paid`, { description: 'Paid', schema, example: { amount: 1 } });
    const body = { event_types: { new: { schema: true }, paid: { schema: breaking, example: { amount: 'x' } }, late: { description: 'Late' } } };
    const breaks = ['event_types.paid.schema.properties.amount.type', 'event_types.paid.schema.properties.amount.type'];

    const tried = await call('POST', `${path}/import?dry_run=true`, body);
    expect(tried.body['changes']).toEqual([
      { name: 'new', action: 'create', version: 1 },
      { name: 'paid', action: 'refused', reasons: breaks.map((reason) => ({ path: reason, message: expect.any(String) })) },
      { name: 'late', action: 'create', version: 1 },
    ]);
    const refused = await call('POST', `${path}/import`, body);
    expect(pathsOf(refused)).toEqual([422, ...breaks]);
    expect(refused.body['detail']).toContain('new_versions=true');
    expect(namesOf(await call('GET', path))).toEqual(['paid']);

    const done = await call('POST', `${path}/import?new_versions=true`, body);
    expect(done.body['changes']).toMatchObject([{ action: 'create' }, { name: 'paid', action: 'new_version', version: 2, reasons: [{}, {}] }, { action: 'create' }]);
    // What it does not say stays.
    expect((await call('GET', `${path}/paid`)).body).toMatchObject({ description: 'Paid', schema: breaking, version: 2 });
    const described = await call('POST', `${path}/import`, { event_types: { paid: { description: 'Settled' } } });
    expect(described.body['changes']).toEqual([{ name: 'paid', action: 'update', version: 2 }]);
    expect((await call('GET', `${path}/paid`)).body).toMatchObject({ description: 'Settled', schema: breaking, example: { amount: 'x' } });
  });

  it.each<[string, object, readonly unknown[]]>([
    ['names that are none', { schemas: { 'Order Made': true, a: true } }, [422, 'schemas["Order Made"]']],
    ['schemas that do not compile, all of them', { schemas: { a: { type: 'strin' }, b: { $ref: 'x' } } }, [422, 'schemas.a.schema.type', 'schemas.b.schema.$ref']],
    ['examples that do not fit', { event_types: { a: { schema, example: {} } } }, [422, 'event_types.a.example.amount']],
    ['texts that cannot be stored', { event_types: { a: { example: ['\0'] } } }, [422, 'event_types.a.example[0]']],
    ['an example that does not fit the schema there is', { event_types: { kept: { example: 1 } } }, [422, 'event_types.kept.example']],
    ['a schema that the example there is does not fit', { schemas: { free: { minProperties: 1, type: 'object' } } }, [422, 'schemas.free.example']],
    ['an OpenAPI document of before', { openapi: '3.0.3', webhooks: {} }, [422, 'openapi']],
    ['webhooks that are no types', { openapi: '3.1.0', webhooks: { 'Order Created': { post: {} } } }, [422, 'webhooks["Order Created"]']],
    ['what is none of its forms', { types: {} }, [422]],
  ])('is refused for %s', async (_what, body, expected) => {
    await call('PUT', '/tenants/default/event-types/kept', { schema: { type: 'object' } });
    await call('PUT', '/tenants/default/event-types/free', { example: {} });
    const refused = await call('POST', '/tenants/default/event-types/import', body);
    expect(pathsOf(refused).slice(0, expected.length)).toEqual(expected);
  });

  it('may be larger than other bodies, up to a thousand types', async () => {
    const path = await tenantOf('large');
    const done = await call('POST', `${path}/import`, { event_types: manyTypes(1_000, 'x'.repeat(4_000)) });
    expect([done.status, (done.body['changes'] as unknown[]).length]).toEqual([200, 1_000]);
    expect((await call('POST', `${path}/import`, { event_types: manyTypes(1_001, '') })).status).toBe(422);
    expect((await call('POST', `${path}/import`, { schemas: { a: { description: 'x'.repeat(8 * 1024 * 1024) } } })).status).toBe(413);
    // What belongs to a tenant goes with it.
    expect((await call('DELETE', '/tenants/large')).status).toBe(204);
    expect((await world.pool.query(`select from registry.event_types where tenant = 'large'`)).rowCount).toBe(0);
  }, 60_000);
});
