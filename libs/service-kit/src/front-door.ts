import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Registry } from 'prom-client';
import { openMetricsOf } from './exemplars.js';
import type { Health } from './health.js';
import type { Log } from './log.js';
import { Problem, PROBLEM_MEDIA_TYPE, problemOf } from './problem.js';

export type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** A request's head has to arrive within `headersTimeout`, the whole of it within `requestTimeout`: a slow client holds no socket for long. */
const SERVER_OPTIONS = {
  headersTimeout: 15_000,
  requestTimeout: 60_000,
  // Longer than a load balancer keeps idle connections (60 s as a rule), so that it is never we who close one it is about to use.
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16 * 1024,
  connectionsCheckingInterval: 5_000,
} as const;

/** How long requests under way may take once the door closes. */
const CLOSE_MS = 10_000;
const SWEEP_MS = 50;

type Answer = { readonly status: number; readonly type: string; readonly body: string; readonly headers?: Readonly<Record<string, string>> };

const json = (status: number, body: object): Answer => ({ status, type: 'application/json', body: JSON.stringify(body) });

const problem = (refused: Problem): Answer => ({
  status: refused.status,
  type: PROBLEM_MEDIA_TYPE,
  body: JSON.stringify(refused.body),
  headers: refused.headers,
});

export type FrontDoorOptions = {
  readonly service: string;
  readonly version: string;
  readonly health: Health;
  readonly metrics: Registry;
  readonly log: Log;
};

/**
 * The server in front of the application. It listens before the application exists and answers for the process itself, so that a
 * service which migrates its tables or reads its topics for a minute is seen to be alive meanwhile, and a port that is taken is found
 * out at once. Everything else goes to the application as soon as it is admitted.
 */
export class FrontDoor {
  readonly server: Server;
  readonly #options: FrontDoorOptions;
  readonly #sockets = new Set<Socket>();
  #application: Handler | undefined;
  #closing = false;

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    this.server = createServer(SERVER_OPTIONS, (request, response) => this.#answer(request, response));
    this.server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    });
  }

  /** Listens; on every address of the machine when no host is given. Resolves to the port. */
  async open(port: number, host?: string): Promise<number> {
    try {
      await this.#listen(port, host ?? '::');
    } catch (error) {
      if (host !== undefined || !lacksIpv6(error)) throw error;
      await this.#listen(port, '0.0.0.0');
    }
    return (this.server.address() as AddressInfo).port; // a string only for pipes
  }

  admit(application: Handler): void {
    this.#application = application;
  }

  /** Takes no new connections, lets requests under way finish. */
  async close(): Promise<void> {
    this.#closing = true;
    if (!this.server.listening) return;
    // Connections on which nothing was ever said, as browsers keep them ready: to Node these are not idle, and closing would wait for them.
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
    const timer = setTimeout(() => this.server.closeAllConnections(), CLOSE_MS);
    // A connection whose last answer was begun before the door closed is kept alive by Node, and would be waited for.
    const sweep = setInterval(() => this.server.closeIdleConnections(), SWEEP_MS);
    await new Promise((resolve) => this.server.close(resolve));
    clearTimeout(timer);
    clearInterval(sweep);
  }

  async #listen(port: number, host: string): Promise<void> {
    this.server.listen({ port, host });
    await once(this.server, 'listening');
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    // A connection kept alive would hold the server open until its client thinks of closing it.
    if (this.#closing) response.setHeader('connection', 'close');
    const own = this.#own(request);
    if (own !== undefined) {
      void this.#send(request, response, isRead(request) ? own : () => problem(noSuchMethod(request)));
    } else if (this.#application === undefined) {
      void this.#send(request, response, () => problem(new Problem('unavailable', 'The service is starting.')));
    } else {
      this.#application(request, response);
    }
  }

  #own({ url = '', headers }: IncomingMessage): (() => Answer | Promise<Answer>) | undefined {
    switch (url.split('?', 1)[0]) {
      case '/healthz':
        return () => this.#alive();
      case '/readyz':
        return () => this.#ready();
      case '/metrics':
        return () => this.#metrics(headers.accept);
      default:
        return undefined;
    }
  }

  #alive(): Answer {
    const { service, version } = this.#options;
    return json(200, { status: 'ok', service, version, uptime_seconds: Math.round(process.uptime()) });
  }

  async #ready(): Promise<Answer> {
    const readiness = await this.#options.health.readiness();
    return json(readiness.status === 'ready' ? 200 : 503, readiness);
  }

  /** As OpenMetrics for who takes that, as Prometheus does before anything else. */
  async #metrics(accept = ''): Promise<Answer> {
    const { metrics, service } = this.#options;
    if (accept.includes('application/openmetrics-text')) return { status: 200, ...(await openMetricsOf(metrics, service)) };
    return { status: 200, type: metrics.contentType, body: await metrics.metrics() };
  }

  async #send(request: IncomingMessage, response: ServerResponse, answer: () => Answer | Promise<Answer>): Promise<void> {
    const { status, type, body, headers } = await this.#attempt(answer);
    response.writeHead(status, { ...headers, 'content-type': type, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' });
    response.end(request.method === 'HEAD' ? undefined : body);
  }

  /** A gauge that cannot be read must not take the process down with it. */
  async #attempt(answer: () => Answer | Promise<Answer>): Promise<Answer> {
    try {
      return await answer();
    } catch (err) {
      this.#options.log.error({ err }, 'health or metrics could not be told');
      return problem(problemOf(err));
    }
  }
}

const isRead = ({ method }: IncomingMessage): boolean => method === 'GET' || method === 'HEAD';

const noSuchMethod = ({ method }: IncomingMessage): Problem =>
  new Problem('method_not_allowed', `There is no ${method} here.`, { headers: { allow: 'GET, HEAD' } });

const lacksIpv6 = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && (error.code === 'EAFNOSUPPORT' || error.code === 'EADDRNOTAVAIL');
