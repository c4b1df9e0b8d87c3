import type { Duplicates, EventView, Explanation as ExplanationView } from '@posthorn/contracts';
import type { Event, EventDuplicates, Explanation } from '@posthorn/contracts/grpc/audit';
import { toTime } from '@posthorn/service-kit/grpc';

export const toEvent = ({ headers = {}, context, extensions = {}, accepted_at, ...event }: EventView): Event => ({
  id: event.id,
  tenant: event.tenant,
  type: event.type,
  source: event.source,
  subject: event.subject,
  time: event.time,
  key: event.key,
  content_type: event.content_type,
  accepted_at: toTime(accepted_at),
  headers,
  context_json: context === undefined ? undefined : JSON.stringify(context),
  extensions,
});

export const toDuplicates = ({ count, first_at, last_at }: Duplicates): EventDuplicates => ({ count, first_at: toTime(first_at), last_at: toTime(last_at) });

/** What is absent is so in JSON, which a Struct is. */
const asJson = (value: object): { [name: string]: unknown } => JSON.parse(JSON.stringify(value)) as { [name: string]: unknown }; // an object in, an object out

export const toExplanation = ({ event_id, subscription_id, result, summary, ...facts }: ExplanationView): Explanation => ({
  event_id,
  subscription_id,
  result,
  summary,
  facts: asJson(facts),
});
