import { z } from 'zod';
import { eventLimits, EXTENSION_NAME, isJsonMediaType } from '../envelope.js';
import { eventTypeName, tenantId, timestamp } from './names.js';
import { fieldError } from './problems.js';

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
export const HTTP_HEADER_NAME = new RegExp(`^${TOKEN}$`);
export const HTTP_HEADER_VALUE = /^[\t\x20-\x7e]*$/;
export const MEDIA_TYPE = new RegExp(`^${TOKEN}/${TOKEN}(?:\\s*;[\\x20-\\x7e]*)?$`);

/** RFC 3986: the characters, not the grammar; what passes can be told apart and passed on. */
export const URI_REFERENCE = /^(?:[\w\-.~:/?#[\]@!$&'()*+,;=]|%[\dA-Fa-f]{2})+$/;

/** CloudEvents strings hold no control characters and no half surrogates; nor could PostgreSQL store all of them. */
export const CONTROL_CHARACTER_OR_HALF_SURROGATE = /[\p{Cc}\p{Cs}]/u;

/**
 * RFC 3339, section 5.6, less what no calendar library takes: lower-case letters, leap seconds, the year 0000, offsets that no
 * place on earth has (PostgreSQL stops at 15:59).
 */
export const EVENT_TIME =
  /^(?!0000)\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:0\d|1[0-5]):[0-5]\d)$/;
const SAFE_DAY = 28;

/** Of a time that `EVENT_TIME` matches: `Date` takes 30 February for 2 March. */
export const isDayOfMonth = (time: string): boolean => {
  const day = Number(time.slice(8, 10));
  return day <= SAFE_DAY || new Date(`${time.slice(0, 10)}T00:00:00Z`).getUTCDate() === day;
};

const isClean = (text: string): boolean => !CONTROL_CHARACTER_OR_HALF_SURROGATE.test(text);
const text = (maxCharacters: number) => z.string().min(1).max(maxCharacters).refine(isClean, 'without control characters and half surrogates');

const id = text(eventLimits.id).describe('Absent: one is made. What comes again under it within the window of deduplication is accepted once');
const source = text(eventLimits.source).regex(URI_REFERENCE).describe('A URI reference; absent: `/v1/tenants/<tenant>`');
const time = z.string().regex(EVENT_TIME).refine(isDayOfMonth, 'a day of the calendar').describe('RFC 3339, when it happened; absent: when it was accepted');
const subject = text(eventLimits.subject);
const tenant = tenantId.describe('The one in the path, or absent');
const mediaType = text(256).regex(MEDIA_TYPE).describe('Of the data; absent: `application/json`. Data of any other type is a string');
const key = text(eventLimits.key).describe('The ordering key: events of one key meet on one partition');
const context = z.unknown().describe('`current_context` in the payload format `context`');

/** `z.unknown()` by itself would let it be absent. */
const data = z
  .unknown()
  .refine((value) => value !== undefined, 'is required')
  .describe('Any JSON: it is passed on byte for byte');

const headers = z
  .record(z.string().regex(HTTP_HEADER_NAME), z.string().regex(HTTP_HEADER_VALUE))
  .refine((all) => Object.keys(all).length <= eventLimits.headers, `at most ${eventLimits.headers}`)
  .refine((all) => Object.entries(all).reduce((sum, [name, value]) => sum + name.length + value.length, 0) <= eventLimits.headerBytes, `at most ${eventLimits.headerBytes} bytes`)
  .describe(`At most ${eventLimits.headers}, and ${eventLimits.headerBytes} bytes of names and values`);

/** What is no media type is wrong under its own name, and says nothing of the data. */
const dataFits = (value: unknown, type: unknown): boolean =>
  value === undefined || typeof type !== 'string' || !MEDIA_TYPE.test(type) || isJsonMediaType(type) || typeof value === 'string';

/**
 * The plain form of an event, as far as it can be judged by its value. Sizes, depths, the number of values and names that occur twice are
 * judged on its text. The ingestion reads events by code of its own, which keeps the bytes; its specs hold that code to this.
 */
export const newEvent = z
  .strictObject({
    type: eventTypeName,
    data,
    id: id.nullish(),
    tenant: tenant.nullish(),
    source: source.nullish(),
    time: time.nullish(),
    subject: subject.nullish(),
    content_type: mediaType.nullish(),
    key: key.nullish(),
    headers: headers.nullish(),
    context: context.optional(),
  })
  .refine((event) => dataFits(event.data, event.content_type), { path: ['data'], error: 'a string, as its media type is not JSON' })
  .meta({ id: 'NewEvent' });

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const MOST_INTEGER = 2 ** 31;
/** CloudEvents 1.0, "Type System": an integer is a signed one of 32 bits; what else there is comes as a string. */
const extension = z
  .union([
    z.string().refine((value) => Buffer.byteLength(value) <= eventLimits.extensionBytes && isClean(value)),
    z.number().int().min(-MOST_INTEGER).lt(MOST_INTEGER),
    z.boolean(),
    z.null(),
  ])
  .describe(`An extension: at most ${eventLimits.extensions}, with names of 1 to 20 lower-case letters and digits, and texts of ${eventLimits.extensionBytes} bytes`);

const cloudEventMembers = {
  specversion: z.literal('1.0').nullish(),
  type: eventTypeName,
  id: id.nullish(),
  tenant: tenant.nullish(),
  source: source.nullish(),
  time: time.nullish(),
  subject: subject.nullish(),
  datacontenttype: mediaType.nullish(),
  partitionkey: key.nullish(),
  traceparent: z.unknown().optional().describe('W3C Trace Context; one that is not valid is ignored'),
  context: context.optional(),
  data: z.unknown().optional().describe('Any JSON: it is passed on byte for byte'),
  data_base64: z.string().regex(BASE64).nullish().describe('Instead of `data`'),
};

const extensionsOf = (event: object): readonly string[] =>
  Object.entries(event).flatMap(([name, value]) => (name in cloudEventMembers || value === null ? [] : [name]));

const isJson = (value: string): boolean => {
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
};

/** A CloudEvent in structured mode, by its value, as `newEvent` is. */
export const cloudEvent = z
  .object(cloudEventMembers)
  .catchall(extension)
  .refine((event) => dataFits(event.data, event.datacontenttype), { path: ['data'], error: 'a string, as its media type is not JSON' })
  .refine((event) => event.data === undefined || (event.data_base64 ?? null) === null, { path: ['data_base64'], error: 'cannot stand beside data' })
  .refine(
    ({ data_base64, datacontenttype }) =>
      !data_base64 || !isJsonMediaType(datacontenttype ?? undefined) || isJson(Buffer.from(data_base64, 'base64').toString()),
    { path: ['data_base64'], error: 'JSON, as its media type is' },
  )
  .refine((event) => extensionsOf(event).length <= eventLimits.extensions, `at most ${eventLimits.extensions} extensions`)
  .refine((event) => extensionsOf(event).every((name) => EXTENSION_NAME.test(name)), 'extensions are named by 1 to 20 lower-case letters and digits')
  .meta({ id: 'CloudEvent' });

const EACH = 'Each event is judged, and answered, by itself';

export const newEvents = z.strictObject({ events: z.array(newEvent).min(1).max(eventLimits.batch).describe(EACH) }).meta({ id: 'NewEvents' });
export const cloudEvents = z.array(cloudEvent).min(1).max(eventLimits.batch).describe(EACH).meta({ id: 'CloudEvents' });

export const publishedEvent = z
  .object({
    id: z.string(),
    warnings: z
      .array(fieldError)
      .readonly()
      .optional()
      .describe('Where the data does not fit the schema of its type, and the tenant lets it in all the same'),
  })
  .meta({ id: 'PublishedEvent' });
export type PublishedEvent = Readonly<z.infer<typeof publishedEvent>>;

/** An event as the API shows it, without its data. */
export const eventView = z
  .object({
    id: z.string(),
    tenant: z.string(),
    type: z.string(),
    source: z.string(),
    subject: z.string().optional(),
    time: z.string().describe('As the producer wrote it'),
    accepted_at: timestamp,
    key: z.string().optional(),
    content_type: z.string().optional(),
    headers: z.record(z.string(), z.string()).optional(),
    context: z.unknown().optional(),
    extensions: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  })
  .meta({ id: 'Event' });
export type EventView = Readonly<z.infer<typeof eventView>>;

export const duplicates = z
  .object({ count: z.number().int(), first_at: timestamp, last_at: timestamp })
  .meta({ id: 'Duplicates' })
  .describe('How often an event with this id came again, and was acknowledged without being delivered again');
export type Duplicates = Readonly<z.infer<typeof duplicates>>;

export const wholeEvent = eventView
  .extend({
    duplicates: duplicates.optional(),
    data: z.unknown().optional().describe('As the producer wrote it, byte for byte'),
    data_base64: z.base64().optional().describe('Instead of `data`, when that is not JSON'),
  })
  .meta({ id: 'EventWithData' });

/** How many events there were that a subscription may have missed. */
export const missedCount = z.object({ deliveries: z.number().int(), at_least: z.boolean().describe('There are more: counting ended at a limit') }).meta({ id: 'Missed' });
export type MissedCount = Readonly<z.infer<typeof missedCount>>;
