import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { World } from './world.js';

type Operation = {
  readonly operationId: string;
  readonly 'x-required-scope': string;
  readonly 'x-all-tenants'?: true;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly responses: Readonly<Record<string, { readonly content?: object }>>;
  readonly requestBody?: { readonly required: boolean; readonly content: object };
};
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
};

describe('the OpenAPI document', () => {
  let world: World;
  let document: Document;
  beforeAll(async () => {
    world = await World.create();
    document = (await world.service.get('/docs/openapi.json', {})).body;
  }, 60_000);
  afterAll(() => world.close());

  const operations = (): readonly (Operation & { readonly place: string })[] =>
    Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, operation]) => ({ ...operation, place: `${method} ${path}` })));
  const queryOf = (id: string): readonly string[] =>
    operations()
      .filter(({ operationId }) => operationId === id)
      .flatMap(({ parameters }) => parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name));

  it('has every operation of the audit, once', () => {
    const told = operations().map(({ place, operationId, ...operation }) => `${operationId}: ${place} ${operation['x-required-scope']}${operation['x-all-tenants'] ? ' of all' : ''}`);
    expect(told.toSorted()).toEqual([
      'cancelDelivery: post /v1/tenants/{tenant}/deliveries/{id}/cancel audit:write',
      'cancelReplay: post /v1/tenants/{tenant}/replays/{id}/cancel audit:write',
      'countMissed: get /v1/tenants/{tenant}/stats/missed audit:read',
      'createReplay: post /v1/tenants/{tenant}/replays audit:write',
      'explainEvent: get /v1/tenants/{tenant}/events/{id}/explain audit:read',
      'exportAttempts: get /v1/tenants/{tenant}/deliveries/export/attempts audit:read',
      'exportDeliveries: get /v1/tenants/{tenant}/deliveries/export audit:read',
      'exportEvents: get /v1/tenants/{tenant}/events/export audit:read',
      'getAnyRejectedEvent: get /v1/rejected-events/{id} audit:read of all',
      'getDelivery: get /v1/tenants/{tenant}/deliveries/{id} audit:read',
      'getDeliveryTimeline: get /v1/tenants/{tenant}/deliveries/{id}/timeline audit:read',
      'getEvent: get /v1/tenants/{tenant}/events/{id} audit:read',
      'getRejectedEvent: get /v1/tenants/{tenant}/rejected-events/{id} audit:read',
      'getReplay: get /v1/tenants/{tenant}/replays/{id} audit:read',
      'getStatistics: get /v1/tenants/{tenant}/stats audit:read',
      'getSubscriptionStatistics: get /v1/tenants/{tenant}/subscriptions/{id}/stats audit:read',
      'listAllRejectedEvents: get /v1/rejected-events audit:read of all',
      'listAttempts: get /v1/tenants/{tenant}/deliveries/{id}/attempts audit:read',
      'listDeliveries: get /v1/tenants/{tenant}/deliveries audit:read',
      'listEventDeliveries: get /v1/tenants/{tenant}/events/{id}/deliveries audit:read',
      'listEvents: get /v1/tenants/{tenant}/events audit:read',
      'listRejectedEvents: get /v1/tenants/{tenant}/rejected-events audit:read',
      'listReplays: get /v1/tenants/{tenant}/replays audit:read',
      'pauseReplay: post /v1/tenants/{tenant}/replays/{id}/pause audit:write',
      'publishRejectedEvent: post /v1/tenants/{tenant}/rejected-events/{id}/publish events:write',
      'redeliverDelivery: post /v1/tenants/{tenant}/deliveries/{id}/redeliver audit:write',
      'resumeReplay: post /v1/tenants/{tenant}/replays/{id}/resume audit:write',
      'tailDeliveries: get /v1/tenants/{tenant}/deliveries/tail audit:read',
    ]);
  });

  it('tells what can be searched for', () => {
    const page = ['from', 'to', 'page_size', 'page_token'];
    expect(queryOf('listEvents')).toEqual(['event_type', 'subject', ...page]);
    expect(queryOf('listDeliveries')).toEqual(['event_type', 'subject', ...page, 'subscription', 'status', 'event_id', 'last_error']);
    expect(queryOf('explainEvent')).toEqual(['subscription']);
    expect(queryOf('listRejectedEvents')).toEqual([...page, 'code', 'door', 'event_id']);
    expect(queryOf('countMissed')).toEqual(['from', 'to', 'event_types']);
    expect(queryOf('exportEvents')).toEqual([...queryOf('listEvents').filter((name) => !name.startsWith('page_')), 'format']);
    expect(queryOf('exportDeliveries')).toEqual([...queryOf('listDeliveries').filter((name) => !name.startsWith('page_')), 'format']);
    expect(queryOf('exportAttempts')).toEqual(queryOf('exportDeliveries'));
    expect(queryOf('getStatistics')).toEqual(['from', 'to', 'step']);
    expect(queryOf('getSubscriptionStatistics')).toEqual(['from', 'to', 'step']);
    expect(queryOf('publishRejectedEvent')).toEqual(['force']);
  });

  it('tells that a refused event can be corrected, in every form that an event has', () => {
    const publish = operations().find(({ operationId }) => operationId === 'publishRejectedEvent');
    expect(publish?.requestBody?.required).toBe(false);
    expect(Object.keys(publish?.requestBody?.content ?? {})).toEqual(['application/json', 'application/cloudevents+json', '*/*']);
  });

  it('tells that an export is one or the other, and which writes are remembered', () => {
    const exported = operations().find(({ operationId }) => operationId === 'exportEvents');
    expect(Object.keys(exported?.responses['200']?.content ?? {})).toEqual(['application/x-ndjson', 'text/csv']);
    const remembered = operations().filter(({ parameters }) => JSON.stringify(parameters).includes('IdempotencyKey'));
    expect(remembered.map(({ operationId }) => operationId).toSorted()).toEqual(['cancelDelivery', 'cancelReplay', 'createReplay', 'pauseReplay', 'redeliverDelivery', 'resumeReplay']);
  });

  it('refers to nothing that it does not hold', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
    expect(references.length).toBeGreaterThan(50);
    expect(references.filter(([, kind = '', name = '']) => document.components[kind]?.[name] === undefined)).toEqual([]);
  });

  it('is shown by a page, to anybody', async () => {
    expect((await world.service.get('/docs', {})).status).toBe(200);
  });
});
