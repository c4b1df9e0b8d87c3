import { type Rejection, SCHEMA_HEADER, SCHEMA_VERSION } from '@posthorn/contracts';
import type { Refusal } from './draft.js';

/** Where the refused came from, and what it was. */
export type Origin = {
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

const VALUE_BYTES = 64 * 1024;
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

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80;

/** At most `VALUE_BYTES`, and no character cut in two. */
const beginning = (value: Buffer): Buffer => {
  if (value.length <= VALUE_BYTES) return value;
  let end = VALUE_BYTES;
  while (end > VALUE_BYTES - 3 && isContinuation(value[end])) end--;
  return value.subarray(0, end);
};

/** The refusal as operators find it in `events.rejected`. */
export const rejection = (refusal: Refusal, origin: Origin, nowMs: number): Rejection => {
  const tenant = origin.tenant ?? refusal.tenant;
  const value = origin.value === null ? Buffer.alloc(0) : beginning(origin.value);
  return {
    reason: {
      code: refusal.code,
      message: refusal.message,
      ...(refusal.path !== undefined && { path: refusal.path }),
    },
    door: origin.door,
    ...(tenant !== undefined && { tenant }),
    ...(refusal.eventId !== undefined && { event_id: refusal.eventId }),
    rejected_at: new Date(nowMs).toISOString(),
    ...(origin.record && { record: origin.record }),
    headers: copied(origin.headers),
    value: value.toString('utf8'),
    truncated: value.length < (origin.value?.length ?? 0),
  };
};

/** A record of `events.rejected`, without its topic. */
export const rejectedRecord = (rejected: Rejection) => ({
  ...(rejected.tenant !== undefined && { key: rejected.tenant }),
  value: JSON.stringify(rejected),
  headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
});
