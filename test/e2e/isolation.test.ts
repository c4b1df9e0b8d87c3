import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import type { CreatedApiKey, PortalToken, Scope } from '@posthorn/contracts';
import type { Answer, Api } from '../support/api.js';
import { Posthorn, type Subscription } from '../support/posthorn.js';

jest.setTimeout(120_000);

/** The document's paths, as far as this test needs to understand them. */
type Operation = { readonly operationId: string; readonly 'x-required-scope'?: Scope; readonly security?: readonly object[] };
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly 'x-missing-services'?: readonly string[];
};
type Route = { readonly name: string; readonly method: string; readonly path: string; readonly scope: Scope | undefined };

const DESCRIBED = ['subscription-registry', 'event-ingestion', 'delivery-audit'] as const;

let posthorn: Posthorn;
let document: Document;
let routes: readonly Route[];
let theirs: Subscription;
let ours: Subscription;
const keys = new Map<string, string>();

const makeKey = async (name: string, scopes: readonly Scope[], tenant?: string): Promise<void> => {
  const { key } = await posthorn.api.ask<CreatedApiKey>('POST', '/v1/api-keys', { name, scopes, ...(tenant !== undefined && { tenant }) });
  keys.set(name, key);
};
const as = (name: string): Api => posthorn.apiOf(keys.get(name) ?? '');

beforeAll(async () => {
  posthorn = await Posthorn.start('isolation');
  for (const id of ['theirs', 'ours']) await posthorn.api.ask('POST', '/v1/tenants', { id });
  theirs = await posthorn.subscribe({ url: 'http://127.0.0.1:9/', event_types: ['*'] }, 'theirs');
  ours = await posthorn.subscribe({ url: 'http://127.0.0.1:9/', event_types: ['*'] }, 'ours');
  for (const tenant of ['theirs', 'ours']) await posthorn.api.ask('PUT', `/v1/tenants/${tenant}/event-types/order.created`, { description: 'made' });
  await makeKey('everything of ours', ['admin'], 'ours');
  await makeKey('nothing but publishing', ['events:write']);
  await makeKey('nothing but the audit', ['audit:read']);
  const { token } = await posthorn.api.ask<PortalToken>('POST', '/v1/tenants/ours/portal-tokens', {});
  keys.set('a portal token of ours', token);

  document = await posthorn.api.get<Document>('/docs/openapi.json');
  routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { operationId, 'x-required-scope': scope }]) => ({
      name: operationId,
      method: method.toUpperCase(),
      path,
      scope,
    })),
  );
});

afterAll(() => posthorn?.close());

const pathFor = ({ path }: Route, parameters: Readonly<Record<string, string>>): string =>
  path.replaceAll(/\{(\w+)\}/g, (_, name: string) => parameters[name] ?? 'key_00000000000000000000000000000000');

const ask = (api: Api, route: Route, parameters: Readonly<Record<string, string>>): Promise<Answer> =>
  api.call(route.method, pathFor(route, parameters), ['POST', 'PUT', 'PATCH'].includes(route.method) ? {} : undefined);

/** Every route of the document, asked one after the other: `name: status code`. */
const answersOf = async (
  wanted: readonly Route[],
  api: Api,
  parametersOf: (route: Route) => Readonly<Record<string, string>>,
): Promise<readonly string[]> => {
  const answers: string[] = [];
  for (const route of wanted) {
    const { status, body } = await ask(api, route, parametersOf(route));
    answers.push(`${route.name}: ${status} ${String((body as { code?: unknown } | undefined)?.code)}`);
  }
  return answers;
};

const operationsOf = ({ paths }: Document): readonly string[] =>
  Object.entries(paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method} ${path}`));

const all = (wanted: readonly Route[], outcome: string): readonly string[] => wanted.map(({ name }) => `${name}: ${outcome}`);
const ofTenants = (): readonly Route[] => routes.filter(({ path }) => path.includes('{tenant}'));
const parametersOf = (tenant: string, subscription: Subscription) => () => ({ tenant, id: subscription.id, name: 'order.created' });

describe('every route of the OpenAPI document', () => {
  it('is there: those of the registry, the ingestion and the audit at least', () => {
    expect(document['x-missing-services']).toBeUndefined();
    expect(routes.map(({ method, path }) => `${method} ${path}`)).toEqual(
      expect.arrayContaining([
        'POST /v1/tenants',
        'GET /v1/tenants',
        'GET /v1/tenants/{tenant}',
        'PATCH /v1/tenants/{tenant}',
        'DELETE /v1/tenants/{tenant}',
        'POST /v1/api-keys',
        'GET /v1/api-keys',
        'DELETE /v1/api-keys/{id}',
        'POST /v1/tenants/{tenant}/portal-tokens',
        'PUT /v1/tenants/{tenant}/event-types/{name}',
        'GET /v1/tenants/{tenant}/event-types/{name}',
        'DELETE /v1/tenants/{tenant}/event-types/{name}',
        'GET /v1/tenants/{tenant}/event-types',
        'POST /v1/tenants/{tenant}/event-types/import',
        'POST /v1/tenants/{tenant}/subscriptions',
        'POST /v1/tenants/{tenant}/subscriptions/batch',
        'GET /v1/tenants/{tenant}/subscriptions',
        'GET /v1/tenants/{tenant}/subscriptions/{id}',
        'PATCH /v1/tenants/{tenant}/subscriptions/{id}',
        'DELETE /v1/tenants/{tenant}/subscriptions/{id}',
        'POST /v1/tenants/{tenant}/subscriptions/{id}/enable',
        'POST /v1/tenants/{tenant}/subscriptions/{id}/disable',
        'POST /v1/tenants/{tenant}/subscriptions/{id}/rotate-secret',
        'POST /v1/tenants/{tenant}/subscriptions/{id}/test',
        'GET /v1/tenants/{tenant}/subscriptions/{id}/secret',
        'GET /v1/tenants/{tenant}/subscriptions/{id}/history',
        'POST /v1/tenants/{tenant}/filter-check',
        'POST /v1/tenants/{tenant}/events',
        'POST /v1/tenants/{tenant}/events/batch',
        'GET /v1/tenants/{tenant}/events',
        'GET /v1/tenants/{tenant}/events/{id}',
        'GET /v1/tenants/{tenant}/events/{id}/deliveries',
        'GET /v1/tenants/{tenant}/events/{id}/explain',
        'GET /v1/tenants/{tenant}/deliveries',
        'GET /v1/tenants/{tenant}/deliveries/tail',
        'GET /v1/tenants/{tenant}/deliveries/{id}',
        'GET /v1/tenants/{tenant}/deliveries/{id}/attempts',
        'GET /v1/tenants/{tenant}/deliveries/{id}/timeline',
        'POST /v1/tenants/{tenant}/deliveries/{id}/redeliver',
        'POST /v1/tenants/{tenant}/deliveries/{id}/cancel',
        'POST /v1/tenants/{tenant}/replays',
        'GET /v1/tenants/{tenant}/replays',
        'GET /v1/tenants/{tenant}/replays/{id}',
        'POST /v1/tenants/{tenant}/replays/{id}/pause',
        'POST /v1/tenants/{tenant}/replays/{id}/resume',
        'POST /v1/tenants/{tenant}/replays/{id}/cancel',
        'GET /v1/tenants/{tenant}/stats',
        'GET /v1/tenants/{tenant}/subscriptions/{id}/stats',
        'GET /v1/tenants/{tenant}/events/export',
        'GET /v1/tenants/{tenant}/deliveries/export',
        'GET /v1/tenants/{tenant}/deliveries/export/attempts',
        'GET /v1/tenants/{tenant}/stats/missed',
        'GET /v1/tenants/{tenant}/rejected-events',
        'GET /v1/tenants/{tenant}/rejected-events/{id}',
        'POST /v1/tenants/{tenant}/rejected-events/{id}/publish',
        'GET /v1/rejected-events',
        'GET /v1/rejected-events/{id}',
      ]),
    );
  });

  it('has a name of its own, and comes from the service that the gateway asks', async () => {
    const names = routes.map(({ name }) => name);
    expect(names.length).toBe(new Set(names).size);
    const parts = await Promise.all(DESCRIBED.map(async (service) => (await (await fetch(`${posthorn.services[service].url}/docs/openapi.json`)).json()) as Document));
    expect(operationsOf(document).toSorted()).toEqual(parts.flatMap(operationsOf).toSorted());
    // What is called the same is the same, or one service's would stand for the other's.
    for (const { paths, components } of parts) expect(document).toMatchObject({ paths, components });
  });

  it('is shown by a page, to anybody', async () => {
    const page = await fetch(`${posthorn.services.gateway.url}/docs`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  });

  it('says which scope it needs', () => {
    expect(routes.filter(({ scope }) => scope === undefined)).toEqual([]);
  });

  it('answers 401 to nobody', async () => {
    expect(await answersOf(routes, posthorn.apiOf('phk_nobody_has_ever_been_given_this_key'), parametersOf('ours', ours))).toEqual(
      all(routes, '401 unauthenticated'),
    );
  });

  it.each(['everything of ours', 'a portal token of ours'])('answers 404 to %s, asked about another tenant', async (key) => {
    expect(await answersOf(ofTenants(), as(key), parametersOf('theirs', theirs))).toEqual(all(ofTenants(), '404 not_found'));
  });

  it('answers about another tenant as about one that is not there', async () => {
    const [ofAnother, ofNobody] = await Promise.all(
      ['theirs', 'nobody'].map((tenant) => as('everything of ours').call('GET', `/v1/tenants/${tenant}/subscriptions/${theirs.id}`)),
    );
    expect(ofAnother?.text).toBe(ofNobody?.text);
  });

  it('answers 404 about a subscription of another tenant, asked by way of the own', async () => {
    const ofSubscriptions = ofTenants().filter(({ path }) => path.includes('/subscriptions/{id}'));
    expect(await answersOf(ofSubscriptions, as('everything of ours'), parametersOf('ours', theirs))).toEqual(all(ofSubscriptions, '404 not_found'));
    expect(await posthorn.api.get<Subscription>(`/v1/tenants/theirs/subscriptions/${theirs.id}`)).toMatchObject({ version: 1, enabled: true });
  });

  it.each([
    ['nothing but publishing', 'events:write'],
    ['nothing but the audit', 'audit:read'],
  ])('answers 403 to %s, unless it needs just that', async (key, held) => {
    const others = routes.filter(({ scope }) => scope !== held);
    expect(await answersOf(others, as(key), parametersOf('ours', ours))).toEqual(all(others, '403 forbidden'));
  });

  it('of all tenants is closed to the administrator of one', async () => {
    const answers = await Promise.all([
      as('everything of ours').call('POST', '/v1/tenants', { id: 'more' }),
      as('everything of ours').call('DELETE', '/v1/tenants/ours'),
      as('everything of ours').call('POST', '/v1/api-keys', { name: 'all', scopes: ['admin'] }),
      as('a portal token of ours').call('POST', '/v1/tenants/ours/portal-tokens', {}),
      as('a portal token of ours').call('GET', '/v1/api-keys'),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
  });

  it('lists to a tenant only its own', async () => {
    expect((await as('everything of ours').list<{ id: string }>('/v1/tenants')).map(({ id }) => id)).toEqual(['ours']);
    expect((await as('everything of ours').list<{ tenant: string }>('/v1/api-keys')).map(({ tenant }) => tenant)).toEqual(['ours']);
  });
});
