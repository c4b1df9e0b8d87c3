import { z } from 'zod';

export const EVENT_TYPE_NAME = /^[a-z0-9_]+(\.[a-z0-9_]+)*$/;
/** An event type, a prefix with a wildcard as its last segment, or `*` for all. */
export const EVENT_TYPE_PATTERN = /^(\*|[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?)$/;
export const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export const eventTypeName = z
  .string()
  .max(256)
  .regex(EVENT_TYPE_NAME, 'an event type like invoice.paid: lower-case words of letters, digits and underscores, joined by dots');
export const eventTypePattern = z
  .string()
  .max(256)
  .regex(EVENT_TYPE_PATTERN, 'an event type like invoice.paid, a prefix like invoice.*, or *');
export const tenantId = z.string().regex(TENANT_ID, 'lower-case letters, digits and inner hyphens, at most 63');
export const displayName = z.string().trim().min(1).max(128);
export const timestamp = z.iso.datetime({ offset: true });

const [FIRST_MS, LAST_MS] = [Date.parse('0001-01-01T00:00:00Z'), Date.parse('9999-12-31T23:59:59.999Z')];
/**
 * A time that is one in UTC too, in which it is kept: an offset can take it out of the years that RFC 3339 has digits for, and what
 * comes of it then is no time to whoever reads it. PostgreSQL has no year 0.
 */
export const timeInUtc = timestamp.refine((text) => Date.parse(text) >= FIRST_MS && Date.parse(text) <= LAST_MS, 'from year 0001 to 9999 in UTC');
