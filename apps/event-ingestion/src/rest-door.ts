import {
  eventLimits,
  REGISTRY_POSITION_HEADER,
  type BatchResult,
  type BatchResults,
  type ProblemCode,
  type PublishedEvent,
  type RejectionCode,
} from '@posthorn/contracts';
import { Problem } from '@posthorn/service-kit';
import type { Refusal } from './acceptance/draft.js';
import { draftOfRequest, draftsOfBatch } from './acceptance/forms.js';
import type { HttpHeaders } from './acceptance/parse-binary.js';
import { type Idempotency, IDEMPOTENCY_KEY_HEADER, idempotencyOf } from './deduplication/idempotency.js';
import { CONTENT_CODINGS, decodedBody } from './content-coding.js';
import { type Arrival, type Published, type Publishing, unavailable } from './publishing.js';
import type { Place } from './room.js';

export type PublishRequest = {
  readonly tenant: string;
  /** Whose key it is. */
  readonly actor: string;
  readonly headers: HttpHeaders;
  readonly body: Buffer;
  /** What the body has of the room for all bodies. */
  readonly place?: Place | undefined;
};

/** A whole batch. A single event that is too large is told so by its own limit, and can be shown among the rejected. */
export const BODY_LIMIT_BYTES = 8 * 1024 * 1024;

const CONTENT_ENCODING = 'content-encoding';

const problemCodeOf: Readonly<Record<RejectionCode, ProblemCode>> = {
  malformed: 'malformed',
  invalid: 'invalid',
  too_large: 'too_large',
  too_deep: 'invalid',
  too_complex: 'invalid',
  unknown_tenant: 'not_found',
  unknown_event_type: 'invalid',
  schema_violation: 'invalid',
  unsupported_media_type: 'unsupported_media_type',
};

export const problemOf = ({ code, message, path, errors = path === undefined ? undefined : [{ path, message }] }: Refusal): Problem =>
  new Problem(problemCodeOf[code], message, {
    ...(errors && { errors }),
    ...(path === CONTENT_ENCODING && { headers: { 'accept-encoding': CONTENT_CODINGS } }),
  });

const publishedEvent = ({ id, warnings }: Extract<Published, { kind: 'accepted' }>): PublishedEvent => ({ id, ...(warnings.length > 0 && { warnings }) });

/** Events over HTTP. Answers when Kafka has acknowledged what became of them. */
export class RestDoor {
  constructor(private readonly publishing: Publishing) {}

  /** @throws {Problem} */
  async publish(request: PublishRequest): Promise<PublishedEvent> {
    const { body, headers, arrival } = await this.#received(request, 'event');
    const [result] = await this.publishing.publish([{ draft: draftOfRequest(headers, body), evidence: arrival.evidence }], arrival);
    if (result?.kind === 'accepted') return publishedEvent(result);
    throw result?.kind === 'refused' ? problemOf(result) : unavailable();
  }

  /** @throws {Problem} when it concerns all of the events, none of which was accepted then */
  async publishBatch(request: PublishRequest): Promise<BatchResults> {
    const { body, headers, arrival } = await this.#received(request, 'batch');
    const results = await this.#publishAll(headers, body, arrival);
    if (results.every(({ kind }) => kind === 'unavailable')) throw unavailable();
    return { results: results.map(batchResultOf) };
  }

  /** Keeps nothing of the events that they are parsed to: see `Publishing`. @throws {Problem} */
  #publishAll(headers: HttpHeaders, body: Buffer, arrival: Arrival): Promise<readonly Published[]> {
    const batch = draftsOfBatch(headers, body, eventLimits.batch);
    if (batch.kind === 'refused') {
      return this.publishing.refuse(batch, arrival).then((refusal) => {
        throw problemOf(refusal);
      });
    }
    const events = batch.items.map(({ draft, text, place }) => ({ draft, place, evidence: () => ({ headers, value: text }) }));
    return this.publishing.publish(events, arrival);
  }

  /** A request that may be judged: admitted, and its body as it was before it was coded. @throws {Problem} */
  async #received({ tenant, actor, headers, body, place }: PublishRequest, what: string): Promise<Received> {
    const arrival: Arrival = {
      tenant,
      actor,
      // Waiting for room was our doing, and the client's time; how long the body was under way is neither.
      startedMs: performance.now() - (place?.waitedMs ?? 0),
      traceparent: headers['traceparent'],
      registryPosition: headers[REGISTRY_POSITION_HEADER],
      idempotency: idempotencyOfRequest(what, headers, body),
      evidence: () => ({ headers, value: body }),
    };
    const stranger = await this.publishing.admit(arrival);
    if (stranger) throw problemOf(stranger);
    const decoded = await decodedBody(headers, body, BODY_LIMIT_BYTES);
    if (!Buffer.isBuffer(decoded)) throw problemOf(await this.publishing.refuse(decoded, arrival));
    if (decoded === body) return { body, headers, arrival };
    place?.shrinkTo(body.length + decoded.length);
    // The body is no longer what these headers say.
    const { [CONTENT_ENCODING]: _coding, 'content-length': _length, ...others } = headers;
    return { body: decoded, headers: others, arrival: { ...arrival, evidence: () => ({ headers: others, value: decoded }) } };
  }
}

type Received = { readonly body: Buffer; readonly headers: HttpHeaders; readonly arrival: Arrival };

/** What is asked is the body, and the headers that say how it is to be read or are attributes themselves. */
const idempotencyOfRequest = (what: string, headers: HttpHeaders, body: Buffer): Idempotency | undefined => {
  const key = headers[IDEMPOTENCY_KEY_HEADER];
  if (key === undefined) return undefined;
  const meaning = Object.entries(headers)
    .filter(([name]) => name === 'content-type' || name === CONTENT_ENCODING || name.startsWith('ce-'))
    .map(([name, value]) => `${name}: ${String(value)}`);
  return idempotencyOf(key, [what, ...meaning.toSorted(), body]);
};

const batchResultOf = (result: Published): BatchResult => {
  switch (result.kind) {
    case 'accepted':
      return publishedEvent(result);
    case 'unavailable':
      return { error: { code: 'unavailable', message: unavailable().message } };
    case 'refused': {
      const { code, message, path, errors } = result;
      return { error: { code, message, ...(path !== undefined && { path }), ...(errors && { errors }) } };
    }
  }
};
