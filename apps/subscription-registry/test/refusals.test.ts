import { status, type Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EventTypeServiceDefinition, SubscriptionServiceDefinition } from '@posthorn/contracts/grpc/registry';
import { callRaw, clientOf, connect, detailsOf, refusalOf, requestBytes } from '../../../test/support/grpc-client.js';
import { API_KEY, createWorld, idOf, type Service, type World } from './world.js';

const tenant = '/tenants/default';

let world: World;
let service: Service;
let client: Client;
let subscription: string;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
  client = connect(service.grpcAddress);
  const created = await service.call('POST', `${tenant}/subscriptions`, { name: 'S', url: 'https://example.com', event_types: ['*'] });
  subscription = `${tenant}/subscriptions/${idOf(created)}`;
}, 60_000);
afterAll(async () => {
  client.close();
  await world.destroy();
}, 60_000);

const LEVELS = [129, 5_000, 100_000];
const arrays = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const objects = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

/** As text: what is nested like this cannot be made one by `JSON.stringify` either. */
const send = async (method: string, path: string, body: string, headers: Readonly<Record<string, string>>): Promise<unknown> => {
  const answer = await fetch(`${service.origin}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: answer.status, body: (await answer.json()) as unknown };
};

describe('a body that is nested too deeply is refused', () => {
  const settings = '"name":"x","url":"https://example.com","event_types":["*"]';
  it.each<[method: string, path: () => string, body: (deep: string) => string]>([
    ['POST', () => `${tenant}/subscriptions`, (deep) => `{${settings},"payload":{"format":"context","context":${deep}}}`],
    ['POST', () => `${tenant}/subscriptions/batch`, (deep) => `{"subscriptions":[{${settings}},${deep}]}`],
    ['POST', () => `${tenant}/event-types/import`, (deep) => `{"schemas":{"a.b":${deep}}}`],
    ['POST', () => `${tenant}/event-types/import`, (deep) => `{"openapi":"3.1.0","components":${deep},"webhooks":{}}`],
    ['PUT', () => `${tenant}/event-types/a.b`, (deep) => `{"example":${deep}}`],
    ['POST', () => `${tenant}/filter-check`, (deep) => `{"filter":"true","event":{"type":"a.b","data":${deep}}}`],
    ['POST', () => `${tenant}/portal-tokens`, (deep) => deep],
    ['POST', () => '/tenants', (deep) => deep],
    ['POST', () => '/api-keys', (deep) => deep],
    ['PATCH', () => subscription, (deep) => `{"metadata":${deep}}`],
    ['POST', () => `${subscription}/test`, (deep) => `{"data":${deep}}`],
    ['POST', () => `${subscription}/enable`, (deep) => deep],
    ['POST', () => `${subscription}/rotate-secret`, (deep) => deep],
  ])('by %s, %#', async (method, path, body) => {
    for (const deep of LEVELS.flatMap((levels) => [arrays(levels), objects(levels)])) {
      const keyed: readonly Readonly<Record<string, string>>[] = method === 'POST' ? [{ 'idempotency-key': 'deep' }] : [];
      for (const headers of [{}, ...keyed]) {
        await expect(send(method, path(), body(deep), headers)).resolves.toMatchObject({
          status: 422,
          body: { code: 'invalid', detail: 'the request: is nested more than 128 levels deep' },
        });
      }
    }
  });

  it('and what is allowed to be deep itself has room in it', async () => {
    const example = objects(64);
    await expect(send('PUT', `${tenant}/event-types/deep.one`, `{"example":${example}}`, {})).resolves.toMatchObject({ status: 201 });
    const content = `"application/json":{"schema":{"type":"object"},"example":${example}}`;
    const document = `{"openapi":"3.1.0","webhooks":{"deep.two":{"post":{"requestBody":{"content":{${content}}}}}}}`;
    await expect(send('POST', `${tenant}/event-types/import`, document, {})).resolves.toMatchObject({
      status: 200,
      body: { changes: [{ name: 'deep.two', action: 'create' }] },
    });
  });
});

/** Bytes of a length-delimited field of protobuf for each of the tags, from the outside in, around nothing, so many times over. */
const nested = (tags: readonly number[], levels: number): Buffer => {
  const heads: Buffer[] = [];
  let length = 0;
  for (let level = 0; level < levels; level++) {
    for (const tag of tags.toReversed()) {
      const head = Buffer.from([tag, ...varint(length)]);
      heads.push(head);
      length += head.length;
    }
  }
  return Buffer.concat(heads.toReversed());
};

const varint = (value: number): readonly number[] => (value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]);

const STRUCTS = [0x0a, 0x12, 0x2a]; // Struct.fields, its entry's value, Value.struct_value
const LISTS = [0x32, 0x0a]; // Value.list_value, ListValue.values
const GROUP_BEGINS = 0x7b; // of field 15, which no message has

/** A member that is a message: its tag, its length, its bytes. */
const member = (tag: number, bytes: Buffer): Buffer => Buffer.concat([Buffer.from([tag, ...varint(bytes.length)]), bytes]);
const documentOf = (struct: Buffer): Buffer => member(0x12, struct);
const exampleOf = (value: Buffer): Buffer => member(0x12, member(0x2a, value));

describe('a message that is nested too deeply is refused', () => {
  const { importEventTypes, putEventType } = EventTypeServiceDefinition.methods;

  it.each([
    ['objects', importEventTypes, 5_000, documentOf(nested(STRUCTS, 5_000))],
    ['objects', importEventTypes, 100_000, documentOf(nested(STRUCTS, 100_000))],
    ['lists', putEventType, 5_000, exampleOf(nested(LISTS, 5_000))],
    ['lists', putEventType, 100_000, exampleOf(nested(LISTS, 100_000))],
    ['groups that nobody knows', putEventType, 100_000, Buffer.alloc(100_000, GROUP_BEGINS)],
  ])('with %s by %j: %i levels', async (_what, { name, requestType }, _levels, deep) => {
    const bytes = Buffer.concat([requestBytes({ name, requestType, responseType: requestType }, { tenant: 'default' }), deep]);
    const refused = await refusalOf(callRaw(client, `/${EventTypeServiceDefinition.fullName}/${name}`, bytes, { key: API_KEY }));
    expect(refused).toMatchObject({ code: status.INVALID_ARGUMENT, details: expect.stringContaining('nested too deeply') });
    expect(detailsOf(refused)).toMatchObject({ reason: 'MALFORMED' });
  });
});

const token = (place: unknown): string => Buffer.from(JSON.stringify(place)).toString('base64url');
const id = (prefix: string): string => `${prefix}_${'0'.repeat(32)}`;

describe('what nobody could read again is refused', () => {
  const settings = { name: 'x', url: 'https://example.com', event_types: ['*'] };
  const type = `${tenant}/event-types/too.large`;
  it.each<[method: string, path: string, body: string, place: string]>([
    ['POST', '/api-keys', '{"name":"k","scopes":["admin"],"expires_at":"9999-12-31T23:59:59-14:00"}', 'expires_at'],
    ['PUT', type, '{"schema":{"type":"string","minLength":1e400}}', 'schema.minLength'],
    ['PUT', type, '{"example":[1,{"a":-1e400}]}', 'example[1].a'],
    ['POST', `${tenant}/event-types/import`, '{"event_types":{"a.b":{"example":1e400}}}', 'event_types["a.b"].example'],
    ['POST', `${tenant}/subscriptions`, `${JSON.stringify(settings).slice(0, -1)},"payload":{"format":"context","context":[1e400]}}`, 'payload.context[0]'],
  ])('by %s %s: %s', async (method, path, body, place) => {
    await expect(send(method, path, body, {})).resolves.toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path: place }] } });
  });
});

describe('a list', () => {
  it.each([
    ['/tenants/default/event-types?q=%00', 'q'],
    ['/tenants/default/event-types?q=a%00b', 'q'],
    ['/tenants/default/subscriptions?q=%00', 'q'],
    ['/tenants/default/subscriptions?event_type=%00', 'event_type'],
    ['/api-keys?tenant=%00', 'tenant'],
    [`/tenants?page_token=${token('No')}`, 'page_token'],
    [`/tenants?page_token=${token(id('sub'))}`, 'page_token'],
    [`/tenants?page_token=${token('\0')}`, 'page_token'],
    [`/tenants/default/event-types?page_token=${token('a-b')}`, 'page_token'],
    [`/tenants/default/event-types?page_token=${token('a\0')}`, 'page_token'],
    [`/tenants/default/subscriptions?page_token=${token('a')}`, 'page_token'],
    [`/tenants/default/subscriptions?page_token=${token(id('key'))}`, 'page_token'],
    [`/tenants/default/subscriptions?page_token=${token([id('sub')])}`, 'page_token'],
    [`/api-keys?page_token=${token('default')}`, 'page_token'],
    [`/api-keys?page_token=${token(id('sub'))}`, 'page_token'],
    ['/tenants/default/subscriptions?page_token=%00', 'page_token'],
  ])('%s is refused for %s', async (path, member) => {
    await expect(service.call('GET', path)).resolves.toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path: member }] } });
  });

  it.each([0, -1, 1.5, 2_147_483_647, 9_007_199_254_740_991, 1e308, 'a', null])('of changes does not begin after %j', async (place) => {
    await expect(service.call('GET', `${subscription}/history?page_token=${token(place)}`)).resolves.toMatchObject({
      status: 422,
      body: { errors: [{ path: 'page_token' }] },
    });
  });

  it('begins after a place that nothing is at', async () => {
    await expect(service.call('GET', `${subscription}/history?page_token=${token(2_147_483_646)}`)).resolves.toMatchObject({ body: { data: [] } });
    await expect(service.call('GET', `/tenants?page_token=${token('zzz')}`)).resolves.toMatchObject({ body: { data: [] } });
  });

  it('is refused over gRPC too', async () => {
    const admin = { key: API_KEY };
    const eventTypes = clientOf(client, EventTypeServiceDefinition, admin);
    const subscriptions = clientOf(client, SubscriptionServiceDefinition, admin);
    const refused = await Promise.all([
      refusalOf(eventTypes.listEventTypes({ tenant: 'default', q: '\0' })),
      refusalOf(subscriptions.listSubscriptions({ tenant: 'default', q: '\0' })),
      refusalOf(subscriptions.listSubscriptions({ tenant: 'default', page_token: token('a') })),
    ]);
    expect(refused.map(({ code }) => code)).toEqual(Array.from({ length: 3 }, () => status.INVALID_ARGUMENT));
    expect(refused.map((error) => detailsOf(error).violations[0]?.[0])).toEqual(['q', 'q', 'page_token']);
  });
});
