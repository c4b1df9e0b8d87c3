import type { ConnectionOptions } from 'node:tls';
import { GenerationCache } from '@posthorn/domain';
import type { EgressPolicy } from './address-guard.js';
import { Connections } from './connections.js';
import { guardedConnector } from './connector.js';
import { nameResolver } from './dns/name-resolver.js';
import { ABORTED, Exchange, MAX_HEADER_BYTES, type HttpOutcome, type HttpRequest } from './exchange.js';
import type { HttpFailure } from './failure.js';
import { openFilesLimit } from './open-files.js';
import type { Resolve } from './resolve.js';
import { checkUrl } from './url-guard.js';

export type { HttpOutcome, HttpRequest, HttpResponse } from './exchange.js';
export type { HttpFailure } from './failure.js';

export type HttpSenderOptions = {
  readonly policy: EgressPolicy;
  /** Default: `nameResolver`. */
  readonly resolve?: Resolve | undefined;
  /** Name servers that alone are asked, `host:port` or `host` each. Default: those of the machine, and its other ways of finding a name. */
  readonly nameServers?: readonly string[] | undefined;
  /** Default 5000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * Connections in all, in use or not. Default: 10,000, or three quarters of the files that the process may have open if those are fewer. There is no bound on those in
   * use to one origin: concurrency is limited per subscription, by whoever sends, and subscriptions that share a host must not wait for each other.
   */
  readonly maxConnections?: number | undefined;
  /** Connections kept for later, in all. Default 2000. */
  readonly maxIdle?: number | undefined;
  /** Of one origin. Default 1000: as many as a sender has requests under way, since all of its subscriptions may share a host. */
  readonly maxIdlePerOrigin?: number | undefined;
  /**
   * How long an idle connection is kept. Default 4000: less than the 5 s after which many servers close theirs without having said so. A server's own `keep-alive` hint is followed, less
   * 2 s, up to 30 s.
   */
  readonly keepAliveMs?: number | undefined;
  /** Certificate authorities to trust instead of the usual ones. */
  readonly tls?: Pick<ConnectionOptions, 'ca'> | undefined;
};

type Target = { readonly origin: string; readonly path: string } | { readonly refused: HttpFailure };

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_KEEP_ALIVE_MS = 4_000;
const KEEP_ALIVE_CAP_MS = 30_000;
const MAX_CONNECTIONS = 10_000;
const SHARE_OF_FILES = 0.75;
const MAX_IDLE = 2_000;
const MAX_IDLE_PER_ORIGIN = 1_000;

/**
 * The one HTTP client for everything that leaves Posthorn. POSTs over HTTP/1.1 with kept-alive connections, one request on a connection at a
 * time; follows no redirects, knows no proxies, asks for no compression. Nothing it does throws or rejects: all that can happen
 * is an `HttpOutcome`. Memory and open files follow the connections in use, which are bounded, not the origins there are.
 */
export class HttpSender {
  private readonly connections: Connections;
  private readonly targets: GenerationCache<string, Target>;
  /**
   * Requests under way, each knowing its place. An array, because a Set of short-lived objects costs 7 µs per request in garbage
   * collection alone (measured on Node 24: add and delete give each object a hash, and the table is rebuilt again and again).
   */
  private readonly inFlight: Exchange[] = [];
  private closing = false;
  private idle: (() => void) | undefined;

  constructor(options: HttpSenderOptions) {
    const { policy } = options;
    this.targets = new GenerationCache(10_000, (url) => targetOf(url, policy));
    this.connections = new Connections(connectionsOptions(options));
  }

  send(request: HttpRequest): Promise<HttpOutcome> {
    return new Promise((resolve) => {
      const exchange = new Exchange(request, this.connections, this.inFlight.length, (outcome) => {
        this.remove(exchange);
        resolve(outcome);
      });
      this.inFlight.push(exchange);
      if (this.closing) exchange.fail(SHUTTING_DOWN);
      else if (request.signal?.aborted) exchange.fail(ABORTED);
      else this.dispatch(request.url, exchange);
    });
  }

  /** Requests under way. */
  get running(): number {
    return this.inFlight.length;
  }

  /** Origins that a connection is open to, or being opened. */
  get origins(): number {
    return this.connections.origins;
  }

  /** Connections that are open, or being opened or closed. */
  get openConnections(): number {
    return this.connections.open;
  }

  /** Takes no more requests; lets those under way finish for `graceMs`, then aborts them; closes every connection. */
  async close(graceMs = 0): Promise<void> {
    this.closing = true;
    if (this.inFlight.length > 0 && graceMs > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.idle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    // Each leaves the list as it fails.
    for (let last = this.inFlight.at(-1); last !== undefined; last = this.inFlight.at(-1)) last.fail(SHUTTING_DOWN);
    await this.connections.close();
  }

  private remove({ place }: Exchange): void {
    const last = this.inFlight.pop();
    if (last !== undefined && last.place !== place) {
      last.place = place;
      this.inFlight[place] = last;
    }
    if (this.inFlight.length === 0) this.idle?.();
  }

  private dispatch(url: string, exchange: Exchange): void {
    const target = this.targets.get(url);
    if ('refused' in target) exchange.fail(target.refused);
    else exchange.start(target.origin, target.path);
  }
}

const connectionsOptions = (options: HttpSenderOptions): ConstructorParameters<typeof Connections>[0] => {
  const { policy, nameServers: servers, resolve = nameResolver({ servers }), connectTimeoutMs = DEFAULT_CONNECT_TIMEOUT_MS } = options;
  return {
    connectorFor: (tls) => guardedConnector({ policy, resolve, connectTimeoutMs, tls: tls ?? options.tls }),
    maxOpen: options.maxConnections ?? Math.min(MAX_CONNECTIONS, Math.floor(openFilesLimit() * SHARE_OF_FILES)),
    maxIdle: options.maxIdle ?? MAX_IDLE,
    maxIdlePerOrigin: options.maxIdlePerOrigin ?? MAX_IDLE_PER_ORIGIN,
    client: {
      pipelining: 1,
      // HTTP/2 costs more than twice as much (docs/decisions/016-outbound-connections.md).
      allowH2: false,
      maxHeaderSize: MAX_HEADER_BYTES,
      keepAliveTimeout: options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_CAP_MS,
      // The total deadline is ours and exact; the client's own timers would cost a second one per request.
      headersTimeout: 0,
      bodyTimeout: 0,
    },
  };
};

/** In the words in which the registry refuses such a URL. */
const targetOf = (text: string, policy: EgressPolicy): Target => {
  const verdict = checkUrl(text, policy);
  return verdict.ok
    ? { origin: verdict.url.origin, path: verdict.url.pathname + verdict.url.search }
    : { refused: { code: 'address_blocked', message: `${verdict.code}: ${verdict.message}` } };
};

const SHUTTING_DOWN: HttpFailure = { code: 'aborted', message: 'The attempt was aborted: Posthorn is shutting down.' };
