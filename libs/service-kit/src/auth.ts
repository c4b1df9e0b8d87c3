import { hash, timingSafeEqual } from 'node:crypto';
import { RouteConfig } from '@nestjs/platform-fastify';
import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Id of the API key that the request came with; empty on open routes. */
    actor: string;
  }
  interface FastifyContextConfig {
    /** Answered without a key. */
    open?: boolean;
  }
}

/** A controller's method that is answered without a key. */
export const Open = (): MethodDecorator => RouteConfig({ open: true });

/** The key's id, or undefined when it is not a valid key. */
export type Authenticate = (key: string) => string | undefined;

/** The actor of the key in POSTHORN_ADMIN_API_KEY. */
export const ADMIN_ACTOR = 'admin';

/** Compares digests: equal in length whatever was sent, so that the time says nothing about the key. */
export const adminKeyOnly = (adminKey: string | undefined): Authenticate => {
  if (adminKey === undefined) return () => undefined;
  const expected = hash('sha256', adminKey, 'buffer');
  return (key) => (timingSafeEqual(hash('sha256', key, 'buffer'), expected) ? ADMIN_ACTOR : undefined);
};

const refusal = (detail: string, challenge: string): Problem =>
  new Problem('unauthenticated', detail, { headers: { 'www-authenticate': challenge } });

/**
 * Guards every route that does not say it is open. A hook of Fastify rather than a guard of Nest, because it comes before the body
 * is read: a stranger cannot make us hold one. It asks the matched route, never the URL, which has many spellings (`/%761/…`).
 * Unknown paths stay 404, key or not.
 */
export const guard = (fastify: FastifyInstance, authenticate: Authenticate): void => {
  fastify.decorateRequest('actor', '');
  fastify.addHook('onRequest', (request, _reply, done) => {
    if (request.is404 || request.routeOptions.config.open === true) return done();
    const [, key] = /^bearer +(\S+) *$/i.exec(request.headers.authorization ?? '') ?? [];
    if (key === undefined) return done(refusal('Send the header Authorization: Bearer <key>.', 'Bearer'));
    const actor = authenticate(key);
    if (actor === undefined) return done(refusal('The API key is not valid.', 'Bearer error="invalid_token"'));
    request.actor = actor;
    done();
  });
};
