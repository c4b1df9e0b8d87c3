import type { Scope } from '@posthorn/contracts';
import type { FastifyInstance } from 'fastify';
import { routeConfig } from '../route-config.js';
import type { Authorize } from './authorize.js';
import type { Caller, Need } from './caller.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; nobody on open routes, which do not look. */
    caller: Caller;
    /** For an answer that goes on for long: whether the caller still may have it. Rejects as at the beginning. */
    authorizeAgain: () => Promise<Caller>;
  }
  interface FastifyContextConfig {
    /** Answered without a key. */
    open?: boolean;
    /** What the key must have a right to. */
    scoped?: Omit<Need, 'tenant'>;
  }
}

/** A controller's method that is answered without a key. */
export const Open = (): MethodDecorator => routeConfig({ open: true });

/**
 * A controller's method that takes a key with this scope; below `/tenants/:tenant` one for that tenant, elsewhere, by `allTenants`, one
 * that is not for a single tenant.
 */
export const Scoped = (scope: Scope, options: { readonly allTenants?: true } = {}): MethodDecorator =>
  routeConfig({ scoped: { scope, ...options } });

/** The caller of requests that have none. */
const NOBODY: Caller = { actor: '', tenant: undefined, scopes: new Set() };

/** The tenant that a route's path names. */
export const tenantIn = (params: unknown): string | undefined => {
  const tenant: unknown = typeof params === 'object' && params !== null && 'tenant' in params ? params.tenant : undefined;
  return typeof tenant === 'string' ? tenant : undefined;
};

/**
 * Guards every route. A hook of Fastify rather than a guard of Nest, because it comes before the body is read: a stranger cannot make
 * us hold one. It asks the matched route, never the URL, which has many spellings (`/%761/…`). Unknown paths stay 404, key or not.
 * A route that says neither that it is open nor what it takes keeps the application from starting.
 */
export const guard = (fastify: FastifyInstance, authorize: Authorize): void => {
  const unguarded: string[] = [];
  fastify.addHook('onRoute', ({ method, url, config }) => {
    if (config?.open !== true && config?.scoped === undefined) unguarded.push(`${String(method)} ${url}`);
  });
  fastify.addHook('onReady', async () => {
    if (unguarded.length > 0) throw new Error(`neither Open nor Scoped: ${unguarded.join('; ')}`);
  });
  fastify.decorateRequest('caller');
  fastify.decorateRequest('authorizeAgain');
  fastify.addHook('onRequest', async (request) => {
    request.caller = NOBODY;
    request.authorizeAgain = () => Promise.resolve(NOBODY);
    const { open, scoped } = request.routeOptions.config;
    if (request.is404 || open === true) return;
    if (scoped === undefined) throw new Error(`${request.method} ${String(request.routeOptions.url)} is neither Open nor Scoped`);
    request.authorizeAgain = () => authorize(request.headers, { ...scoped, tenant: tenantIn(request.params) });
    request.caller = await request.authorizeAgain();
  });
};
