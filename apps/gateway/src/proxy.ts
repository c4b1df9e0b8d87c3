import replyFrom, { type FastifyReplyFromOptions } from '@fastify/reply-from';
import { Problem } from '@posthorn/service-kit';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { requestHeaders, responseHeaders } from './headers.js';
import { pathOf, upstreamOf, type Upstream } from './routes.js';

export type ProxyOptions = {
  /** Base URLs of the services. */
  readonly upstreams: Readonly<Record<Upstream, string>>;
  /** How long a service may take to answer, and between two pieces of its answer; longer than its longest request, a test delivery of 30 s. */
  readonly timeoutMs?: number;
};

const TIMEOUT_MS = 35_000;
const CONNECT_TIMEOUT_MS = 3_000;
const CONNECTIONS_PER_SERVICE = 256;
/** Answers that go on for hours have connections of their own: however many watch, a question finds one free. */
const ENDLESS = '/v1/tenants/:tenant/deliveries/tail';
const ENDLESS_CONNECTIONS_PER_SERVICE = 4_096;

/** What the HTTP client says of a request that its sender got wrong; everything else is the service's fault. */
const SENDERS_FAULT: ReadonlySet<unknown> = new Set([
  'UND_ERR_INVALID_ARG',
  'UND_ERR_NOT_SUPPORTED',
  'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH',
]);

const codeOf = (error: unknown): unknown => (error instanceof Error && 'code' in error ? error.code : undefined);

const problemOf = (error: Error, upstream: Upstream): Problem =>
  SENDERS_FAULT.has(codeOf(error.cause ?? error))
    ? new Problem('malformed', 'The request cannot be passed on as it is.', { cause: error })
    : new Problem('unavailable', `The service ${upstream} does not answer.`, { cause: error });

/**
 * Passes everything under `/v1` on to the service that answers it. Bodies are streams throughout: what is never parsed arrives as it
 * was sent, in its bytes and its content type. Keys are the services' business.
 */
export const registerProxy = async (fastify: FastifyInstance, { upstreams, timeoutMs = TIMEOUT_MS }: ProxyOptions): Promise<void> => {
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
  const from = (connections: number): FastifyReplyFromOptions => ({
    undici: { connections, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connect: { timeout: CONNECT_TIMEOUT_MS } },
    destroyAgent: true,
    // Nearly every URL holds an id and is seen once.
    disableCache: true,
  });

  const forward = (request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    const path = pathOf(request.raw.url);
    const upstream = upstreamOf(request.method, path);
    if (upstream === undefined) throw new Problem('malformed', 'The path is ambiguous.');
    const sender = {
      method: request.method,
      remoteAddress: request.ip,
      protocol: request.protocol,
      host: request.host,
      requestId: request.id,
    };
    return reply.from(path, {
      getUpstream: () => upstreams[upstream],
      rewriteRequestHeaders: (_request, headers) => requestHeaders(headers, sender),
      rewriteHeaders: (headers) => responseHeaders(headers),
      // Left to itself the plugin repeats a GET up to ten times while a service answers 503; whether to wait is the client's decision.
      retryDelay: () => null,
      // It would also close the connection under a body that is still arriving, and so reset it before the answer is read.
      onResponse: (_request, answered, response) => void answered.removeHeader('connection').send(response.stream),
      onError: (failed, { error }) => void failed.send(problemOf(error, upstream)),
    });
  };
  await fastify.register(async (plain) => {
    await plain.register(replyFrom, from(CONNECTIONS_PER_SERVICE));
    plain.all('/v1/*', { config: { open: true } }, forward);
  });
  await fastify.register(async (endless) => {
    await endless.register(replyFrom, from(ENDLESS_CONNECTIONS_PER_SERVICE));
    endless.get(ENDLESS, { config: { open: true } }, forward);
  });
};
