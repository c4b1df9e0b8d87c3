import { z } from 'zod';
import { eventDoor, rejectionCode } from '../records.js';
import { timestamp } from './names.js';
import { fieldError } from './problems.js';
import { publishedEvent } from './events.js';

/** Why an event was not accepted. */
export const rejectionReason = z.object({
  code: rejectionCode,
  message: z.string(),
  path: z.string().optional().describe('The member or header that is wrong; absent when it is the whole'),
  errors: z.array(fieldError).readonly().optional().describe('Each place where the data is not what its schema wants'),
});

/** One of a batch: accepted, or why not. */
const batchResult = z.union([publishedEvent, z.object({ error: rejectionReason.extend({ code: z.enum([...rejectionCode.options, 'unavailable']) }) })]);
export type BatchResult = Readonly<z.infer<typeof batchResult>>;

export const batchResults = z.object({ results: z.array(batchResult).readonly().describe('In the order of the events') }).meta({ id: 'PublishedEvents' });
export type BatchResults = Readonly<z.infer<typeof batchResults>>;

/** A refused event as lists show it, without what was refused. */
export const rejectedEventView = z
  .object({
    id: z.string(),
    tenant: z.string().optional().describe('Absent when it names none, or none that there can be'),
    event_id: z.string().optional(),
    door: eventDoor,
    rejected_at: timestamp,
    reason: rejectionReason,
    record: z.object({ topic: z.string(), partition: z.number().int(), offset: z.string() }).optional().describe('Where it stands in Kafka'),
    value_bytes: z.number().int(),
    truncated: z.boolean().describe('Only these bytes are kept: the whole was more than a record holds'),
    published_as: z.string().optional(),
    published_at: timestamp.optional(),
  })
  .meta({ id: 'RejectedEvent' });
export type RejectedEventView = Readonly<z.infer<typeof rejectedEventView>>;

/** With the headers and the bytes as they came. */
export const wholeRejectedEvent = rejectedEventView
  .extend({
    headers: z.record(z.string(), z.string()),
    value: z.string().optional().describe('When it is UTF-8'),
    value_base64: z.base64().optional().describe('When it is not'),
  })
  .meta({ id: 'RejectedEventWithValue' });
export type WholeRejectedEventView = Readonly<z.infer<typeof wholeRejectedEvent>>;
