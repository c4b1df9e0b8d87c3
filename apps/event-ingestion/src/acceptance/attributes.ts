import {
  CONTROL_CHARACTER_OR_HALF_SURROGATE,
  EVENT_TIME,
  EVENT_TYPE_NAME,
  eventLimits,
  EXTENSION_NAME,
  HTTP_HEADER_NAME,
  HTTP_HEADER_VALUE,
  isDayOfMonth,
  MEDIA_TYPE,
  TENANT_ID,
  URI_REFERENCE,
} from '@posthorn/contracts';
import type { Attribute } from './draft.js';

/** Undefined when the value will do, else what it must be, worded to follow the attribute's name. */
type Check = (value: unknown) => string | undefined;

const text =
  (maxCharacters: number): Check =>
  (value) => {
    if (typeof value !== 'string') return 'must be a string';
    if (value.length === 0) return 'must not be empty';
    if (value.length > maxCharacters) return `must have at most ${maxCharacters} characters`;
    if (CONTROL_CHARACTER_OR_HALF_SURROGATE.test(value)) return 'must not contain control characters or half surrogates';
    return undefined;
  };

const matching =
  (check: Check, pattern: RegExp, expected: string): Check =>
  (value) =>
    check(value) ?? (typeof value === 'string' && pattern.test(value) ? undefined : expected);

export const isMediaType = (value: unknown): value is string => typeof value === 'string' && MEDIA_TYPE.test(value);

const time: Check = (value) => {
  const expected = 'must be an RFC 3339 time, such as 2026-11-21T09:30:00Z';
  return typeof value === 'string' && EVENT_TIME.test(value) && isDayOfMonth(value) ? undefined : expected;
};

const headers: Check = (value) => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be an object of strings';
  const entries = Object.entries(value);
  if (entries.length > eventLimits.headers) return `must have at most ${eventLimits.headers} members`;
  let bytes = 0;
  for (const [name, content] of entries) {
    if (!HTTP_HEADER_NAME.test(name)) return 'must have header names as members';
    if (typeof content !== 'string' || !HTTP_HEADER_VALUE.test(content)) return 'must have printable ASCII strings as values';
    bytes += name.length + content.length;
  }
  return bytes > eventLimits.headerBytes ? `must have at most ${eventLimits.headerBytes} bytes of names and values` : undefined;
};

/** In the order in which an event is told what is wrong with it. `traceparent` is not here: a bad one is ignored, not refused. */
export const attributeChecks: readonly (readonly [Attribute, Check])[] = [
  ['specversion', (value) => (value === '1.0' ? undefined : 'must be "1.0"')],
  ['tenant', matching(text(63), TENANT_ID, 'must be lower-case letters, digits and hyphens')],
  ['type', matching(text(eventLimits.type), EVENT_TYPE_NAME, 'must be dotted lower-case words, such as invoice.paid')],
  ['id', text(eventLimits.id)],
  ['source', matching(text(eventLimits.source), URI_REFERENCE, 'must be a URI reference, such as /orders or https://shop.example/orders')],
  ['time', time],
  ['subject', text(eventLimits.subject)],
  ['partitionkey', text(eventLimits.key)],
  ['datacontenttype', (value) => text(256)(value) ?? (isMediaType(value) ? undefined : 'must be a media type, such as application/json')],
  ['headers', headers],
];

/** Names that a CloudEvent going out has for something else; here they came where nobody looks for them. */
const TAKEN: ReadonlySet<string> = new Set([
  'specversion', 'id', 'type', 'source', 'time', 'subject', 'data', 'datacontenttype', 'tenant', 'partitionkey', 'traceparent', 'context',
]);

const MOST_INTEGER = 2 ** 31;

/** CloudEvents 1.0, "Type System": an integer is a signed one of 32 bits; what else there is comes as a string. */
const extension: Check = (value) => {
  if (typeof value === 'boolean') return undefined;
  if (typeof value === 'number') {
    return Number.isInteger(value) && value >= -MOST_INTEGER && value < MOST_INTEGER ? undefined : 'must be an integer of 32 bits';
  }
  if (typeof value !== 'string') return 'must be a string, an integer or a boolean';
  if (Buffer.byteLength(value) > eventLimits.extensionBytes) return `must have at most ${eventLimits.extensionBytes} bytes`;
  return CONTROL_CHARACTER_OR_HALF_SURROGATE.test(value) ? 'must not contain control characters or half surrogates' : undefined;
};

export const extensionCheck = (name: string, value: unknown): string | undefined => {
  if (!EXTENSION_NAME.test(name)) return 'must be named by 1 to 20 lower-case letters and digits, as an extension';
  return TAKEN.has(name) ? 'cannot be an extension' : extension(value);
};

