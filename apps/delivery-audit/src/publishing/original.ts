import type { RejectedEvent } from '../query/rejected-events.js';

/** An event as `POST …/events` takes it, in whichever of its forms. */
export type EventRequest = { readonly headers: Readonly<Record<string, string>>; readonly body: Buffer };
/** It cannot be sent again as it came, and why. */
export type Unrepeatable = { readonly kind: 'unrepeatable'; readonly reason: string };

const unrepeatable = (reason: string): Unrepeatable => ({ kind: 'unrepeatable', reason });

/** The ingestion keeps this much of the headers: what is as much here may have been more there. */
const KEPT_HEADERS = 64;
const KEPT_CHARACTERS = 1024;
const REPLACEMENT = '\u{FFFD}';

const isWhole = (text: string): boolean => text.length < KEPT_CHARACTERS && !text.includes(REPLACEMENT);

const NAME = /^[\w!#$%&'*+.^`|~-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
/** RFC 9110, 5.5 and 5.6.2. A record's header may have any name and any bytes. */
const isSayable = ([name, value]: readonly [string, string]): boolean => NAME.test(name) && VALUE.test(value);

/** CloudEvents HTTP binding 1.0, section 3.1.3.2: printable ASCII stays, but for the space, the quote and the percent sign. */
const percentEncoded = (text: string): string => text.replace(/[^!#$&-~]/gu, (character) => encodeURIComponent(character));

/** An event of a batch is, by itself, a structured one. */
const typeOfOne = (contentType: string): string => contentType.replace(/^\s*application\/cloudevents-batch\+json/i, 'application/cloudevents+json');

/** A header of the record or request as one of the request to come; undefined for those that are not about the event. */
const repeated = (name: string, text: string, door: string): readonly [string, string] | undefined => {
  if (name === 'traceparent') return [name, text];
  if (name === 'content-type') return [name, typeOfOne(text)];
  if (door === 'kafka') return name.startsWith('ce_') ? [name.replace('ce_', 'ce-'), percentEncoded(text)] : undefined;
  return name.startsWith('ce-') ? [name, text] : undefined;
};

/**
 * The bytes that were refused, with the attributes that came beside them, as a request over HTTP, whichever door they came to.
 *
 * @param inbound the topic whose records have the same forms as requests
 */
export const originalOf = ({ view, headers, value }: RejectedEvent, inbound: string): ({ readonly kind: 'request' } & EventRequest) | Unrepeatable => {
  const { door, record, truncated } = view;
  if (truncated) return unrepeatable('only the beginning of it is kept');
  if (door === 'kafka' && record?.topic !== inbound) return unrepeatable('what it means is said by the binding of its topic');
  const given = Object.entries(headers);
  if (given.length >= KEPT_HEADERS) return unrepeatable('its headers are not kept as they came');
  const sent: Record<string, string> = {};
  for (const [name, text] of given) {
    const header = repeated(name, text, door);
    if (header === undefined) continue;
    if (!isWhole(text) || !isSayable(header)) return unrepeatable('its headers are not kept as they came');
    sent[header[0]] = header[1];
  }
  return { kind: 'request', headers: sent, body: value };
};
