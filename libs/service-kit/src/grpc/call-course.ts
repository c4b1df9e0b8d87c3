import { Metadata, status } from '@grpc/grpc-js';
import { traceIdOf, validTraceparent } from '@posthorn/contracts';
import type { Caller } from '../access/caller.js';
import type { Log } from '../log.js';
import { loggedPath } from '../logged-path.js';
import type { ObserveCall } from '../metrics.js';
import { problemOf } from '../problem.js';
import { requestIdFrom } from '../request-id.js';
import type { CallContext } from './calls.js';
import { refusalOf, type Refusal } from './status.js';

/** What we use of a call of grpc-js, whichever way it goes. */
type ServerCall = {
  getDeadline(): Date | number;
  sendMetadata(metadata: Metadata): void;
};

export type CallCourseOptions = { readonly log: Log; readonly observe: ObserveCall };

const REQUEST_ID_KEY = 'x-request-id';

/** One call from its metadata to its status: the circumstances that it is answered in, and how its end is told, logged and measured. */
export class CallCourse {
  readonly trailers = new Metadata();
  readonly #startedMs = performance.now();
  readonly #id: string;
  readonly #gone = new AbortController();
  #actor: string | undefined;
  #tenant: string | undefined;

  /** Begins the answer. */
  constructor(
    private readonly path: string,
    private readonly metadata: Metadata,
    private readonly call: ServerCall,
    private readonly options: CallCourseOptions,
  ) {
    this.#id = requestIdFrom(textOf(metadata, REQUEST_ID_KEY));
    const head = new Metadata();
    head.set(REQUEST_ID_KEY, this.#id);
    call.sendMetadata(head);
  }

  /** The caller has given up, or everything was said to him. */
  abandoned(): void {
    this.#gone.abort();
  }

  get authorization(): string | undefined {
    return textOf(this.metadata, 'authorization');
  }

  /** Aborted when the caller has given up. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** @param tenant whose things it is about, where its request says so */
  contextFor(caller: Caller, tenant = caller.tenant, signal = this.gone): CallContext {
    this.#actor = caller.actor;
    this.#tenant = tenant;
    return {
      caller,
      id: this.#id,
      path: this.path,
      metadata: (name) => textOf(this.metadata, name),
      deadlineMs: this.#deadlineMs,
      signal,
      tell: (name, value) => this.trailers.set(name, value),
    };
  }

  answered(): void {
    this.#ended(status.OK);
  }

  /** What to tell of an error. */
  failed(error: unknown): Refusal {
    const problem = problemOf(error);
    if (problem.code === 'internal' && !this.gone.aborted) {
      this.options.log.error({ err: error, request_id: this.#id, method: this.path }, 'call failed unexpectedly');
    }
    const refusal = refusalOf(problem);
    this.#ended(refusal.code);
    return refusal;
  }

  get #deadlineMs(): number | undefined {
    const deadlineMs = Number(this.call.getDeadline());
    return Number.isFinite(deadlineMs) ? deadlineMs : undefined;
  }

  #ended(code: status): void {
    const deadlineMs = this.#deadlineMs;
    const isPast = deadlineMs !== undefined && deadlineMs <= Date.now();
    // Whoever has given up sees this and not what we say.
    const seen = !this.gone.aborted ? code : isPast ? status.DEADLINE_EXCEEDED : status.CANCELLED;
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    this.options.observe(this.path.slice(1), status[seen], seconds);
    const traceparent = validTraceparent(textOf(this.metadata, 'traceparent'));
    const fields = {
      request_id: this.#id,
      trace_id: traceparent && traceIdOf(traceparent),
      method: this.path,
      code: status[seen],
      duration_ms: Math.round(seconds * 1e6) / 1e3,
      actor: this.#actor,
      tenant: this.#tenant && loggedPath(this.#tenant),
    };
    this.options.log.info(fields, 'call');
  }
}

const textOf = (metadata: Metadata, name: string): string | undefined => metadata.get(name).at(-1)?.toString();
