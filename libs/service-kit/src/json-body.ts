import { isUtf8 } from 'node:buffer';
import { spanAt } from '@posthorn/contracts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { Problem } from './problem.js';

/**
 * Levels of objects and arrays in a body: what is limited to 64 itself (data, a schema, an example) stands in it with room around, a schema
 * of an OpenAPI document at the eighth level. Far below where the recursion in whatever looks at bodies would run out of stack.
 */
export const JSON_BODY_DEPTH = 128;

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

/** The parser skips the mark, and so must who looks before it. */
const startOf = (text: Buffer): number => (text.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK.length : 0);

/**
 * Fastify's own parser of JSON, behind a look at how deeply the text is nested: before it is parsed, because a body of nothing but
 * brackets becomes values of forty times its size.
 */
export const readJsonBodies = (fastify: FastifyInstance): void => {
  // Typed as if it might be one that returns a promise.
  const parse = fastify.getDefaultJsonParser('error', 'error') as (
    request: FastifyRequest,
    text: string,
    done: (error: Error | null, body?: unknown) => void,
  ) => void;
  fastify.removeContentTypeParser('application/json');
  fastify.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer' }, (request, text, done) => {
    if (request.routeOptions.config.rawBody === true) done(null, text);
    else if (!isUtf8(text)) done(new Problem('malformed', 'The body is not UTF-8.'));
    else if (spanAt(text, startOf(text)).depth > JSON_BODY_DEPTH) done(tooDeep());
    else parse(request, text.toString(), done);
  });
};

const tooDeep = (): Problem => {
  const message = `is nested more than ${JSON_BODY_DEPTH} levels deep`;
  return new Problem('invalid', `the request: ${message}`, { errors: [{ path: '', message }] });
};
