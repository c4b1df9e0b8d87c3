import { fieldError, HTTP_HEADER_VALUE, problemBody, type RejectedEventView, type WholeRejectedEventView } from '@posthorn/contracts';
import type { CorrectedEvent, RejectedEvent, RejectedEventFilter, RejectedEventServiceDefinition, WholeRejectedEvent } from '@posthorn/contracts/grpc/audit';
import { parseOrRefuse, Problem } from '@posthorn/service-kit';
import { given, present, toTime, type Calls } from '@posthorn/service-kit/grpc';
import { z } from 'zod';
import type { Answer } from '../publishing/event-ingestion.js';
import type { EventRequest } from '../publishing/original.js';
import type { PublishAgain } from '../publishing/publish-again.js';
import type { AllRejectedEventsController, RejectedEventsController } from '../query/rejected-events.controller.js';
import { rejectedEventsQuery } from '../query/rejected-events.js';
import { ofTenant, reading } from './of-tenant.js';
import { bounded, paged } from './queries.js';

export type RejectedEventParts = {
  readonly rejected: RejectedEventsController;
  readonly all: AllRejectedEventsController;
  readonly publishAgain: PublishAgain;
};

const toRejectedEvent = (view: RejectedEventView): RejectedEvent => ({
  id: view.id,
  tenant: view.tenant,
  event_id: view.event_id,
  door: view.door,
  rejected_at: toTime(view.rejected_at),
  reason: { code: view.reason.code, message: view.reason.message, path: view.reason.path, errors: [...(view.reason.errors ?? [])] },
  record: view.record,
  value_bytes: view.value_bytes,
  truncated: view.truncated,
  published_as: view.published_as,
  published_at: toTime(view.published_at),
});

const toWhole = ({ headers, value, value_base64 = '', ...view }: WholeRejectedEventView): WholeRejectedEvent => ({
  rejected_event: toRejectedEvent(view),
  headers,
  value: value === undefined ? Buffer.from(value_base64, 'base64') : Buffer.from(value),
});

type Asked = { readonly filter?: RejectedEventFilter | undefined; readonly page_size?: number | undefined; readonly page_token: string };

const queryOf = ({ filter, ...page }: Asked) =>
  parseOrRefuse(
    rejectedEventsQuery,
    present({ ...bounded(filter), code: given(filter?.code ?? ''), door: given(filter?.door ?? ''), event_id: given(filter?.event_id ?? ''), ...paged(page) }),
  );

const ACCEPTED = 202;
const published = z.object({ id: z.string(), warnings: z.array(fieldError).default([]) });

/** What the ingestion has answered over HTTP. @throws {Problem} the one that it answered */
const publishedBy = ({ status, headers, body }: Answer): z.output<typeof published> => {
  const answered: unknown = JSON.parse(body.toString());
  if (status === ACCEPTED) return published.parse(answered);
  const { code, detail, errors } = problemBody.parse(answered);
  const retryAfter = headers['retry-after'];
  throw new Problem(code, detail, { ...(errors && { errors }), ...(retryAfter !== undefined && { headers: { 'retry-after': retryAfter } }) });
};

/** What REST takes from a request: those of an event, as HTTP can say them. What goes with the call is said by its metadata. */
const correction = z.object({
  corrected: z.object({ headers: z.record(z.string().regex(/^(?:content-type|content-encoding|ce-[a-z0-9]+)$/, 'content-type, content-encoding or ce-…'), z.string().regex(HTTP_HEADER_VALUE, 'printable ASCII')) }),
});

/** @throws {Problem} `invalid` */
const correctedBy = (corrected: CorrectedEvent): EventRequest => ({ ...parseOrRefuse(correction, { corrected }).corrected, body: Buffer.from(corrected.body) });

/** What goes with a request whatever its event. */
const OF_REQUEST = ['authorization', 'idempotency-key', 'traceparent', 'tracestate', 'posthorn-registry-position'];

export const rejectedEventCalls = ({ rejected, all, publishAgain }: RejectedEventParts): Calls<typeof RejectedEventServiceDefinition> => ({
  listRejectedEvents: {
    ...reading,
    answer: async ({ tenant, ...asked }) => {
      const { data, next_page_token = '' } = await rejected.list(tenant, queryOf(asked));
      return { rejected_events: data.map(toRejectedEvent), next_page_token };
    },
  },
  getRejectedEvent: { ...reading, answer: async ({ tenant, id }) => ({ rejected_event: toWhole(await rejected.read(tenant, id)) }) },
  publishRejectedEvent: {
    scope: 'events:write',
    tenant: ofTenant,
    answer: async ({ tenant, id, force, corrected }, { caller, metadata, id: requestId }) => {
      const headers = Object.fromEntries(OF_REQUEST.flatMap((name) => [[name, metadata(name)]].filter(([, value]) => value !== undefined))) as Record<string, string>; // these are left
      const answer = await publishAgain.publish({
        tenant,
        id,
        caller,
        force,
        corrected: corrected && correctedBy(corrected),
        headers: { ...headers, 'x-request-id': requestId },
      });
      return publishedBy(answer);
    },
  },
  listAllRejectedEvents: {
    scope: 'audit:read',
    allTenants: true,
    answer: async (asked) => {
      const { data, next_page_token = '' } = await all.list(queryOf(asked));
      return { rejected_events: data.map(toRejectedEvent), next_page_token };
    },
  },
  getAnyRejectedEvent: { scope: 'audit:read', allTenants: true, answer: async ({ id }) => ({ rejected_event: toWhole(await all.read(id)) }) },
});
