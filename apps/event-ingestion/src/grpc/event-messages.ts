import { eventLimits, frame, isJsonMediaType, spanAt } from '@posthorn/contracts';
import type { Fault, NewEvent, PublishResult } from '@posthorn/contracts/grpc/ingestion';
import { type Attribute, type Draft, type Names, type Refusal, refuse } from '../acceptance/draft.js';
import { dataOfBytes, parseJson, plainNames } from '../acceptance/parse-json.js';
import { type Evidence, type Published, unavailable } from '../publishing.js';

/** Fields have the names of members in plain JSON, but for this one. */
const names: Names = { ...plainNames, context: 'context_json' };

const timeText = (time: Date | undefined): string | undefined =>
  // Refused as no time, under its name.
  time && (Number.isNaN(time.getTime()) ? 'out of range' : time.toISOString());

const given = <Value>(values: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> | undefined =>
  Object.keys(values).length === 0 ? undefined : values;

type Attributes = Readonly<Partial<Record<Attribute, unknown>>>;

const attributesOf = (event: NewEvent): Attributes => ({
  id: event.id,
  // What proto3 calls the same as absent.
  type: event.type === '' ? undefined : event.type,
  source: event.source,
  time: timeText(event.time),
  subject: event.subject,
  datacontenttype: event.content_type,
  partitionkey: event.key,
  headers: given(event.headers),
});

const sizeOf = (values: Readonly<Record<string, unknown>>): number =>
  Object.entries(values).reduce((bytes, [name, value]) => {
    if (value === undefined) return bytes;
    return bytes + Buffer.byteLength(name) + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
  }, 0);

/** Of all that it says, whatever of that may be said. */
export const sizeOfEvent = (event: NewEvent): number =>
  event.data.length + Buffer.byteLength(event.context_json ?? '') + sizeOf(attributesOf(event)) + sizeOf(event.headers) + sizeOf(event.extensions);

/** Its data is passed on byte for byte. */
export const draftOfMessage = (event: NewEvent | undefined): Draft | Refusal => {
  if (event === undefined) return refuse('invalid', 'an event is required');
  const about = event.id === undefined ? {} : { eventId: event.id };
  const data = dataOfBytes(asBuffer(event.data), event.content_type, 'data');
  if (data.kind === 'refused') return { ...data, ...about };
  const contextText = Buffer.from(event.context_json ?? 'null');
  const context = parseJson(contextText, names.context);
  if (context.kind === 'refused') return { ...context, ...about };
  const attributes = attributesOf(event);
  return {
    kind: 'draft',
    attributes: { ...attributes, context: context.value },
    names,
    ...(given(event.extensions) && { extensions: event.extensions, extensionPrefix: 'extensions.' }),
    data: data.bytes,
    value: data.value,
    dataDepth: data.depth,
    contextDepth: spanAt(contextText).depth,
    bytes: sizeOfEvent(event),
  };
};

/**
 * A refused event as a CloudEvent in structured mode, which REST would take: what came over the wire can be read by nobody without its
 * proto file. Only `headers` is lost, which CloudEvents does not know.
 */
export const evidenceOf = (event: NewEvent | undefined): Evidence => {
  if (event === undefined) return { headers: {}, value: null };
  const { headers: _headers, ...attributes } = attributesOf(event);
  const data = asBuffer(event.data);
  const isText = isJsonMediaType(event.content_type) && parseJson(data).kind === 'parsed';
  const context = event.context_json === undefined ? undefined : Buffer.from(event.context_json);
  return {
    headers: { 'content-type': 'application/cloudevents+json' },
    value: frame({ specversion: '1.0', ...event.extensions, ...attributes, context: context && contextOf(context) }, data, isText ? undefined : 'application/octet-stream'),
  };
};

/** As text where it is no JSON, or nested so deeply that it could be read, but not written again. */
const contextOf = (text: Buffer): unknown => {
  const parsed = parseJson(text);
  return parsed.kind === 'parsed' && spanAt(text).depth <= eventLimits.depth ? parsed.value : text.toString();
};

const faults = (given: readonly Fault[] = []): Fault[] => [...given];

export const publishResult = (published: Published): PublishResult => {
  switch (published.kind) {
    case 'accepted':
      return { outcome: { $case: 'id', value: published.id }, warnings: faults(published.warnings) };
    case 'unavailable':
      return refused('unavailable', unavailable().message);
    case 'refused':
      return refused(published.code, published.message, published.path, published.errors);
  }
};

/** @param code one of `events.rejected`, or of a problem */
export const refused = (code: string, message: string, path = '', errors: readonly Fault[] = []): PublishResult => ({
  outcome: { $case: 'error', value: { code, message, path, errors: faults(errors) } },
  warnings: [],
});

const asBuffer = ({ buffer, byteOffset, byteLength }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, byteLength);
