import type { FastifyInstance } from 'fastify';
import { Problem } from './problem.js';
import { routeConfig } from './route-config.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Takes its body as it comes, whatever its type. */
    rawBody?: true;
  }
}

/** A controller's method whose body is a `Buffer` of what was sent, in any content type; undefined when nothing was. */
export const RawBody = (): MethodDecorator => routeConfig({ rawBody: true });

/** What no other parser takes: for the routes that say so, bytes; for all others, refused as if there were no parser. */
export const readRawBodies = (fastify: FastifyInstance): void => {
  fastify.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (request, body, done) => {
    if (request.routeOptions.config.rawBody === true) done(null, body);
    else done(new Problem('unsupported_media_type', `Unsupported Media Type: ${request.headers['content-type'] ?? 'none'}`));
  });
};
