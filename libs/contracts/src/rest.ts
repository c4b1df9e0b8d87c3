import { z } from 'zod';

/**
 * Bodies of the REST API. Every object is strict: an unknown member is an error that names its path, because a misspelt
 * `retry_shedule` that is silently dropped costs its author days.
 */

/** `90s`, `15m`, `24h`, `500ms`. */
export const duration = z
  .string()
  .regex(/^\d{1,9}(ms|s|m|h)$/, 'a number and a unit, one of ms, s, m, h: "30s"');

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a duration that `duration` has accepted. */
export const durationMs = (text: string): number => {
  const [, digits, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? [];
  return Number(digits) * (UNIT_MS[unit ?? ''] ?? Number.NaN);
};

/** The largest unit that divides it: 90000 is "90s", 120000 is "2m". */
export const durationText = (ms: number): string => {
  const unit = (['h', 'm', 's'] as const).find((u) => ms > 0 && ms % (UNIT_MS[u] ?? 1) === 0) ?? 'ms';
  return `${ms / (UNIT_MS[unit] ?? 1)}${unit}`;
};

const between = (from: string, to: string) =>
  duration.refine((text) => durationMs(text) >= durationMs(from) && durationMs(text) <= durationMs(to), {
    message: `from ${from} to ${to}`,
  });

export const EVENT_TYPE_NAME = /^[a-z0-9_]+(\.[a-z0-9_]+)*$/;
/** An event type, a prefix with a wildcard as its last segment, or `*` for all. */
export const EVENT_TYPE_PATTERN = /^(\*|[a-z0-9_]+(\.[a-z0-9_]+)*(\.\*)?)$/;
export const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export const subscriptionLimits = {
  name: 128,
  description: 1024,
  url: 2048,
  eventTypes: 100,
  headers: 32,
  headerValue: 1024,
  metadata: 32,
  metadataValue: 512,
  retries: 20,
} as const;

/** Headers that belong to the protocol or to us; a subscription cannot set them. */
const RESERVED_HEADER =
  /^(?:webhook-.*|content-(?:type|length|encoding)|transfer-encoding|connection|host|keep-alive|te|trailer|upgrade|expect|traceparent|tracestate|user-agent|proxy-.*)$/i;

const headers = z
  .record(
    z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'a header name')
      .refine((name) => !RESERVED_HEADER.test(name), 'this header is set by Posthorn'),
    z
      .string()
      .max(subscriptionLimits.headerValue)
      .regex(/^[\t\x20-\x7e]*$/, 'printable ASCII'),
  )
  .refine((record) => Object.keys(record).length <= subscriptionLimits.headers, `at most ${subscriptionLimits.headers} headers`);

const metadata = z
  .record(z.string().min(1).max(64), z.string().max(subscriptionLimits.metadataValue))
  .refine((record) => Object.keys(record).length <= subscriptionLimits.metadata, `at most ${subscriptionLimits.metadata} members`);

const policy = z.strictObject({
  timeout: between('1s', '30s').optional(),
  retry_schedule: z.array(between('1s', '168h')).max(subscriptionLimits.retries).optional(),
  max_concurrency: z.number().int().min(1).max(100).optional(),
  ordering: z.literal('none').optional(),
});

const subscriptionFields = {
  name: z.string().trim().min(1).max(subscriptionLimits.name),
  description: z.string().max(subscriptionLimits.description),
  type: z.literal('rest'),
  url: z.url({ protocol: /^https?$/, error: 'an absolute http or https URL' }).max(subscriptionLimits.url),
  event_types: z
    .array(z.string().max(256).regex(EVENT_TYPE_PATTERN, 'an event type like invoice.paid, a prefix like invoice.*, or *'))
    .min(1)
    .max(subscriptionLimits.eventTypes),
  enabled: z.boolean(),
  payload: z.strictObject({ format: z.literal('standard') }),
  authentication: z.strictObject({ type: z.literal('none') }),
  headers,
  policy,
  metadata,
};

const { name, url, event_types, ...optionalFields } = subscriptionFields;

/** `POST /v1/tenants/{tenant}/subscriptions` */
export const createSubscriptionBody = z.strictObject({
  name,
  url,
  event_types,
  ...z.object(optionalFields).partial().shape,
});
export type CreateSubscriptionBody = z.infer<typeof createSubscriptionBody>;

/** `PATCH …/subscriptions/{id}`: what is present replaces; `policy` member by member. */
export const updateSubscriptionBody = z.strictObject(z.object(subscriptionFields).omit({ type: true }).partial().shape);
export type UpdateSubscriptionBody = z.infer<typeof updateSubscriptionBody>;

/** A subscription as the API shows it. Secrets never appear in it. */
export type SubscriptionView = {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly description?: string | undefined;
  readonly type: 'rest';
  readonly url: string;
  readonly event_types: readonly string[];
  readonly enabled: boolean;
  readonly disabled_reason?: string | undefined;
  readonly payload: { readonly format: 'standard' };
  readonly authentication: { readonly type: 'none' };
  readonly headers: Readonly<Record<string, string>>;
  readonly policy: {
    readonly timeout: string;
    readonly max_concurrency: number;
    readonly retry_schedule: readonly string[];
    readonly ordering: 'none';
  };
  readonly metadata: Readonly<Record<string, string>>;
  readonly version: number;
  readonly created_at: string;
  readonly updated_at: string;
};

/** `POST /v1/tenants` */
export const createTenantBody = z.strictObject({
  id: z.string().regex(TENANT_ID, 'lower-case letters, digits and inner hyphens, at most 63'),
  /** Defaults to the id. */
  name: z.string().trim().min(1).max(128).optional(),
});
export type CreateTenantBody = z.infer<typeof createTenantBody>;

export type TenantView = { readonly id: string; readonly name: string };

/** `{data, next_page_token}`: every list. The token is absent on the last page. */
export type Page<T> = { readonly data: readonly T[]; readonly next_page_token?: string };

export const pageSize = z.coerce.number().int().min(1).max(250).default(50);

/** The closed list of problem codes (RFC 9457 problem details, member `code`). */
export const problemCodes = {
  malformed: 400,
  unauthenticated: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  already_exists: 409,
  conflict: 409,
  version_mismatch: 412,
  too_large: 413,
  unsupported_media_type: 415,
  invalid: 422,
  rate_limited: 429,
  internal: 500,
  unavailable: 503,
} as const;
export type ProblemCode = keyof typeof problemCodes;

/** `application/problem+json` */
export type ProblemBody = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
};

export type DeliveryStatus = 'pending' | 'retrying' | 'delivered' | 'failed' | 'cancelled';

export type DeliveryView = {
  readonly id: string;
  readonly tenant: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly subscription_id: string;
  readonly status: DeliveryStatus;
  readonly attempts: number;
  readonly next_attempt_at?: string | undefined;
  readonly last_status_code?: number | undefined;
  readonly last_error?: string | undefined;
  readonly created_at: string;
  readonly finished_at?: string | undefined;
};
