import { isJsonMediaType, type Envelope, type Extension } from '@posthorn/contracts';
import { headerValue } from './header-value.js';

/** What is POSTed. Built once per event and format and shared by all its deliveries; nobody may write into the body. */
export type Payload = {
  readonly contentType: string;
  readonly body: Buffer;
  /** Further headers that belong to the format, under lower-case names. One of the subscription's own takes the place of its like. */
  readonly headers?: Readonly<Record<string, string>>;
};

const JSON_NULL = Buffer.from('null');

/**
 * The format `standard` (Standard Webhooks, "Payload structure"): `{"type":…,"timestamp":…,"data":…}`, `timestamp` being the event's `time`.
 * JSON data is spliced in byte for byte, so numbers keep their digits and members their order. Data of another media type cannot be a
 * JSON value: it comes as `data_base64` beside its `datacontenttype`, the members CloudEvents has for this, so that whatever
 * is called `data` is always the producer's own JSON.
 */
export const standardPayload = (
  event: Pick<Envelope, 'type' | 'time' | 'datacontenttype'>,
  data: Uint8Array,
): Payload => {
  const { type, time, datacontenttype } = event;
  const head = `{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(time)},`;
  return { contentType: 'application/json', body: withData(head, data, datacontenttype) };
};

/**
 * The format `context`: `{"event_time":…,"event_type":…,"current_context":…,"data":…}`. The event's own context takes precedence over the
 * subscription's.
 */
export const contextPayload = (event: Envelope, data: Uint8Array, subscriptionContext: unknown): Payload => {
  const { type, time, datacontenttype, context = subscriptionContext ?? null } = event;
  const head = `{"event_time":${JSON.stringify(time)},"event_type":${JSON.stringify(type)},"current_context":${JSON.stringify(context)},`;
  return { contentType: 'application/json', body: withData(head, data, datacontenttype) };
};

/** The format `raw`: the producer's bytes and media type, and nothing else. */
export const rawPayload = ({ datacontenttype }: Pick<Envelope, 'datacontenttype'>, data: Buffer): Payload => ({
  contentType: datacontenttype ?? 'application/json',
  body: data,
});

/** What a subscriber is told of the envelope in CloudEvents: what the producer said. Our own bookkeeping stays here. */
const cloudEventAttributes = ({ id, source, type, time, subject, partitionkey, extensions }: Envelope): Readonly<Record<string, Extension>> => ({
  specversion: '1.0',
  id,
  source,
  type,
  time,
  ...(subject !== undefined && { subject }),
  ...(partitionkey !== undefined && { partitionkey }),
  ...extensions,
});

/** CloudEvents' structured mode (HTTP binding 1.0, 3.2; JSON format, 3.1). */
export const structuredPayload = (event: Envelope, data: Uint8Array): Payload => {
  const { datacontenttype } = event;
  const attributes = JSON.stringify({ ...cloudEventAttributes(event), datacontenttype: datacontenttype ?? 'application/json' });
  const head = `${attributes.slice(0, -1)},`;
  return {
    contentType: 'application/cloudevents+json',
    body: isJsonMediaType(datacontenttype) ? withData(head, data, undefined) : Buffer.from(`${head}"data_base64":"${base64(data)}"}`),
  };
};

/** CloudEvents' binary mode (HTTP binding 1.0, 3.1): attributes as `ce-` headers, the producer's bytes as the body. */
export const binaryPayload = (event: Envelope, data: Buffer): Payload => {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(cloudEventAttributes(event))) headers[`ce-${name}`] = headerValue(String(value));
  return { ...rawPayload(event, data), headers };
};

/** The members so far, and then the data: as JSON in its own bytes, else as `data_base64` beside its media type. */
const withData = (head: string, data: Uint8Array, mediaType: string | undefined): Buffer =>
  isJsonMediaType(mediaType)
    ? spliced(`${head}"data":`, data.length === 0 ? JSON_NULL : data)
    : Buffer.from(`${head}"datacontenttype":${JSON.stringify(mediaType)},"data_base64":"${base64(data)}"}`);

const base64 = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString('base64');

const spliced = (head: string, data: Uint8Array): Buffer => {
  const headBytes = Buffer.byteLength(head);
  const body = Buffer.allocUnsafe(headBytes + data.length + 1);
  body.write(head);
  body.set(data, headBytes);
  body.write('}', headBytes + data.length);
  return body;
};
