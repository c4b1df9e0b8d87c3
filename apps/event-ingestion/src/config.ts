import { durationBetween, eventLimits, topicOnBroker, topics } from '@posthorn/contracts';
import { commonConfig, databaseConfig, grpcConfig, integer } from '@posthorn/service-kit';
import { z } from 'zod';
import { inboundBindings } from './bindings/bindings.js';

/** A record holds 2 MiB: as base64 such an event has 1.2 MiB, and there must be room for the ids of thousands of subscriptions. */
const MOST_EVENT_BYTES = 900 * 1024;

const MOST_PER_SECOND = 1_000_000;
const rateLimit = (whose: string) =>
  integer(0, MOST_PER_SECOND)
    .default(0)
    .describe(`Events a second that a process takes by REST and gRPC ${whose}, with bursts of one second; 0: no limit`);

const settings = z.object({
  ...commonConfig,
  ...grpcConfig,
  ...databaseConfig,
  POSTHORN_MAX_EVENT_BYTES: integer(1024, MOST_EVENT_BYTES)
    .default(eventLimits.bytes)
    .describe('Largest event that is accepted, envelope and data together, in bytes'),
  POSTHORN_INBOUND_BINDINGS: inboundBindings.describe(
    'Topics of others that events are read from, and how an event is made of their records: JSON, told in [api.md](api.md#topics-of-others)',
  ),
  POSTHORN_DEDUPLICATION_WINDOW: durationBetween('1m', '7d')
    .default('24h')
    .describe('How long an event id or an `Idempotency-Key` is remembered; PostgreSQL keeps up to one and a half times as much'),
  POSTHORN_RATE_LIMIT_PER_KEY: rateLimit('by one API key'),
  POSTHORN_RATE_LIMIT_PER_TENANT: rateLimit('for one tenant'),
});

/** What we write ourselves would come in again, for ever. */
export const ingestionConfig = settings.superRefine(({ POSTHORN_INBOUND_BINDINGS: bindings, POSTHORN_TOPIC_PREFIX: prefix }, context) => {
  const own = new Set(topics.map(({ name }) => topicOnBroker(prefix, name)));
  for (const [index, { topic }] of bindings.entries()) {
    if (own.has(topic)) context.addIssue({ code: 'custom', path: ['POSTHORN_INBOUND_BINDINGS', index, 'topic'], message: 'is a topic of Posthorn' });
  }
});
export type IngestionConfig = z.infer<typeof ingestionConfig>;
