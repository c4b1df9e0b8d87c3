import { Agent, type Dispatcher } from 'undici';
import type { ConnectionOptions } from 'node:tls';
import { GenerationCache } from '@posthorn/domain';
import { checkUrl, type EgressPolicy } from './address-guard.js';
import type { ClientIdentity } from './client-identity.js';
import { guardedConnector } from './connector.js';
import { AttemptFailed, failureOf, type HttpFailure } from './failure.js';
import { readHeaders, ResponseBody } from './response.js';
import { resolveBySystem, type Resolve } from './resolve.js';

export type { HttpFailure } from './failure.js';

export type HttpRequest = {
  readonly url: string;
  /** Names and values by turns, as they are written to the socket. */
  readonly headers: readonly string[];
  readonly body: Uint8Array;
  /** From the call to the last byte of the response, connecting included. */
  readonly timeoutMs: number;
  /** Shown to the server (mutual TLS). Requests of different identities never share a connection. */
  readonly identity?: ClientIdentity | undefined;
  readonly signal?: AbortSignal | undefined;
};

export type HttpResponse = {
  readonly status: number;
  /** Lower-case names; at most 32 and 4 KiB of them. */
  readonly headers: Readonly<Record<string, string>>;
  /** The first 4 KiB as UTF-8. */
  readonly body: string;
  /** The body went on. */
  readonly truncated: boolean;
};

/** A response, or a failure; a failure with the response as far as it had come when there was one. */
export type HttpOutcome = { readonly durationMs: number } & (
  | { readonly response: HttpResponse; readonly failure?: undefined }
  | { readonly response?: HttpResponse | undefined; readonly failure: HttpFailure }
);

export type HttpSenderOptions = {
  readonly policy: EgressPolicy;
  /** Default: the operating system's resolver. */
  readonly resolve?: Resolve | undefined;
  /** Default 5000. */
  readonly connectTimeoutMs?: number | undefined;
  /**
   * Default: no limit. Concurrency is limited per subscription, by whoever sends; a limit here makes subscriptions that share a host
   * wait for each other.
   */
  readonly connectionsPerOrigin?: number | undefined;
  /** How long an idle connection is kept. Default 5000; a server's own `keep-alive` hint is followed up to 30 s. */
  readonly keepAliveMs?: number | undefined;
  /** Certificate authorities to trust instead of the usual ones. */
  readonly tls?: Pick<ConnectionOptions, 'ca'> | undefined;
};

type Target = { readonly origin: string; readonly path: string } | { readonly refused: HttpFailure };

const DEFAULT_CONNECT_TIMEOUT_MS = 5_000;
const DEFAULT_KEEP_ALIVE_MS = 5_000;
const KEEP_ALIVE_CAP_MS = 30_000;
/** The most of a response that is read; a longer one is cut off by closing the connection. */
const MAX_BODY_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
/** Client certificates whose connections are kept; a subscription's are made anew when it changes. */
const MAX_IDENTITIES = 1_000;

/**
 * The one HTTP client for everything that leaves Posthorn. POSTs over HTTP/1.1 with kept-alive connections, one request on a connection at a
 * time; follows no redirects, knows no proxies, asks for no compression. Nothing it does throws or rejects: all that can happen
 * is an `HttpOutcome`. An origin's pool goes with its last connection, so memory follows the origins in use.
 */
export class HttpSender {
  private readonly newAgent: (tls: ConnectionOptions | undefined) => Agent;
  private readonly agent: Agent;
  /** Of the identities used lately, the latest last. */
  private readonly agents = new Map<ClientIdentity, Agent>();
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
    this.newAgent = (tls) => new Agent(agentOptions(options, tls));
    this.agent = this.newAgent(options.tls);
  }

  send(request: HttpRequest): Promise<HttpOutcome> {
    return new Promise((resolve) => {
      const exchange = new Exchange(request.timeoutMs, request.signal, this.inFlight.length, (outcome) => {
        this.remove(exchange);
        resolve(outcome);
      });
      this.inFlight.push(exchange);
      if (this.closing) exchange.fail(SHUTTING_DOWN);
      else if (request.signal?.aborted) exchange.fail(ABORTED);
      else this.dispatch(request, exchange);
    });
  }

  /** Requests under way. */
  get running(): number {
    return this.inFlight.length;
  }

  /** Origins that a connection is open to, or being opened. */
  get origins(): number {
    return Object.keys(this.agent.stats).length;
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
    await Promise.all([this.agent, ...this.agents.values()].map((agent) => agent.destroy()));
  }

  private agentOf(identity: ClientIdentity | undefined): Agent {
    if (identity === undefined) return this.agent;
    const agent = this.agents.get(identity) ?? this.newAgent(identity);
    this.agents.delete(identity);
    this.agents.set(identity, agent);
    const [[oldest, itsAgent] = []] = this.agents;
    if (this.agents.size > MAX_IDENTITIES && oldest !== undefined) {
      this.agents.delete(oldest);
      // Ends with the last of its requests.
      void itsAgent?.close();
    }
    return agent;
  }

  private remove({ place }: Exchange): void {
    const last = this.inFlight.pop();
    if (last !== undefined && last.place !== place) {
      last.place = place;
      this.inFlight[place] = last;
    }
    if (this.inFlight.length === 0) this.idle?.();
  }

  private dispatch({ url, headers, body, identity }: HttpRequest, exchange: Exchange): void {
    const target = this.targets.get(url);
    if ('refused' in target) {
      exchange.fail(target.refused);
      return;
    }
    // The client only reads the array; its type does not say so.
    this.agentOf(identity).dispatch({ origin: target.origin, path: target.path, method: 'POST', headers: headers as string[], body }, exchange);
  }
}

const agentOptions = (options: HttpSenderOptions, tls: ConnectionOptions | undefined): Agent.Options => ({
  connect: guardedConnector({
    policy: options.policy,
    resolve: options.resolve ?? resolveBySystem,
    connectTimeoutMs: options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    tls,
  }),
  ...(options.connectionsPerOrigin !== undefined && { connections: options.connectionsPerOrigin }),
  pipelining: 1,
  // ALPN is not offered by the connector; this spares the pool its probing for HTTP/2.
  allowH2: false,
  maxHeaderSize: MAX_HEADER_BYTES,
  keepAliveTimeout: options.keepAliveMs ?? DEFAULT_KEEP_ALIVE_MS,
  keepAliveMaxTimeout: KEEP_ALIVE_CAP_MS,
  // The total deadline is ours and exact; the client's own timers would cost a second one per request.
  headersTimeout: 0,
  bodyTimeout: 0,
});

const targetOf = (text: string, policy: EgressPolicy): Target => {
  const verdict = checkUrl(text, policy);
  return verdict.ok
    ? { origin: verdict.url.origin, path: verdict.url.pathname + verdict.url.search }
    : { refused: { code: 'address_blocked', message: verdict.message } };
};

const ABORTED: HttpFailure = { code: 'aborted', message: 'The attempt was aborted.' };
const SHUTTING_DOWN: HttpFailure = { code: 'aborted', message: 'The attempt was aborted: Posthorn is shutting down.' };
/** Handed to the client to stop a request whose outcome is settled already; one for all, since making an error costs a stack trace. */
const SETTLED = new AttemptFailed(ABORTED);

/** One request under way: what the HTTP client calls back, until the outcome is settled, once. */
class Exchange implements Dispatcher.DispatchHandler {
  private readonly startedTick = performance.now();
  private readonly deadline: NodeJS.Timeout;
  private controller: Dispatcher.DispatchController | undefined = undefined;
  private status = 0;
  private headers: Readonly<Record<string, string>> = {};
  private readonly body = new ResponseBody();
  private settled = false;

  constructor(
    private readonly timeoutMs: number,
    private readonly signal: AbortSignal | undefined,
    /** Among the requests under way. */
    public place: number,
    private readonly settle: (outcome: HttpOutcome) => void,
  ) {
    this.deadline = setTimeout(onDeadline, timeoutMs, this);
    signal?.addEventListener('abort', this.onAbort);
  }

  fail(failure: HttpFailure): void {
    if (this.settled) return;
    const response = this.status === 0 ? undefined : this.response();
    this.end({ durationMs: this.durationMs(), ...(response && { response }), failure });
    this.controller?.abort(SETTLED);
  }

  expire(): void {
    this.fail(
      this.controller === undefined
        ? { code: 'connect_timeout', message: `There was no connection to the host within ${this.timeoutMs} ms.` }
        : { code: 'timeout', message: `The response was not complete within ${this.timeoutMs} ms.` },
    );
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.settled) controller.abort(SETTLED);
    else this.controller = controller;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
    if (status < 200) return;
    this.status = status;
    this.headers = readHeaders(headers);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.body.add(chunk);
    if (this.body.bytes <= MAX_BODY_BYTES || this.settled) return;
    // The status is what counts, and it has come; the rest is not worth a connection's time.
    this.end({ durationMs: this.durationMs(), response: this.response() });
    controller.abort(SETTLED);
  }

  onResponseEnd(): void {
    if (!this.settled) this.end({ durationMs: this.durationMs(), response: this.response() });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.controller = undefined;
    this.fail(failureOf(error));
  }

  private readonly onAbort = (): void => this.fail(ABORTED);

  private durationMs(): number {
    return performance.now() - this.startedTick;
  }

  private response(): HttpResponse {
    return { status: this.status, headers: this.headers, body: this.body.text(), truncated: this.body.truncated };
  }

  private end(outcome: HttpOutcome): void {
    this.settled = true;
    clearTimeout(this.deadline);
    this.signal?.removeEventListener('abort', this.onAbort);
    this.settle(outcome);
  }
}

const onDeadline = (exchange: Exchange): void => exchange.expire();

type RawHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];
