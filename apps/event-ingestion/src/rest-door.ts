import { eventLimits, REGISTRY_POSITION_HEADER, type ProblemCode, type RejectionCode } from '@posthorn/contracts';
import { Problem } from '@posthorn/service-kit';
import { type Draft, type Refusal, refuse } from './acceptance/draft.js';
import { draftOfRequest, draftsOfBatch } from './acceptance/forms.js';
import type { HttpHeaders } from './acceptance/parse-binary.js';
import { type Arrival, type Published, type Publishing, unavailable } from './publishing.js';

export type PublishRequest = { readonly tenant: string; readonly headers: HttpHeaders; readonly body: Buffer };
export type BatchResult =
  | { readonly id: string }
  | { readonly error: { readonly code: RejectionCode | 'unavailable'; readonly message: string; readonly path?: string } };

const problemCodeOf: Readonly<Record<RejectionCode, ProblemCode>> = {
  malformed: 'malformed',
  invalid: 'invalid',
  too_large: 'too_large',
  too_deep: 'invalid',
  too_complex: 'invalid',
  unknown_tenant: 'not_found',
  unsupported_media_type: 'unsupported_media_type',
};

const problemOf = ({ code, message, path }: Refusal): Problem =>
  new Problem(problemCodeOf[code], message, path === undefined ? {} : { errors: [{ path, message }] });

/** Events over HTTP. Answers when Kafka has acknowledged what became of them. */
export class RestDoor {
  constructor(private readonly publishing: Publishing) {}

  /** @throws {Problem} */
  async publish(request: PublishRequest): Promise<{ readonly id: string }> {
    const arrival = await this.#admitted(request);
    const [result] = await this.publishing.publish([{ draft: draftOfBody(request), evidence: arrival.evidence }], arrival);
    if (result?.kind === 'accepted') return { id: result.id };
    throw result?.kind === 'refused' ? problemOf(result) : unavailable();
  }

  /** @throws {Problem} when it concerns all of the events, none of which was accepted then */
  async publishBatch(request: PublishRequest): Promise<{ readonly results: readonly BatchResult[] }> {
    const { headers, body } = request;
    const arrival = await this.#admitted(request);
    const batch = encodingRefusal(headers) ?? draftsOfBatch(headers, body, eventLimits.batch);
    if (batch.kind === 'refused') throw problemOf(await this.publishing.refuse(batch, arrival));
    const events = batch.items.map(({ draft, text, place }) => ({ draft, place, evidence: () => ({ headers, value: text }) }));
    const results = await this.publishing.publish(events, arrival);
    if (results.every(({ kind }) => kind === 'unavailable')) throw unavailable();
    return { results: results.map(batchResultOf) };
  }

  async #admitted({ tenant, headers, body }: PublishRequest): Promise<Arrival> {
    const arrival: Arrival = {
      tenant,
      startedMs: performance.now(),
      traceparent: headers['traceparent'],
      registryPosition: headers[REGISTRY_POSITION_HEADER],
      evidence: () => ({ headers, value: body }),
    };
    const refusal = await this.publishing.admit(arrival);
    if (refusal) throw problemOf(refusal);
    return arrival;
  }
}

const batchResultOf = (result: Published): BatchResult => {
  switch (result.kind) {
    case 'accepted':
      return { id: result.id };
    case 'unavailable':
      return { error: { code: 'unavailable', message: unavailable().message } };
    case 'refused': {
      const { code, message, path } = result;
      return { error: { code, message, ...(path !== undefined && { path }) } };
    }
  }
};

const encodingRefusal = (headers: HttpHeaders): Refusal | undefined => {
  const encoding = headers['content-encoding'];
  return encoding === undefined || encoding === 'identity'
    ? undefined
    : refuse('unsupported_media_type', 'a body must not be compressed', 'content-encoding');
};

const draftOfBody = ({ headers, body }: PublishRequest): Draft | Refusal =>
  encodingRefusal(headers) ?? draftOfRequest(headers, body);
