import { z } from 'zod';
import { cloudEvent, cloudEvents, newEvent, newEvents } from './events.js';

/** The bodies of `POST …/events`, by content type. */
export const eventBodies = {
  'application/json': newEvent,
  'application/cloudevents+json': cloudEvent,
  '*/*': z.unknown().describe('Beside `ce-…` headers: the data of a CloudEvent in binary mode, of any type; may be empty. What is JSON must be well-formed'),
};

/** The bodies of `POST …/events/batch`. */
export const batchBodies = { 'application/json': newEvents, 'application/cloudevents-batch+json': cloudEvents };

const printable = z.string().min(1).max(255);

/** Headers that hold for a whole request. */
export const batchHeaders = z.object({
  'Content-Encoding': z.enum(['gzip', 'identity']).optional().describe('Of the body'),
  'Idempotency-Key': printable
    .optional()
    .describe('A key of the client’s choice: events without an id get one that follows from it, so that a repetition within the window of deduplication is accepted once'),
  'Posthorn-Registry-Position': z.string().regex(/^\d{1,15}$/).optional().describe('What the registry answered to a write: the event is judged and routed by what that changed'),
  traceparent: z.string().optional().describe('W3C Trace Context; goes with the event'),
});

const OF_BINARY_MODE = 'CloudEvents, binary mode';
const attribute = z.string().optional().describe(OF_BINARY_MODE);

/** The same, and the attributes of a CloudEvent in binary mode; its extensions are further `ce-…` headers. */
export const publishHeaders = batchHeaders.extend({
  'ce-type': z.string().optional().describe(`${OF_BINARY_MODE}: required there`),
  'ce-specversion': z.literal('1.0').optional().describe(OF_BINARY_MODE),
  'ce-id': attribute,
  'ce-source': attribute,
  'ce-time': attribute,
  'ce-subject': attribute,
  'ce-partitionkey': z.string().optional().describe(`${OF_BINARY_MODE}: the ordering key`),
});
