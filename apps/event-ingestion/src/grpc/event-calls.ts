import type { INestApplicationContext } from '@nestjs/common';
import { eventLimits, REGISTRY_POSITION_HEADER } from '@posthorn/contracts';
import { EventServiceDefinition, type NewEvent, type PublishResult, type PublishStreamRequest } from '@posthorn/contracts/grpc/ingestion';
import { Problem } from '@posthorn/service-kit';
import { serve, type CallContext, type Calls, type ServedService } from '@posthorn/service-kit/grpc';
import { refuse, shown } from '../acceptance/draft.js';
import { type Idempotency, IDEMPOTENCY_KEY_HEADER, idempotencyOf } from '../deduplication/idempotency.js';
import { type Arrival, type Evidence, type Incoming, Publishing, unavailable } from '../publishing.js';
import { BODY_LIMIT_BYTES, problemOf } from '../rest-door.js';
import { draftOfMessage, evidenceOf, publishResult, refused } from './event-messages.js';
import { publishStream } from './publish-stream.js';

const STREAM_LIMITS = { events: 1_000, bytes: 8 * 1024 * 1024 };
/** The largest event that can be configured, and what it is wrapped in. */
const EVENT_BYTES = 1024 * 1024;

/** All that a request says besides its events. */
type Wanted = { readonly tenant: string; readonly registry_position?: number | undefined };

type Asked = Wanted & { readonly event?: NewEvent | undefined; readonly events?: readonly NewEvent[] };

const arrivalOf = ({ tenant, registry_position }: Wanted, { caller, metadata }: CallContext, evidence: () => Evidence): Arrival => ({
  tenant,
  actor: caller.actor,
  startedMs: performance.now(),
  traceparent: metadata('traceparent'),
  registryPosition: registry_position?.toString() ?? metadata(REGISTRY_POSITION_HEADER),
  evidence,
});

const incoming = (event: NewEvent | undefined, place: string): Incoming => ({
  draft: draftOfMessage(event),
  place,
  evidence: () => evidenceOf(event),
});

/** What makes a request what it is. As JSON, megabytes of data would be as many numbers, and take a second. */
const askedBy = ({ event, events = event ? [event] : [], ...rest }: Asked): readonly (string | Buffer)[] => {
  const texts = events.map(({ data, ...attributes }) => ({ ...attributes, data_bytes: data.length }));
  return [JSON.stringify({ ...rest, events: texts }), ...events.map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.length))];
};

const idempotencyOfCall = (method: string, request: Asked, { metadata }: CallContext): Idempotency | undefined => {
  const key = metadata(IDEMPOTENCY_KEY_HEADER);
  return key === undefined ? undefined : idempotencyOf(key, [method, ...askedBy(request)]);
};

const ofTenant = { scope: 'events:write', tenant: ({ tenant }: Wanted) => tenant } as const;

/** `posthorn.ingestion.v1`: what REST does, by the same application layer. */
export const eventCalls = (publishing: Publishing): Calls<typeof EventServiceDefinition> => {
  const admitted = async (method: string, request: Asked, context: CallContext, evidence: () => Evidence): Promise<Arrival> => {
    const arrival = { ...arrivalOf(request, context, evidence), idempotency: idempotencyOfCall(method, request, context) };
    const stranger = await publishing.admit(arrival);
    if (stranger) throw problemOf(stranger);
    return arrival;
  };

  /** @throws what is our fault alone */
  const publishedOfStream = async (request: PublishStreamRequest, context: CallContext): Promise<PublishResult> => {
    const { tenant } = context.caller;
    // As everywhere: of another's tenant a key learns as much as of one that is not there.
    if (tenant !== undefined && tenant !== request.tenant) return refused('unknown_tenant', `there is no tenant ${shown(request.tenant)}`, 'tenant');
    const arrival = arrivalOf(request, context, () => evidenceOf(request.event));
    try {
      const stranger = await publishing.admit(arrival);
      if (stranger) return publishResult(stranger);
      const [result] = await publishing.publish([incoming(request.event, 'event')], arrival);
      return publishResult(result ?? { kind: 'unavailable' });
    } catch (error) {
      if (!(error instanceof Problem) || error.code === 'internal') throw error;
      return refused(error.code, error.message);
    }
  };

  return {
    publishEvent: {
      ...ofTenant,
      maxBytes: EVENT_BYTES,
      answer: async (request, context) => {
        const arrival = await admitted('event', request, context, () => evidenceOf(request.event));
        const [result] = await publishing.publish([incoming(request.event, 'event')], arrival);
        if (result?.kind === 'accepted') return { id: result.id, warnings: [...result.warnings] };
        throw result?.kind === 'refused' ? problemOf(result) : unavailable();
      },
    },
    publishEvents: {
      ...ofTenant,
      maxBytes: BODY_LIMIT_BYTES,
      answer: async (request, context) => {
        const { events } = request;
        const arrival = await admitted('events', request, context, () => evidenceOf(events[0]));
        if (events.length === 0 || events.length > eventLimits.batch) {
          throw problemOf(await publishing.refuse(refuse('invalid', `events must hold 1 to ${eventLimits.batch} events, not ${events.length}`, 'events'), arrival));
        }
        const results = await publishing.publish(events.map((event, n) => incoming(event, `events[${n}]`)), arrival);
        if (results.every(({ kind }) => kind === 'unavailable')) throw unavailable();
        return { results: results.map(publishResult) };
      },
    },
    publishStream: {
      scope: 'events:write',
      maxBytes: EVENT_BYTES,
      converse: (conversation, context) =>
        publishStream(conversation, async (request) => ({ sequence: request.sequence, result: await publishedOfStream(request, context) }), STREAM_LIMITS),
    },
  };
};

export const ingestionCalls = (app: INestApplicationContext): readonly ServedService[] => [serve(EventServiceDefinition, eventCalls(app.get(Publishing)))];
