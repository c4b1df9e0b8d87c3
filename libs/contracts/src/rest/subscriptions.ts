import { z } from 'zod';
import { eventLimits } from '../envelope.js';
import { attempt } from '../records.js';
import { durationBetween, durationMs } from './durations.js';
import { displayName, eventTypeName, eventTypePattern, timestamp } from './names.js';
import { pageQuery, queryFlag } from './pages.js';
import { fieldError, problemBody } from './problems.js';

export const subscriptionLimits = {
  description: 1024,
  url: 2048,
  eventTypes: 100,
  /** Characters of the CEL expression. */
  filter: 4096,
  transform: 16 * 1024,
  /** Of `payload.context`, as JSON text. */
  contextBytes: 16 * 1024,
  headers: 32,
  headerValue: 1024,
  metadata: 32,
  metadataValue: 512,
  retries: 20,
  spread: 16,
  /** Of a password, token or key. */
  secret: 4096,
  /** Of a PEM text. */
  pem: 32 * 1024,
  /** Subscriptions in one batch. */
  batch: 1000,
  /** Of a batch's body. */
  batchBytes: 8 * 1024 * 1024,
} as const;

/** Headers that belong to the protocol or to us; a subscription cannot set them. */
const RESERVED_HEADER =
  /^(?:webhook-.*|content-(?:type|length|encoding)|transfer-encoding|connection|host|keep-alive|te|trailer|upgrade|http2-settings|expect|traceparent|tracestate|user-agent|proxy-.*)$/i;

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'a header name')
  .refine((name) => !RESERVED_HEADER.test(name), 'this header is set by Posthorn');
const headerValue = z
  .string()
  .max(subscriptionLimits.headerValue)
  .regex(/^[\x20-\x7e]*$/, 'printable ASCII');

const header = z.tuple([headerName, headerValue]);

/** What is wrong with a header that is neither the protocol's nor ours; undefined when nothing is. Never quotes the value. */
export const customHeaderFault = (name: string, value: string): string | undefined => header.safeParse([name, value]).error?.issues[0]?.message;

const headers = z
  .record(headerName, headerValue)
  .refine((record) => Object.keys(record).length <= subscriptionLimits.headers, `at most ${subscriptionLimits.headers} headers`);

const metadata = z
  .record(z.string().min(1).max(64), z.string().max(subscriptionLimits.metadataValue))
  .refine((record) => Object.keys(record).length <= subscriptionLimits.metadata, `at most ${subscriptionLimits.metadata} members`);

/** Its form; the rules of sending judge it, as it was written, so nothing here may mend it (`z.url` would trim it). */
const url = z
  .string()
  .max(subscriptionLimits.url)
  .refine((text) => /^https?:\/\//i.test(text) && URL.canParse(text), 'invalid_url: The URL is not an absolute http or https URL.')
  .meta({ format: 'uri' });

/** `2xx`, or one status. */
const statusPattern = z.string().regex(/^[1-5](?:xx|\d\d)$/, 'a status like 204, or a class like 2xx');

const policyFields = {
  timeout: durationBetween('1s', '30s').optional().describe('Of one attempt; 15s unless given'),
  retry_schedule: z
    .array(durationBetween('1s', '168h'))
    .max(subscriptionLimits.retries)
    .nullable()
    .optional()
    .describe('Waits before the second, third, … attempt; null for the default'),
  rate_limit: z
    .strictObject({ per_second: z.number().positive().max(100_000), burst: z.number().int().min(1).max(100_000).optional() })
    .nullable()
    .optional()
    .describe('Requests per second; null for none'),
  max_concurrency: z.number().int().min(1).max(100).optional().describe('Requests at a time; 10 unless given'),
  ordering: z.enum(['none', 'by_key']).optional(),
  spread: z
    .number()
    .int()
    .min(1)
    .max(subscriptionLimits.spread)
    .optional()
    .describe('Partitions that its deliveries go over, for one that alone is more than a sender can do; not with ordering `by_key`; 1 unless given'),
  success: z
    .strictObject({ statuses: z.array(statusPattern).min(1).max(20) })
    .nullable()
    .optional()
    .describe('Statuses that count as delivered; null for any 2xx'),
  disable_after: durationBetween('0s', '720h')
    .refine((text) => durationMs(text) === 0 || durationMs(text) >= 3_600_000, { message: 'at least 1h, or 0s for never' })
    .optional()
    .describe('Of nothing but failures, after which it is disabled; 120h unless given, 0s for never'),
};

export const payloadFormat = z.enum(['standard', 'cloudevents', 'cloudevents_binary', 'context', 'raw', 'transform']);
export type PayloadFormat = z.infer<typeof payloadFormat>;

const payload = z
  .strictObject({
    format: payloadFormat,
    transform: z.string().min(1).max(subscriptionLimits.transform).optional().describe('CEL that makes the body, or `request(body, headers)`; with format `transform`'),
    context: z.unknown().optional().describe('Value of `current_context`; with format `context`; at most 16 KiB'),
  })
  .superRefine(({ format, transform, context }, issues) => {
    if ((format === 'transform') !== (transform !== undefined)) {
      issues.addIssue({ code: 'custom', path: ['transform'], message: format === 'transform' ? 'is required' : 'only with format "transform"' });
    }
    if (context === undefined) return;
    if (format !== 'context') issues.addIssue({ code: 'custom', path: ['context'], message: 'only with format "context"' });
    if (Buffer.byteLength(JSON.stringify(context)) > subscriptionLimits.contextBytes) {
      issues.addIssue({ code: 'custom', path: ['context'], message: `at most ${subscriptionLimits.contextBytes} bytes of JSON` });
    }
  });
export type PayloadBody = z.infer<typeof payload>;

/** Shown in a secret's place. In a PATCH it stands for the secret that is there. */
export const REDACTED = '***';

const secret = z
  .string()
  .min(1)
  .max(subscriptionLimits.secret)
  .regex(/^[\x20-\x7e]+$/, 'printable ASCII')
  .describe('Write-only: "***" when read');
const pem = (label: string) =>
  z
    .string()
    .max(subscriptionLimits.pem)
    .regex(new RegExp(`^\\s*-----BEGIN [A-Z ]*${label}-----[\\s\\S]+-----END [A-Z ]*${label}-----\\s*$`), `PEM with BEGIN ${label}`);
const line = z.string().min(1).max(512).regex(/^[\x20-\x7e]+$/, 'printable ASCII');

const authentication = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('none') }),
  z.strictObject({ type: z.literal('api_key'), header: headerName.default('X-API-Key'), key: secret }),
  z.strictObject({ type: z.literal('token'), token: secret }),
  z.strictObject({ type: z.literal('basic'), username: line.regex(/^[^:]*$/, 'without a colon'), password: secret }),
  z.strictObject({ type: z.literal('bearer'), token: secret }),
  z.strictObject({
    type: z.literal('oauth2_client_credentials'),
    token_url: url,
    client_id: line,
    client_secret: secret,
    scope: line.optional(),
  }),
  z.strictObject({
    type: z.literal('mtls'),
    certificate: pem('CERTIFICATE'),
    private_key: z.union([z.literal(REDACTED), pem('PRIVATE KEY')]).describe('Write-only: "***" when read'),
    ca: pem('CERTIFICATE').optional(),
  }),
]);
export type AuthenticationBody = z.infer<typeof authentication>;

export const signatureScheme = z
  .enum(['v1', 'v1a'])
  .describe('Standard Webhooks: `v1` is HMAC-SHA256 with a shared secret, `v1a` Ed25519 with a public key');
export type SignatureScheme = z.infer<typeof signatureScheme>;

const whsec = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,88}={0,2}$/, { error: '"whsec_" and 24 to 64 bytes in base64', abort: true })
  .refine((text) => {
    const { length } = Buffer.from(text.slice('whsec_'.length), 'base64');
    return length >= 24 && length <= 64;
  }, '"whsec_" and 24 to 64 bytes in base64');

const signing = {
  signature: signatureScheme.optional(),
  secret: whsec.optional().describe('To bring along the secret of another system; a new one unless given. Only with `v1`'),
};
const secretOnlyWithV1 = ({ signature, secret: given }: { signature?: string | undefined; secret?: string | undefined }): boolean =>
  given === undefined || signature !== 'v1a';
const SECRET_ONLY_WITH_V1 = { path: ['secret'], message: 'only with signature "v1"' };

const fields = {
  name: displayName,
  description: z.string().max(subscriptionLimits.description),
  type: z.literal('rest'),
  url,
  event_types: z
    .array(eventTypePattern)
    .min(1)
    .max(subscriptionLimits.eventTypes)
    .refine((given) => new Set(given).size === given.length, 'each type once'),
  filter: z.string().min(1).max(subscriptionLimits.filter).describe('CEL over the event; only events for which it is true are delivered'),
  enabled: z.boolean(),
  payload,
  authentication,
  headers,
  policy: z.strictObject(policyFields),
  metadata,
};

/** `POST /v1/tenants/{tenant}/subscriptions` */
export const createSubscriptionBody = z
  .strictObject({
    name: fields.name,
    url,
    event_types: fields.event_types,
    ...z.object(fields).omit({ name: true, url: true, event_types: true }).partial().shape,
    ...signing,
  })
  .refine(secretOnlyWithV1, SECRET_ONLY_WITH_V1)
  .meta({ id: 'CreateSubscription' });
export type CreateSubscriptionBody = z.infer<typeof createSubscriptionBody>;

/** `PATCH …/subscriptions/{id}`: what is present replaces; `policy` member by member; null removes what can be absent. */
export const updateSubscriptionBody = z
  .strictObject({
    ...z.object(fields).omit({ type: true, description: true, filter: true }).partial().shape,
    description: fields.description.nullable().optional(),
    filter: fields.filter.nullable().optional(),
  })
  .meta({ id: 'UpdateSubscription' });
export type UpdateSubscriptionBody = z.infer<typeof updateSubscriptionBody>;

/** `POST …/subscriptions/batch`: each is judged, made and answered on its own. */
export const createSubscriptionsBody = z.strictObject({
  subscriptions: z.array(z.unknown()).min(1).max(subscriptionLimits.batch).describe('As for a single one'),
});

/** `POST …/subscriptions/{id}/rotate-secret` */
export const rotateSecretBody = z
  .strictObject({
    overlap: durationBetween('0s', '168h').optional().describe('How long the old secret signs too; 24h unless given'),
    ...signing,
  })
  .refine(secretOnlyWithV1, SECRET_ONLY_WITH_V1)
  .meta({ id: 'RotateSecret' });
export type RotateSecretBody = z.infer<typeof rotateSecretBody>;

/** `POST …/subscriptions/{id}/test` */
export const testSubscriptionBody = z
  .strictObject({
    event_type: eventTypeName.optional().describe('Of the example; the first one the subscription asks for unless given'),
    data: z.unknown().optional().describe("The example of the catalogue unless given"),
  })
  .meta({ id: 'TestSubscription' });
export type TestSubscriptionBody = z.infer<typeof testSubscriptionBody>;

export const subscriptionsQuery = z.strictObject({
  ...pageQuery,
  event_type: eventTypeName.optional().describe('Those that an event of this type would reach, wildcards included'),
  enabled: queryFlag.optional(),
  q: z.string().min(1).max(128).optional().describe('Part of the name'),
});
export const subscriptionQuery = z.strictObject({ at: timestamp.optional().describe('As it was then') });
export const historyQuery = z.strictObject(pageQuery);

const redacted = z.literal(REDACTED);

const authenticationView = z.discriminatedUnion('type', [
  z.object({ type: z.literal('none') }),
  z.object({ type: z.literal('api_key'), header: z.string(), key: redacted }),
  z.object({ type: z.literal('token'), token: redacted }),
  z.object({ type: z.literal('basic'), username: z.string(), password: redacted }),
  z.object({ type: z.literal('bearer'), token: redacted }),
  z.object({
    type: z.literal('oauth2_client_credentials'),
    token_url: z.string(),
    client_id: z.string(),
    client_secret: redacted,
    scope: z.string().optional(),
  }),
  z.object({ type: z.literal('mtls'), certificate: z.string(), private_key: redacted, ca: z.string().optional() }),
]);
export type AuthenticationView = z.infer<typeof authenticationView>;

/** A subscription as the API shows it. Secrets never appear in it. */
export const subscriptionView = z
  .object({
    id: z.string(),
    tenant: z.string(),
    name: z.string(),
    description: z.string().optional(),
    type: z.literal('rest'),
    url: z.string(),
    event_types: z.array(z.string()),
    filter: z.string().optional(),
    enabled: z.boolean(),
    disabled_reason: z.enum(['by_user', 'gone', 'failing']).optional(),
    signature: signatureScheme,
    payload: z.object({ format: payloadFormat, transform: z.string().optional(), context: z.unknown().optional() }),
    authentication: authenticationView,
    headers: z.record(z.string(), z.string()),
    policy: z.object({
      timeout: z.string(),
      retry_schedule: z.array(z.string()),
      rate_limit: z.object({ per_second: z.number(), burst: z.number().int() }).optional(),
      max_concurrency: z.number().int(),
      ordering: z.enum(['none', 'by_key']),
      spread: z.number().int(),
      success: z.object({ statuses: z.array(z.string()) }),
      disable_after: z.string(),
    }),
    metadata: z.record(z.string(), z.string()),
    version: z.number().int(),
    created_at: timestamp,
    updated_at: timestamp,
  })
  .meta({ id: 'Subscription' });
export type SubscriptionView = z.infer<typeof subscriptionView>;

const keyView = {
  signature: signatureScheme,
  secret: z.string().optional().describe('`whsec_…`; with `v1`'),
  public_key: z.string().optional().describe('`whpk_…`; with `v1a`'),
};

/** `GET …/subscriptions/{id}/secret` */
export const secretView = z
  .object({ ...keyView, previous: z.array(z.object({ ...keyView, expires_at: timestamp })).describe('Those that still sign, newest first') })
  .meta({ id: 'SubscriptionSecret' });
export type SecretView = z.infer<typeof secretView>;

export const createdSubscription = subscriptionView
  .extend({ secret: keyView.secret, public_key: keyView.public_key })
  .meta({ id: 'CreatedSubscription' });
export type CreatedSubscription = z.infer<typeof createdSubscription>;

export const createdSubscriptions = z
  .object({
    results: z
      .array(
        z.union([
          createdSubscription,
          z.object({ error: z.object({ code: problemBody.shape.code, message: z.string(), errors: z.array(fieldError).readonly().optional() }) }),
        ]),
      )
      .describe('In the order of the batch'),
  })
  .meta({ id: 'CreatedSubscriptions' });
export type CreatedSubscriptions = z.infer<typeof createdSubscriptions>;

/** What a subscription was not told while it was disabled, and how to send it after all. */
export const missed = z.object({
  from: timestamp,
  to: timestamp,
  deliveries: z.number().int().describe('Events of its types in that time, as far as the audit knows them'),
  at_least: z.boolean().describe('There are more than can be counted in passing'),
  replay: z.object({ method: z.literal('POST'), path: z.string(), body: z.record(z.string(), z.unknown()) }).describe('The call that sends them'),
});
export type Missed = z.infer<typeof missed>;
export const enabledSubscription = subscriptionView.extend({ missed: missed.optional() }).meta({ id: 'EnabledSubscription' });
export type EnabledSubscription = z.infer<typeof enabledSubscription>;

export const historyEntry = z
  .object({
    version: z.number().int(),
    type: z.string().describe('As in `SubscriptionUpdated`'),
    at: timestamp,
    actor: z.string().describe('Id of the key, or the service, that did it'),
    cause: z.string().optional().describe('What it was done in answer to'),
    changes: z.record(z.string(), z.unknown()).describe('Secrets only as "***"'),
  })
  .meta({ id: 'HistoryEntry' });
export type HistoryEntry = z.infer<typeof historyEntry>;

/** `POST …/subscriptions/{id}/test`: the attempt that was made. */
export const testedAttempt = attempt
  .extend({ round: z.literal(0), number: z.literal(1), trigger: z.literal('test') })
  .meta({ id: 'TestAttempt' });
export type TestedAttempt = z.infer<typeof testedAttempt>;

/** An event as it would be published; members that are not known are left alone, as publishing does. */
const checkedEvent = z.looseObject({
  id: z.string().min(1).max(eventLimits.id).optional(),
  type: eventTypeName,
  source: z.string().min(1).max(eventLimits.source).optional(),
  time: timestamp.optional(),
  subject: z.string().min(1).max(eventLimits.subject).optional(),
  key: z.string().min(1).max(eventLimits.key).optional(),
  content_type: z.string().min(1).max(256).optional(),
  headers: z.record(z.string(), z.string()).optional(),
  context: z.unknown().optional(),
  data: z.unknown().optional(),
});
export type CheckedEvent = z.infer<typeof checkedEvent>;

/** `POST /v1/tenants/{tenant}/filter-check` */
export const filterCheckBody = z
  .strictObject({
    filter: z.string().min(1).max(subscriptionLimits.filter).optional(),
    transform: z.string().min(1).max(subscriptionLimits.transform).optional(),
    event: checkedEvent.describe('As it would be published'),
  })
  .refine(({ filter, transform }) => (filter === undefined) !== (transform === undefined), { path: ['filter'], message: 'either filter or transform' })
  .meta({ id: 'FilterCheck' });
export type FilterCheckBody = z.infer<typeof filterCheckBody>;

const cost = z.number().int().describe('Steps at most, for an event with lists of 32 items and texts of 256 characters');

export const filterCheckResult = z
  .union([
    z.object({ matches: z.boolean(), cost }),
    z.object({
      result: z.unknown().describe('The body'),
      headers: z.record(z.string(), z.string()).optional().describe('Those of `request(body, headers)`'),
      cost,
    }),
    z.object({
      cost: cost.optional(),
      error: z.object({ message: z.string(), position: z.object({ offset: z.number().int(), line: z.number().int(), column: z.number().int() }).optional() }),
    }),
  ])
  .meta({ id: 'FilterCheckResult' });
export type FilterCheckResult = z.infer<typeof filterCheckResult>;
