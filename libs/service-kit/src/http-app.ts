import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { Catch, type ArgumentsHost, type DynamicModule, type ExceptionFilter } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { traceIdOf, validTraceparent } from '@posthorn/contracts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { authorizer, type Authenticate } from './access/authorize.js';
import { guard, tenantIn } from './access/guard.js';
import { readJsonBodies } from './json-body.js';
import { KnownRoutes } from './known-routes.js';
import { NestLog, type Log } from './log.js';
import { loggedPath, pathOf } from './logged-path.js';
import type { ObserveRequest } from './metrics.js';
import { serveDocs } from './openapi/docs.js';
import { openApiDocument, type ApiDescription } from './openapi/document.js';
import { documentedRoutes } from './openapi/documented-routes.js';
import { schemaPipe } from './openapi/schema-pipe.js';
import { Problem, PROBLEM_MEDIA_TYPE, problemOf } from './problem.js';
import { readRawBodies } from './raw-body.js';
import { requestIdFrom } from './request-id.js';

export type HttpAppOptions = {
  readonly module: DynamicModule;
  readonly log: Log;
  readonly authenticate: Authenticate;
  readonly observe: ObserveRequest;
  /** Serves the OpenAPI document of the controllers, under this heading, and a page that shows it; neither unless given. */
  readonly api?: ApiDescription | undefined;
  /** Of a request's body; default 1 MiB. */
  readonly bodyLimitBytes?: number | undefined;
  /** Content type parsers, hooks, routes beside Nest's; called before Nest adds its own. */
  readonly fastify?: ((instance: FastifyInstance) => void | Promise<void>) | undefined;
  /** Gives the server that Fastify's handler is to serve; default one of its own, for `inject`. */
  readonly serverFactory?: ((handler: (request: IncomingMessage, response: never) => void) => Server) | undefined;
};

const BODY_LIMIT_BYTES = 1024 * 1024;
/** Of one path segment, decoded: ids may have 256 characters of up to four bytes. */
const MAX_PARAM_LENGTH = 1024;

const sendProblem = (log: Log, error: unknown, request: FastifyRequest, reply: FastifyReply): void => {
  const problem = problemOf(error);
  if (problem.code === 'internal') {
    const fields = { err: error, request_id: request.id, method: request.method, path: loggedPath(request.url) };
    log.error(fields, 'request failed unexpectedly');
  }
  // The head is on its way already: all that can still be told is that the body is not whole.
  if (reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  // Fastify wants the connection closed on a body that it does not read to its end. The sender, still writing, would then find it
  // reset before reading why; Node reads the rest away instead, for as long as a request may take.
  reply.removeHeader('connection');
  // A text, so that no schema of the route can change its form.
  void reply.code(problem.status).headers(problem.headers).type(PROBLEM_MEDIA_TYPE).send(JSON.stringify(problem.body));
};

/** Hands what controllers throw to where Fastify's own errors go. */
@Catch()
class ProblemFilter implements ExceptionFilter {
  readonly #send: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void;

  constructor(send: (error: unknown, request: FastifyRequest, reply: FastifyReply) => void) {
    this.#send = send;
  }

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.#send(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}

/** Nest asks its adapter to install handlers that know neither problems nor methods; this one has installed better ones. */
class Adapter extends FastifyAdapter {
  override setErrorHandler(): never {
    return this.getInstance() as never;
  }

  override setNotFoundHandler(): never {
    return this.getInstance() as never;
  }
}

const CLIENT_ERRORS: Readonly<Record<string, readonly [status: number, detail: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'The headers of the request are too large.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
};

/** What is not HTTP, or not in time, never becomes a request; it is answered on the bare socket. */
const answerClientError = (error: NodeJS.ErrnoException, socket: Duplex): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [status, detail] = CLIENT_ERRORS[error.code ?? ''] ?? [400, 'The request is not HTTP.'];
  const body = JSON.stringify({ ...new Problem('malformed', detail).body, status });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_MEDIA_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

/** What is secret stays out, wherever in the URL it was put. Whose tenant it is about is told of those only who may know that there is one. */
const lineOf = (request: FastifyRequest, { statusCode, elapsedTime }: FastifyReply, route: string) => {
  const { actor, tenant = tenantIn(request.params) } = request.caller;
  const traceparent = validTraceparent(request.headers['traceparent']);
  return {
    request_id: request.id,
    trace_id: traceparent && traceIdOf(traceparent),
    method: request.method,
    route,
    path: loggedPath(request.url),
    status: statusCode,
    duration_ms: Math.round(elapsedTime * 1_000) / 1_000,
    ...(actor !== '' && { actor, tenant: tenant && loggedPath(tenant) }),
    remote_address: request.ip,
    user_agent: request.headers['user-agent'],
  };
};

/** Request id, duration metric, and one wide line per request. */
const observeRequests = (fastify: FastifyInstance, log: Log, observe: ObserveRequest): void => {
  fastify.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });
  fastify.addHook('onResponse', (request, reply, done) => {
    const route = request.is404 ? 'unknown' : (request.routeOptions.url ?? 'unknown');
    observe(request.method, route, reply.statusCode, reply.elapsedTime / 1_000);
    if (log.isLevelEnabled('info')) log.info(lineOf(request, reply, route), 'request');
    done();
  });
};

/** The Nest application on Fastify, initialised, not listening. */
export const createHttpApp = async (options: HttpAppOptions): Promise<NestFastifyApplication> => {
  const { log } = options;
  const send = sendProblem.bind(undefined, log);
  const adapter = new Adapter({
    bodyLimit: options.bodyLimitBytes ?? BODY_LIMIT_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    trustProxy: false,
    genReqId: (request: { readonly headers: IncomingMessage['headers'] }) => requestIdFrom(request.headers['x-request-id']),
    clientErrorHandler: answerClientError,
    frameworkErrors: send,
    // Nothing here uses Nest's middleware; its engine would run for every request all the same.
    skipMiddie: true,
    ...(options.serverFactory && { serverFactory: options.serverFactory as never }),
  });
  const fastify = adapter.getInstance() as unknown as FastifyInstance;
  const routes = new KnownRoutes();
  fastify.addHook('onRoute', ({ method, url }) => routes.add(method, url));
  fastify.setErrorHandler(send);
  fastify.setNotFoundHandler((request, reply) => {
    const path = pathOf(request.url);
    const allowed = routes.methodsOf(path);
    const problem =
      allowed.length === 0
        ? new Problem('not_found', `There is nothing at ${path}.`)
        : new Problem('method_not_allowed', `${path} has no ${request.method}.`, { headers: { allow: allowed.join(', ') } });
    send(problem, request, reply);
  });
  // Text is not among what any of our routes takes; unread, it is a 415 instead of a puzzling 422.
  fastify.removeContentTypeParser('text/plain');
  readJsonBodies(fastify);
  readRawBodies(fastify);
  observeRequests(fastify, log, options.observe);
  guard(fastify, authorizer(options.authenticate));
  await options.fastify?.(fastify);

  const app = await NestFactory.create<NestFastifyApplication>(options.module, adapter, {
    logger: new NestLog(log),
    bodyParser: false,
    abortOnError: false,
  });
  app.useGlobalPipes(schemaPipe);
  app.useGlobalFilters(new ProblemFilter(send));
  if (options.api) {
    const { api } = options;
    const documented = documentedRoutes(app);
    let text: Promise<string> | undefined;
    serveDocs(fastify, api.title, () => (text ??= openApiDocument(app, documented, api).then((document) => JSON.stringify(document))));
  }
  await app.init();
  await fastify.ready();
  return app;
};
