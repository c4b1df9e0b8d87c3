import { describe, expect, it } from '@jest/globals';
import { KnownRoutes } from './known-routes.js';

describe('KnownRoutes', () => {
  const routes = new KnownRoutes();
  routes.add('GET', '/v1/tenants/:tenant');
  routes.add(['PATCH', 'DELETE'], '/v1/tenants/:tenant');
  routes.add('POST', '/v1/tenants/:tenant/events');
  routes.add('GET', '/files/a.b');
  routes.add('GET', '/files/*');
  routes.add('PUT', '/files/a+b');

  it.each([
    ['/v1/tenants/acme', ['DELETE', 'GET', 'PATCH']],
    ['/v1/tenants/acme/events', ['POST']],
    ['/v1/tenants/acme/', []],
    ['/v1/tenants', []],
    ['/v1/tenants/a/b', []],
    ['/files/a.b', ['GET']],
    ['/files/aXb', ['GET']],
    ['/files/a+b', ['GET', 'PUT']],
    ['/other', []],
  ])('%s has %j', (path, methods) => {
    expect(routes.methodsOf(path)).toEqual(methods);
  });
});
