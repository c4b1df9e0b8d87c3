import { describe, expect, it } from '@jest/globals';
import { segmentsOf, upstreamOf } from './routes.js';

describe('upstreamOf', () => {
  it.each([
    ['POST', '/v1/tenants', 'subscription-registry'],
    ['GET', '/v1/tenants/acme', 'subscription-registry'],
    ['DELETE', '/v1/api-keys/key_1', 'subscription-registry'],
    ['PUT', '/v1/tenants/acme/event-types/invoice.paid', 'subscription-registry'],
    ['POST', '/v1/tenants/acme/subscriptions', 'subscription-registry'],
    ['GET', '/v1/tenants/acme/subscriptions/sub_1', 'subscription-registry'],
    ['POST', '/v1/tenants/acme/subscriptions/sub_1/test', 'subscription-registry'],
    ['POST', '/v1/tenants/acme/filter-check', 'subscription-registry'],
    ['POST', '/v1/tenants/acme/portal-tokens', 'subscription-registry'],
    ['GET', '/v1/tenants/acme/nothing', 'subscription-registry'],
    ['GET', '/v1/nothing', 'subscription-registry'],
    ['POST', '/v1/tenants/acme/events', 'event-ingestion'],
    ['POST', '/v1/tenants/acme/events/batch', 'event-ingestion'],
    ['GET', '/v1/tenants/acme/events', 'delivery-audit'],
    ['HEAD', '/v1/tenants/acme/events', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/events/evt_1/explain', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/deliveries', 'delivery-audit'],
    ['POST', '/v1/tenants/acme/deliveries/dlv_1/redeliver', 'delivery-audit'],
    ['POST', '/v1/tenants/acme/replays', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/rejected-events', 'delivery-audit'],
    ['POST', '/v1/tenants/acme/rejected-events/rej_1/publish', 'delivery-audit'],
    ['GET', '/v1/rejected-events', 'delivery-audit'],
    ['GET', '/v1/rejected-events/rej_1', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/events/export', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/deliveries/export/attempts', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/stats', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/subscriptions/sub_1/stats', 'delivery-audit'],
    ['GET', '/v1/tenants/acme/stats/missed', 'delivery-audit'],
  ])('%s %s goes to %s', (method, path, upstream) => {
    expect(upstreamOf(method, path)).toBe(upstream);
  });

  it.each([
    ['/v1/tenants/acme/%65vents', 'delivery-audit'],
    ['/%761/tenants/acme/events', 'delivery-audit'],
    ['/v1/tenants/acme%2Fevents', 'subscription-registry'],
    ['/v1/tenants/acme%2fevents/x', 'subscription-registry'],
    ['/v1/tenants/acme/events%2Fbatch', 'subscription-registry'],
    ['/v1/tenants/events/subscriptions', 'subscription-registry'],
    ['/v1/tenants/rejected-events', 'subscription-registry'],
    ['/v1/tenants/stats', 'subscription-registry'],
    ['/v1/tenants/acme/subscriptions/stats', 'subscription-registry'],
    ['/v1//tenants/acme/events', 'subscription-registry'],
    ['/v1/tenants//events', 'delivery-audit'],
    ['/v1/tenants/acme/events/a%2Fb', 'delivery-audit'],
    ['/v1/tenants/acme/events/...', 'delivery-audit'],
  ])('reads GET %s as the services do: %s', (path, upstream) => {
    expect(upstreamOf('GET', path)).toBe(upstream);
  });

  it.each([
    '/v1/tenants/acme/events/../subscriptions',
    '/v1/tenants/acme/events/%2e%2E/subscriptions',
    '/v1/tenants/acme/./events',
    '/v1/tenants/acme/%2E/events',
    String.raw`/v1/tenants/acme\..\events`,
    String.raw`/v1\tenants`,
    '/v1/tenants#/events',
    'http:///v1/tenants',
    '/v1/tenants/%zz',
  ])('passes %s on to nobody', (path) => {
    expect(upstreamOf('GET', path)).toBeUndefined();
  });
});

describe('segmentsOf', () => {
  it('keeps an encoded slash inside its segment', () => {
    expect(segmentsOf('/v1/a%2Fb')).toEqual(['', 'v1', 'a/b']);
  });
});
