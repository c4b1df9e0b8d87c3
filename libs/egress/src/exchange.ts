import type { Dispatcher } from 'undici';
import type { ClientIdentity } from './client-identity.js';
import type { Connection, Connections, Waiter } from './connections.js';
import { failureOf, isOutOfFiles, isUnsent, type HttpFailure } from './failure.js';
import { readHeaders, ResponseBody } from './response.js';

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

/** The most of a response that is read; a longer one is cut off by closing the connection. */
const MAX_BODY_BYTES = 64 * 1024;
/** Of the response as it comes. Chunks may be a byte each, and have extensions without end, which no body tells of. */
const MAX_RECEIVED_BYTES = 512 * 1024;
/** Of 1xx before the real one. A client would go on reading them until the deadline. */
const MAX_INFORMATIONAL = 20;

/** Status line, header lines and their ends, of all responses together. */
export const MAX_HEADER_BYTES = 16 * 1024;

export const ABORTED: HttpFailure = { code: 'aborted', message: 'The attempt was aborted.' };
const HEADERS_TOO_LARGE: HttpFailure = { code: 'response_too_large', message: 'The response headers are larger than 16 KiB.' };
const TOO_MANY_INFORMATIONAL: HttpFailure = {
  code: 'response_too_large',
  message: `There were more than ${MAX_INFORMATIONAL} informational responses before the real one.`,
};

/**
 * One request under way: waits for a connection, and is what the HTTP client calls back, until the outcome is settled, once.
 *
 * A request that was given a kept connection may find it closed by the server. If nothing of it has been written, or the system has refused to take all of it and nothing has been
 * answered, it cannot have been processed: it goes out again at once, on a new connection. Everything else may have reached the subscriber, and is an attempt.
 */
export class Exchange implements Dispatcher.DispatchHandler, Waiter {
  origin = '';
  needsNew = false;
  private path = '';
  private readonly startedTick = performance.now();
  private readonly deadline: NodeJS.Timeout;
  private connection: Connection | undefined = undefined;
  /** It is being written to a connection. */
  private hasBegun = false;
  /** Of all responses to it. */
  private receivedBytes = 0;
  private informational = 0;
  private status = 0;
  private headers: Readonly<Record<string, string>> = {};
  private readonly body = new ResponseBody();
  private settled = false;

  constructor(
    private readonly request: HttpRequest,
    private readonly connections: Connections,
    /** Among the requests under way. */
    public place: number,
    private readonly settle: (outcome: HttpOutcome) => void,
  ) {
    this.deadline = setTimeout(onDeadline, request.timeoutMs, this);
    request.signal?.addEventListener('abort', this.onAbort);
  }

  get identity(): ClientIdentity | undefined {
    return this.request.identity;
  }

  start(origin: string, path: string): void {
    this.origin = origin;
    this.path = path;
    this.connections.acquire(this);
  }

  onConnection(connection: Connection): void {
    this.connection = connection;
    connection.user = this;
    const { headers, body } = this.request;
    // The client only reads the array; its type does not say so.
    connection.client.dispatch({ path: this.path, method: 'POST', headers: headers as string[], body }, this);
  }

  fail(failure: HttpFailure): void {
    if (this.settled) return;
    const response = this.status === 0 ? undefined : this.response();
    this.end({ durationMs: this.durationMs(), ...(response && { response }), failure });
    this.giveUp();
  }

  expire(): void {
    const { timeoutMs } = this.request;
    if (this.connection === undefined) {
      this.fail({ code: 'connect_timeout', message: `All connections that Posthorn may have were in use for ${timeoutMs} ms.` });
    } else if (!this.hasBegun) {
      this.fail({ code: 'connect_timeout', message: `There was no connection to the host within ${timeoutMs} ms.` });
    } else {
      this.fail({ code: 'timeout', message: `The response was not complete within ${timeoutMs} ms.` });
    }
  }

  onRequestStart(): void {
    this.hasBegun = true;
  }

  room(): number {
    if (!this.hasBegun) return Infinity;
    if (this.status === 0) {
      if (this.receivedBytes >= MAX_HEADER_BYTES) this.fail(HEADERS_TOO_LARGE);
      return MAX_HEADER_BYTES - this.receivedBytes;
    }
    if (this.receivedBytes < MAX_RECEIVED_BYTES) return Infinity;
    this.cutOff();
    return 0;
  }

  onBytes(count: number): void {
    this.receivedBytes += count;
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: RawHeaders): void {
    if (status < 200) {
      if (++this.informational > MAX_INFORMATIONAL) this.fail(TOO_MANY_INFORMATIONAL);
      return;
    }
    this.status = status;
    this.headers = readHeaders(headers);
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.body.add(chunk);
    if (this.body.bytes > MAX_BODY_BYTES) this.cutOff();
  }

  onResponseEnd(): void {
    if (this.settled) return;
    if (this.connection !== undefined) this.connections.release(this.connection);
    this.end({ durationMs: this.durationMs(), response: this.response() });
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.settled) return;
    if (!this.hasBegun && isOutOfFiles(error)) {
      this.connections.outOfFiles();
      this.again();
      return;
    }
    const failure = failureOf(error);
    const isStale = failure.code === 'connection_reset' && this.isUnanswered;
    if (isStale && (!this.hasBegun || isUnsent(error))) {
      this.needsNew = true;
      this.again();
      return;
    }
    if (isStale) this.connections.distrust(this.origin);
    this.fail(failure);
  }

  /** The status is what counts, and it has come; the rest is not worth a connection's time. */
  private cutOff(): void {
    if (this.settled) return;
    this.end({ durationMs: this.durationMs(), response: this.response() });
    this.giveUp();
  }

  private readonly onAbort = (): void => this.fail(ABORTED);

  /** On a connection that was kept, and on which nothing came back this time. */
  private get isUnanswered(): boolean {
    const { connection } = this;
    return connection !== undefined && connection.uses > 1 && this.receivedBytes === 0;
  }

  private again(): void {
    const { connection } = this;
    this.connection = undefined;
    this.hasBegun = false;
    if (connection !== undefined) this.connections.discard(connection);
    this.connections.acquire(this);
  }

  private giveUp(): void {
    if (this.connection === undefined) this.connections.cancel(this);
    else this.connections.discard(this.connection);
  }

  private durationMs(): number {
    return performance.now() - this.startedTick;
  }

  private response(): HttpResponse {
    return { status: this.status, headers: this.headers, body: this.body.text(), truncated: this.body.truncated };
  }

  private end(outcome: HttpOutcome): void {
    this.settled = true;
    clearTimeout(this.deadline);
    this.request.signal?.removeEventListener('abort', this.onAbort);
    this.settle(outcome);
  }
}

const onDeadline = (exchange: Exchange): void => exchange.expire();

type RawHeaders = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];
