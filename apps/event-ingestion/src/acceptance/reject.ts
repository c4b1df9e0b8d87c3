import { isUtf8 } from 'node:buffer';
import { type Rejection, SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import { MAX_MESSAGE_BYTES } from '@posthorn/kafka';
import { type Refusal, shown } from './draft.js';

/** Where the refused came from, and what it was. */
export type Origin = {
  /** Of the rejection. */
  readonly id: string;
  readonly door: Rejection['door'];
  /** Known without reading the event: the path's. */
  readonly tenant?: string;
  readonly record?: { readonly topic: string; readonly partition: number; readonly offset: string };
  readonly headers: Readonly<Record<string, Buffer | string | readonly string[] | undefined>>;
  readonly value: Buffer | null;
};

/** Credentials are no evidence: whoever may read rejections must not be able to act as the producer. */
const SECRET_HEADERS: ReadonlySet<string> = new Set([
  'authorization',
  'proxy-authorization',
  'cookie',
  'set-cookie',
  'x-api-key',
  'x-auth-token',
]);

/** Of a record, for its value: what remains is enough for key, headers and batch. */
const VALUE_BYTES = MAX_MESSAGE_BYTES - 4 * 1024;
const NO_BYTES = Buffer.alloc(0);
const HEADERS = 64;
const HEADER_CHARACTERS = 1024;

const copied = (headers: Origin['headers']): Record<string, string> => {
  const entries: [string, string][] = [];
  for (const [name, value] of Object.entries(headers)) {
    if (value === undefined || SECRET_HEADERS.has(name.toLowerCase())) continue;
    if (entries.length === HEADERS) break;
    const text = Buffer.isBuffer(value) ? value.toString('utf8', 0, HEADER_CHARACTERS) : String(value);
    entries.push([name.slice(0, HEADER_CHARACTERS), text.slice(0, HEADER_CHARACTERS)]);
  }
  return Object.fromEntries(entries);
};

/** Errors shown; what has more is not mended one by one. */
const ERRORS = 32;

const reasonOf = ({ code, message, path, errors }: Refusal): Rejection['reason'] => ({
  code,
  message,
  ...(path !== undefined && { path }),
  ...(errors && { errors: errors.slice(0, ERRORS).map((error) => ({ path: shown(error.path), message: shown(error.message) })) }),
});

/**
 * Exactly the bytes that came, for whoever mends and publishes them again. Text is told as text, but escaping can make six of one byte
 * of it: what is too long then may still fit in base64, and of what does not, the beginning does.
 *
 * @param room for the member's value in the JSON text
 */
const kept = (bytes: Buffer, room: number): Pick<Rejection, 'value' | 'value_base64' | 'truncated'> => {
  if (isUtf8(bytes)) {
    const value = bytes.toString('utf8');
    if (Buffer.byteLength(JSON.stringify(value)) <= room) return { value, truncated: false };
  }
  const fitting = bytes.subarray(0, 3 * Math.floor(room / 4));
  return { value_base64: fitting.toString('base64'), truncated: fitting.length < bytes.length };
};

/** The refusal as operators find it in `events.rejected`. */
export const rejection = (refusal: Refusal, origin: Origin, nowMs: number): Rejection => {
  const tenant = origin.tenant ?? refusal.tenant;
  const head = {
    rejection_id: origin.id,
    reason: reasonOf(refusal),
    door: origin.door,
    // Nobody has checked them yet.
    ...(tenant !== undefined && { tenant: shown(tenant) }),
    ...(refusal.eventId !== undefined && { event_id: shown(refusal.eventId) }),
    rejected_at: new Date(nowMs).toISOString(),
    ...(origin.record && { record: origin.record }),
    headers: copied(origin.headers),
  };
  const frame = JSON.stringify({ ...head, value_base64: '', truncated: false });
  return { ...head, ...kept(origin.value ?? NO_BYTES, VALUE_BYTES - Buffer.byteLength(frame)) };
};

/** A record of `events.rejected`, without its topic. */
export const rejectedRecord = (rejected: Rejection) => ({
  ...(rejected.tenant !== undefined && { key: rejected.tenant }),
  value: JSON.stringify(rejected),
  headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
});
