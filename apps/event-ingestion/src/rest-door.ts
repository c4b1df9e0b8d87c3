import { eventLimits, newId, REGISTRY_POSITION_HEADER, type ProblemCode, type RejectionCode } from '@posthorn/contracts';
import { KafkaError, type Logger } from '@posthorn/kafka';
import { Problem } from '@posthorn/service-kit';
import { accept, type Verdict } from './acceptance/accept.js';
import { type Draft, type Refusal, refuse, within } from './acceptance/draft.js';
import { draftOfRequest, draftsOfBatch } from './acceptance/forms.js';
import type { HttpHeaders } from './acceptance/parse-binary.js';
import type { Outlet } from './outlet.js';
import type { Tenants } from './tenants.js';

export type RestDoorOptions = {
  readonly outlet: Outlet;
  readonly tenants: Tenants;
  /** False until the tenants are known: before that, nobody's event can be told from a stranger's. */
  readonly isOpen: () => boolean;
  readonly log: Logger;
  readonly maxEventBytes: number;
  readonly deadlineMs: number;
  /** Events waiting for Kafka's acknowledgement; beyond that, new ones are turned away. */
  readonly maxPendingBytes: number;
};

export type PublishRequest = { readonly tenant: string; readonly headers: HttpHeaders; readonly body: Buffer };
export type BatchResult =
  | { readonly id: string }
  | { readonly error: { readonly code: RejectionCode | 'unavailable'; readonly message: string; readonly path?: string } };

const problemCodeOf: Readonly<Record<RejectionCode, ProblemCode>> = {
  malformed: 'malformed',
  invalid: 'invalid',
  too_large: 'too_large',
  too_deep: 'invalid',
  unknown_tenant: 'not_found',
  unsupported_media_type: 'unsupported_media_type',
};

const problemOf = ({ code, message, path }: Refusal): Problem =>
  new Problem(problemCodeOf[code], message, path === undefined ? {} : { errors: [{ path, message }] });

const unavailable = (cause?: unknown): Problem =>
  new Problem('unavailable', 'The event log does not answer. Nothing was acknowledged; try again.', { cause });

/** Events over HTTP. Answers when Kafka has acknowledged what became of them. */
export class RestDoor {
  constructor(private readonly options: RestDoorOptions) {}

  /** @throws {Problem} */
  async publish(request: PublishRequest): Promise<{ readonly id: string }> {
    const startedMs = performance.now();
    await this.#admit(request, startedMs);
    const verdict = this.#judge(draftOfBody(request), request);
    if (verdict.kind === 'refused') return this.#refuse(verdict, request, startedMs);
    try {
      await this.options.outlet.accept(verdict, startedMs);
    } catch (error) {
      throw this.#failure(error);
    }
    return { id: verdict.envelope.id };
  }

  /** @throws {Problem} when it concerns all of the events, none of which was accepted then */
  async publishBatch(request: PublishRequest): Promise<{ readonly results: readonly BatchResult[] }> {
    const startedMs = performance.now();
    await this.#admit(request, startedMs);
    const batch = encodingRefusal(request.headers) ?? draftsOfBatch(request.headers, request.body, eventLimits.batch);
    if (batch.kind === 'refused') return this.#refuse(batch, request, startedMs);
    const results = await Promise.all(
      batch.items.map(({ draft, text, place }): Promise<BatchResult> => {
        const verdict = this.#judge(draft, request);
        if (verdict.kind === 'accepted') return this.#tryAccept(verdict, startedMs);
        // A draft that was refused has been told its place by the batch.
        const refusal = draft.kind === 'refused' ? verdict : within(place, verdict);
        return this.#tryReject(refusal, { ...request, body: text }, startedMs);
      }),
    );
    if (results.every((result) => 'error' in result && result.error.code === 'unavailable')) throw unavailable();
    return { results };
  }

  async #admit(request: PublishRequest, startedMs: number): Promise<void> {
    const { isOpen, tenants, outlet, maxPendingBytes } = this.options;
    if (!isOpen() || outlet.pendingBytes > maxPendingBytes) throw unavailable();
    const known = tenants.exists(request.tenant);
    if (known === true || (await this.#inTime(known))) return;
    await this.#refuse(refuse('unknown_tenant', `there is no tenant ${request.tenant}`, 'tenant'), request, startedMs);
  }

  async #inTime(known: Promise<boolean>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable()), this.options.deadlineMs);
    });
    try {
      return await Promise.race([known, late]);
    } catch (error) {
      throw error instanceof Problem ? error : unavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }

  #judge(draft: Draft | Refusal, { tenant, headers }: PublishRequest): Verdict {
    if (draft.kind === 'refused') return draft;
    const nowMs = Date.now();
    return accept(draft, {
      tenant,
      acceptedMs: nowMs,
      newId: () => newId('evt', nowMs),
      source: `/v1/tenants/${tenant}`,
      traceparent: headers['traceparent'],
      registryPosition: headers[REGISTRY_POSITION_HEADER],
      maxBytes: this.options.maxEventBytes,
    });
  }

  async #tryAccept(event: Extract<Verdict, { kind: 'accepted' }>, startedMs: number): Promise<BatchResult> {
    try {
      await this.options.outlet.accept(event, startedMs);
      return { id: event.envelope.id };
    } catch (error) {
      const { message } = this.#failure(error);
      return { error: { code: 'unavailable', message } };
    }
  }

  async #refuse(refusal: Refusal, request: PublishRequest, startedMs: number): Promise<never> {
    await this.#tryReject(refusal, request, startedMs);
    throw problemOf(refusal);
  }

  /** The client is told in any case: that the rejection could not be recorded makes the event no better. */
  async #tryReject(refusal: Refusal, { tenant, headers, body }: PublishRequest, startedMs: number): Promise<BatchResult> {
    const { code, message, path } = refusal;
    try {
      await this.options.outlet.reject(refusal, { door: 'rest', tenant, headers, value: body }, startedMs);
    } catch (error) {
      this.options.log.warn({ err: error, reason: { code, message, path } }, 'could not record a rejection');
    }
    return { error: { code, message, ...(path !== undefined && { path }) } };
  }

  /** What the client can do is the same whatever has happened; what an operator can do is not. */
  #failure(error: unknown): Problem {
    if (!(error instanceof KafkaError)) throw error;
    if (error.code === 'refused') this.options.log.error({ err: error }, 'Kafka refuses accepted events');
    return unavailable(error);
  }
}

const encodingRefusal = (headers: HttpHeaders): Refusal | undefined => {
  const encoding = headers['content-encoding'];
  return encoding === undefined || encoding === 'identity'
    ? undefined
    : refuse('unsupported_media_type', 'a body must not be compressed', 'content-encoding');
};

const draftOfBody = ({ headers, body }: PublishRequest): Draft | Refusal =>
  encodingRefusal(headers) ?? draftOfRequest(headers, body);
