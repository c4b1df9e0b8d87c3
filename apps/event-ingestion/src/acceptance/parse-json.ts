import { isUtf8 } from 'node:buffer';
import { eventLimits, isJsonMediaType, spanAt } from '@posthorn/contracts';
import { isMediaType } from './attributes.js';
import { about, type Draft, type Names, type Refusal, refuse, shown } from './draft.js';
import { hasMoreValuesThan, membersOf, type Members } from './json-members.js';

const MESSAGE_CHARACTERS = 200;

export type Parsed = { readonly kind: 'parsed'; readonly value: unknown };

/** To be asked before the text is parsed: what comes of it may have forty times its size. */
export const tooComplex = (text: Buffer, most: number, path?: string): Refusal | undefined =>
  hasMoreValuesThan(text, most) ? refuse('too_complex', `has more than ${most} members and elements`, path) : undefined;

/** @param path what holds the text; absent when it is the whole */
export const parseJson = (text: Buffer, path?: string, maxValues: number = eventLimits.values): Parsed | Refusal => {
  if (!isUtf8(text)) return refuse('malformed', 'not JSON: not UTF-8', path);
  const refusal = tooComplex(text, maxValues, path);
  if (refusal) return refusal;
  try {
    return { kind: 'parsed', value: JSON.parse(text.toString('utf8')) };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return refuse('malformed', `not JSON: ${detail.slice(0, MESSAGE_CHARACTERS)}`, path);
  }
};

/** `value`: parsed; undefined when it is not JSON. */
type Data = { readonly kind: 'data'; readonly bytes: Buffer; readonly value: unknown; readonly depth: number };

const NULL = Buffer.from('null');

/**
 * Data that stands by itself, not inside a JSON text: JSON must be well-formed, because the records it goes into are; anything
 * else is left alone. CloudEvents lets an event have no data, which JSON can only say as null.
 */
export const dataOfBytes = (bytes: Buffer, mediaType: string | undefined, path: string): Data | Refusal => {
  if (!isJsonMediaType(mediaType)) return { kind: 'data', bytes, value: undefined, depth: 0 };
  if (bytes.length === 0) return { kind: 'data', bytes: NULL, value: null, depth: 0 };
  const parsed = parseJson(bytes, path);
  return parsed.kind === 'refused' ? parsed : { kind: 'data', bytes, value: parsed.value, depth: spanAt(bytes).depth };
};

type JsonObject = Readonly<Record<string, unknown>>;

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** What is no media type is refused later, under its own name; until then it must not make the data look wrong. */
const mediaTypeOf = (value: unknown): string | undefined => (isMediaType(value) ? value : undefined);

/** A `data` member: its bytes where the media type is JSON, else the text that it holds as a string. */
const dataOfMember = (text: Buffer, members: Members, object: JsonObject, mediaType: string | undefined): Data | undefined | Refusal => {
  const span = members.spans.get('data');
  if (span === undefined) return undefined;
  const { data } = object;
  if (isJsonMediaType(mediaType)) return { kind: 'data', bytes: text.subarray(span.start, span.end), value: data, depth: span.depth };
  return typeof data === 'string'
    ? { kind: 'data', bytes: Buffer.from(data), value: undefined, depth: 0 }
    : refuse('invalid', `data must be a string, as its media type is ${mediaType}`, 'data');
};

/** Without a repeated group, of which each round takes some of the stack: eight megabytes of them are more than there is. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const isBase64 = (text: string): boolean => text.length % 4 === 0 && BASE64.test(text);

const dataOfBase64 = (value: unknown, mediaType: string | undefined): Data | Refusal =>
  typeof value === 'string' && isBase64(value)
    ? dataOfBytes(Buffer.from(value, 'base64'), mediaType, 'data_base64')
    : refuse('invalid', 'data_base64 must be base64 with padding', 'data_base64');

/** @param value what `JSON.parse` makes of `text` */
export type JsonForm = (value: unknown, text: Buffer) => Draft | Refusal;

type JsonEvent = { readonly kind: 'event'; readonly object: JsonObject; readonly members: Members };

/** Reads an event in a form that is a JSON text; one that is refused still says which it was. */
export const jsonDraft = (value: unknown, text: Buffer, form: JsonForm): Draft | Refusal => {
  const draft = form(value, text);
  return draft.kind === 'refused' && isObject(value) ? { ...about(value), ...draft } : draft;
};

const readObject = (value: unknown, text: Buffer): JsonEvent | Refusal => {
  if (!isObject(value)) return refuse('invalid', 'an event must be a JSON object');
  const members = membersOf(text);
  return members.duplicate === undefined
    ? { kind: 'event', object: value, members }
    : refuse('malformed', `${shown(members.duplicate)} occurs twice`, shown(members.duplicate));
};

export const plainNames: Names = {
  specversion: 'specversion',
  tenant: 'tenant',
  id: 'id',
  type: 'type',
  source: 'source',
  time: 'time',
  subject: 'subject',
  datacontenttype: 'content_type',
  partitionkey: 'key',
  traceparent: 'traceparent',
  headers: 'headers',
  context: 'context',
};

const PLAIN_MEMBERS: ReadonlySet<string> = new Set([
  'tenant',
  'id',
  'type',
  'source',
  'time',
  'subject',
  'content_type',
  'key',
  'headers',
  'context',
  'data',
]);

/**
 * `{type, data, id?, …}`. Strict: a misspelt member is an error that names it.
 */
export const plainDraft: JsonForm = (value, text) => {
  const event = readObject(value, text);
  if (event.kind === 'refused') return event;
  const { object, members } = event;
  for (const name of members.spans.keys()) {
    if (!PLAIN_MEMBERS.has(name)) {
      return refuse('invalid', `${shown(name)} is not a member of an event`, shown(name));
    }
  }
  const data = dataOfMember(text, members, object, mediaTypeOf(object['content_type']));
  if (data === undefined) return refuse('invalid', 'data is required', 'data');
  if (data.kind === 'refused') return data;
  return {
    kind: 'draft',
    attributes: {
      tenant: object['tenant'],
      id: object['id'],
      type: object['type'],
      source: object['source'],
      time: object['time'],
      subject: object['subject'],
      datacontenttype: object['content_type'],
      partitionkey: object['key'],
      headers: object['headers'],
      context: object['context'],
    },
    names: plainNames,
    data: data.bytes,
    value: data.value,
    dataDepth: data.depth,
    contextDepth: members.spans.get('context')?.depth ?? 0,
    bytes: text.length,
  };
};

const structuredNames: Names = { ...plainNames, datacontenttype: 'datacontenttype', partitionkey: 'partitionkey' };

/** Members of a structured CloudEvent that are ours to read. What else it has are extensions (and `dataschema`), handed on. */
const STRUCTURED_MEMBERS: ReadonlySet<string> = new Set([
  'specversion',
  'tenant',
  'id',
  'type',
  'source',
  'time',
  'subject',
  'datacontenttype',
  'partitionkey',
  'traceparent',
  'context',
  'data',
  'data_base64',
]);

/** CloudEvents JSON format 1.0. */
export const structuredDraft: JsonForm = (value, text) => {
  const event = readObject(value, text);
  if (event.kind === 'refused') return event;
  const { object, members } = event;
  const extensions = Object.entries(object).filter(([name]) => !STRUCTURED_MEMBERS.has(name));
  const mediaType = mediaTypeOf(object['datacontenttype']);
  const inline = dataOfMember(text, members, object, mediaType);
  const hasBase64 = (object['data_base64'] ?? null) !== null;
  if (inline !== undefined && hasBase64) {
    return refuse('invalid', 'data_base64 cannot stand beside data', 'data_base64');
  }
  const data =
    inline ??
    (hasBase64
      ? dataOfBase64(object['data_base64'], mediaType)
      : dataOfBytes(Buffer.alloc(0), mediaType, 'data'));
  if (data.kind === 'refused') return data;
  return {
    kind: 'draft',
    attributes: {
      specversion: object['specversion'],
      tenant: object['tenant'],
      id: object['id'],
      type: object['type'],
      source: object['source'],
      time: object['time'],
      subject: object['subject'],
      datacontenttype: object['datacontenttype'],
      partitionkey: object['partitionkey'],
      traceparent: object['traceparent'],
      context: object['context'],
    },
    names: structuredNames,
    ...(extensions.length > 0 && { extensions: Object.fromEntries(extensions) }),
    data: data.bytes,
    value: data.value,
    dataDepth: data.depth,
    contextDepth: members.spans.get('context')?.depth ?? 0,
    bytes: text.length,
  };
};
