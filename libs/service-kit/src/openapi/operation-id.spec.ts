import { describe, expect, it } from '@jest/globals';
import { operationIdOf, tagOf } from './operation-id.js';

describe('operationIdOf', () => {
  it.each([
    ['get', '/v1/tenants', 'listTenants'],
    ['post', '/v1/tenants', 'createTenant'],
    ['get', '/v1/tenants/{tenant}', 'getTenant'],
    ['patch', '/v1/tenants/{tenant}', 'updateTenant'],
    ['delete', '/v1/tenants/{tenant}', 'deleteTenant'],
    ['post', '/v1/api-keys', 'createApiKey'],
    ['delete', '/v1/api-keys/{id}', 'deleteApiKey'],
    ['post', '/v1/tenants/{tenant}/portal-tokens', 'createPortalToken'],
    ['get', '/v1/tenants/{tenant}/event-types', 'listEventTypes'],
    ['put', '/v1/tenants/{tenant}/event-types/{name}', 'putEventType'],
    ['post', '/v1/tenants/{tenant}/event-types/import', 'importEventTypes'],
    ['post', '/v1/tenants/{tenant}/subscriptions', 'createSubscription'],
    ['post', '/v1/tenants/{tenant}/subscriptions/batch', 'createSubscriptions'],
    ['get', '/v1/tenants/{tenant}/subscriptions/{id}', 'getSubscription'],
    ['get', '/v1/tenants/{tenant}/subscriptions/{id}/secret', 'getSubscriptionSecret'],
    ['get', '/v1/tenants/{tenant}/subscriptions/{id}/history', 'getSubscriptionHistory'],
    ['post', '/v1/tenants/{tenant}/subscriptions/{id}/enable', 'enableSubscription'],
    ['post', '/v1/tenants/{tenant}/subscriptions/{id}/rotate-secret', 'rotateSubscriptionSecret'],
    ['get', '/v1/tenants/{tenant}/deliveries/{id}', 'getDelivery'],
    ['post', '/v1/tenants/{tenant}/filter-check', 'checkFilter'],
  ])('%s %s is %s', (method, path, id) => {
    expect(operationIdOf(method, path)).toBe(id);
  });
});

describe('tagOf', () => {
  it.each([
    ['/v1/tenants/{tenant}', 'Tenants'],
    ['/v1/tenants/{tenant}/subscriptions/{id}/test', 'Subscriptions'],
    ['/v1/tenants/{tenant}/event-types', 'Event types'],
    ['/v1/api-keys/{id}', 'API keys'],
  ])('%s stands under %s', (path, tag) => {
    expect(tagOf(path)).toBe(tag);
  });
});
