import { eventLimits, isJsonMediaType } from '@posthorn/contracts';
import { type Draft, type Refusal, refuse, shown } from './draft.js';
import { elementsOf, membersOf } from './json-members.js';
import { httpBinaryDraft, type HttpHeaders, kafkaBinaryDraft, type KafkaHeaders } from './parse-binary.js';
import { jsonDraft, type JsonForm, parseJson, plainDraft, structuredDraft, tooComplex } from './parse-json.js';

const CLOUDEVENT = 'application/cloudevents+json';
const CLOUDEVENTS = 'application/cloudevents';
const CLOUDEVENTS_BATCH = 'application/cloudevents-batch+json';

/** Without its parameters. */
const essence = (mediaType: string): string => (mediaType.split(';', 1)[0] ?? '').trim().toLowerCase();

/** Structured mode, whatever headers of binary mode are there besides. */
const isCloudEvents = (contentType: string | undefined): boolean => essence(contentType ?? '').startsWith(CLOUDEVENTS);

const hasPrefix = (headers: object, prefix: string): boolean => {
  for (const name in headers) if (name.startsWith(prefix)) return true;
  return false;
};

const draftOfText = (text: Buffer, form: JsonForm): Draft | Refusal => {
  const parsed = parseJson(text);
  return parsed.kind === 'refused' ? parsed : jsonDraft(parsed.value, text, form);
};

/** The form is told by the content type, then by whether CloudEvents headers are there; what is left is plain JSON. */
const draftOfSingle = (
  contentType: string | undefined,
  body: Buffer,
  binary: (() => Draft | Refusal) | undefined,
): Draft | Refusal => {
  const mediaType = contentType === undefined ? '' : essence(contentType);
  if (mediaType === CLOUDEVENT) return draftOfText(body, structuredDraft);
  if (mediaType.startsWith(CLOUDEVENTS)) {
    return refuse('unsupported_media_type', `${mediaType} cannot hold the event; ${CLOUDEVENT} can`, 'content-type');
  }
  if (binary) return binary();
  if (isJsonMediaType(mediaType)) return draftOfText(body, plainDraft);
  return refuse(
    'unsupported_media_type',
    `an event is application/json, ${CLOUDEVENT}, or any type beside CloudEvents headers`,
    'content-type',
  );
};

const NOTHING = Buffer.alloc(0);

/** A record without a value that is no event: in a compacted topic it ends what its key stood for. */
export type Tombstone = { readonly kind: 'tombstone' };
export const TOMBSTONE: Tombstone = { kind: 'tombstone' };

/**
 * A Kafka record: CloudEvents structured or binary mode, or plain JSON. Without a value it can still be an event without data, which
 * in binary mode has no other form (CloudEvents Kafka binding, section 3.2.2; structured mode always has a value, 3.3.2).
 */
export const draftOfRecord = (headers: KafkaHeaders, value: Buffer | null): Draft | Refusal | Tombstone => {
  const contentType = headers['content-type']?.toString('latin1');
  const isBinary = hasPrefix(headers, 'ce_') && !isCloudEvents(contentType);
  if (value === null && !isBinary) return TOMBSTONE;
  const body = value ?? NOTHING;
  return draftOfSingle(contentType, body, isBinary ? () => kafkaBinaryDraft(headers, body) : undefined);
};

/** Which of two it is, readers would disagree on. */
const contentTypeOf = (headers: HttpHeaders): string | undefined | Refusal => {
  const header = headers['content-type'];
  return header === undefined || typeof header === 'string' ? header : refuse('malformed', 'content-type occurs twice', 'content-type');
};

/** The body of `POST …/events`, in the same three forms. */
export const draftOfRequest = (headers: HttpHeaders, body: Buffer): Draft | Refusal => {
  const contentType = contentTypeOf(headers);
  if (typeof contentType === 'object') return contentType;
  return draftOfSingle(contentType, body, hasPrefix(headers, 'ce-') ? () => httpBinaryDraft(headers, body) : undefined);
};

/** One event of a batch: its own text, where it stands, and what has become of it. */
export type BatchItem = { readonly text: Buffer; readonly place: string; readonly draft: Draft | Refusal };
export type Batch = { readonly kind: 'batch'; readonly items: readonly BatchItem[] };

const itemsOf = (
  values: unknown,
  text: Buffer,
  path: string,
  maxItems: number,
  form: JsonForm,
): Batch | Refusal => {
  const whole = path === '' ? undefined : path;
  if (!Array.isArray(values)) return refuse('invalid', `${path || 'the body'} must be an array`, whole);
  if (values.length === 0 || values.length > maxItems) {
    return refuse('invalid', `${path || 'the body'} must hold 1 to ${maxItems} events, not ${values.length}`, whole);
  }
  const items = elementsOf(text).map((span, index) => {
    const itemText = text.subarray(span.start, span.end);
    const draft = tooComplex(itemText, eventLimits.values) ?? jsonDraft(values[index], itemText, form);
    return { text: itemText, place: `${path}[${index}]`, draft };
  });
  return { kind: 'batch', items };
};

/** The body of `POST …/events/batch`: `{events: […]}` of plain JSON, or CloudEvents' own batch of structured ones. */
export const draftsOfBatch = (headers: HttpHeaders, body: Buffer, maxItems: number): Batch | Refusal => {
  const contentType = contentTypeOf(headers);
  if (typeof contentType === 'object') return contentType;
  const mediaType = essence(contentType ?? '');
  const isCloudEvents = mediaType === CLOUDEVENTS_BATCH;
  if (!isCloudEvents && (mediaType.startsWith(CLOUDEVENTS) || !isJsonMediaType(mediaType))) {
    return refuse('unsupported_media_type', `a batch is application/json or ${CLOUDEVENTS_BATCH}`, 'content-type');
  }
  const parsed = parseJson(body, undefined, eventLimits.batchValues);
  if (parsed.kind === 'refused') return parsed;
  const { value } = parsed;
  if (isCloudEvents) return itemsOf(value, body, '', maxItems, structuredDraft);

  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return refuse('invalid', 'a batch must be a JSON object with the member events');
  }
  const { spans, duplicate } = membersOf(body);
  if (duplicate !== undefined) return refuse('malformed', `${shown(duplicate)} occurs twice`, shown(duplicate));
  const unknown = [...spans.keys()].find((name) => name !== 'events');
  if (unknown !== undefined) return refuse('invalid', `${shown(unknown)} is not a member of a batch`, shown(unknown));
  const span = spans.get('events');
  if (span === undefined || !('events' in value)) return refuse('invalid', 'events is required', 'events');
  return itemsOf(value.events, body.subarray(span.start, span.end), 'events', maxItems, plainDraft);
};
