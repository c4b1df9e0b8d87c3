import { z } from 'zod';
import type { Envelope } from './envelope.js';
import { timestamp } from './rest/names.js';
import { schemaPolicy, unknownEventTypes } from './rest/tenants.js';
import { scope } from './rest/api-keys.js';


const envelope = z.object({
  specversion: z.literal('1.0'),
  id: z.string(),
  tenant: z.string(),
  type: z.string(),
  source: z.string(),
  time: timestamp,
  acceptedtime: timestamp,
  subject: z.string().optional(),
  datacontenttype: z.string().optional(),
  partitionkey: z.string().optional(),
  traceparent: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  context: z.unknown().optional(),
  extensions: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
}) satisfies z.ZodType<Envelope>;

/** A framed record's data member, one or the other. */
const data = { data: z.unknown().optional(), data_base64: z.base64().optional() };

/** `events.accepted`: the envelope, framed with its data. */
const accepted = envelope.extend(data);

/** Why a delivery is being attempted. */
export const trigger = z.enum(['first', 'retry', 'redeliver', 'replay', 'test']);
export type Trigger = z.infer<typeof trigger>;

/**
 * `deliveries.requested` and `deliveries.delayed.<tier>`, framed with the event's data: attempt `number` of round `round` of the
 * deliveries of this event to these subscriptions, all of one partition.
 */
const requested = z.object({
  event: envelope,
  subscriptions: z.array(z.string()).min(1),
  /** Position in `registry.state` that the router matched at; the sender waits until it has read as far. */
  position: z.number().int().nonnegative(),
  round: z.number().int().nonnegative(),
  number: z.number().int().positive(),
  trigger,
  /** Not before; absent means now. */
  due_at: timestamp.optional(),
  /** It comes back from its lane's overflow: what it takes of the lane's rate was set aside for it when it was postponed. */
  reserved: z.literal(true).optional(),
  /** The span that its attempts belong under, where one was recorded: the router's, or the attempt's before it. Absent: under the event's own, or none. */
  traceparent: z.string().optional(),
  /** With `retry`: the span of the attempt before it, where one was recorded. */
  retry_of: z.string().optional(),
  ...data,
});

/**
 * Why a subscription that asks for an event's type does not get it: its filter is false for it, or cannot be evaluated, or the filters
 * before it have used up what one event may cost; or it is disabled.
 */
export const nearMatchReason = z.enum(['filter_false', 'filter_failed', 'filter_budget', 'disabled']);
export type NearMatchReason = z.infer<typeof nearMatchReason>;

/** Near matches that are named; the others are counted. */
export const MOST_NEAR_MATCHES = 100;

/** `deliveries.routed`: which subscriptions matched an event, stated once per event, also when none did. */
const routed = z.object({
  event_id: z.string(),
  tenant: z.string(),
  event_type: z.string(),
  subject: z.string().optional(),
  accepted_at: timestamp,
  position: z.number().int().nonnegative(),
  subscriptions: z.array(z.string()),
  /** When one record does not hold all that matched: which of how many this is, from 1. Each has what it says of the event. */
  part: z.object({ number: z.number().int().positive(), of: z.number().int().positive() }).optional(),
  /** In the first part. */
  near: z.array(z.object({ subscription: z.string(), why: nearMatchReason })).min(1).max(MOST_NEAR_MATCHES).optional(),
  /** How many there are beside those named. */
  near_more: z.number().int().positive().optional(),
  /** The span in which it was decided, where one was recorded. */
  traceparent: z.string().optional(),
});

/** Everything an attempt can fail of; a closed list. */
export const attemptErrorCode = z.enum([
  'timeout',
  'connect_timeout',
  'connection_refused',
  'connection_reset',
  'dns_failed',
  'tls_failed',
  'address_blocked',
  'response_too_large',
  'bad_status',
  'redirect_refused',
  'payload_failed',
  'auth_failed',
  'aborted',
]);
export type AttemptErrorCode = z.infer<typeof attemptErrorCode>;

/** One HTTP request and what came of it. */
export const attempt = z.object({
  started_at: timestamp,
  duration_ms: z.number().nonnegative(),
  request: z.object({ url: z.string(), headers: z.record(z.string(), z.string()) }),
  response: z
    .object({
      status: z.number().int(),
      headers: z.record(z.string(), z.string()),
      /** The first 4 KiB, as UTF-8. */
      body: z.string(),
      truncated: z.boolean(),
    })
    .optional(),
  error: z.object({ code: attemptErrorCode, message: z.string() }).optional(),
});
export type Attempt = z.infer<typeof attempt>;

/** Where the delivery stands after this outcome. */
export const outcomeStatus = z.enum(['delivered', 'retrying', 'failed', 'cancelled']);

/** A round of a delivery, and what the history must know of its event whichever record it reads first. */
const deliveryRound = z.object({
  delivery_id: z.string(),
  tenant: z.string(),
  event_id: z.string(),
  event_type: z.string(),
  subject: z.string().optional(),
  /** The event's `acceptedtime`: names the day of the audit rows. */
  accepted_at: timestamp,
  subscription_id: z.string(),
  round: z.number().int().nonnegative(),
});

/** What became of attempt `number` of a delivery; without `attempt` when it ended before a request was made. */
const outcome = deliveryRound.extend({
  number: z.number().int().positive(),
  trigger,
  /** The subscription's version that it was made by; absent when there is no such subscription. */
  subscription_version: z.number().int().positive().optional(),
  status: outcomeStatus,
  at: timestamp,
  next_attempt_at: timestamp.optional(),
  attempt: attempt.optional(),
  /** Why it was cancelled, or failed without an attempt. */
  reason: z.string().optional(),
  /** The span of the attempt, where one was recorded. */
  traceparent: z.string().optional(),
});
export type Outcome = z.infer<typeof outcome>;

/**
 * Why an attempt waits though nothing has failed: for its lane's rate, for the breaker to let one through, because its receiver takes long,
 * or behind another delivery of its ordering key.
 */
export const postponeCause = z.enum(['rate_limit', 'breaker', 'slow', 'ordered']);
export type PostponeCause = z.infer<typeof postponeCause>;

/** Attempt `number`, still to be made, was put off. */
const postponement = deliveryRound.extend({
  number: z.number().int().positive(),
  at: timestamp,
  /** When it comes back; absent when it waits for another delivery. */
  until: timestamp.optional(),
  cause: postponeCause,
  /** With `ordered`: the delivery that its key waited for then. */
  behind: z.string().optional(),
});
export type Postponement = z.infer<typeof postponement>;

/** `deliveries.attempted`: what became of deliveries of subscriptions of one partition, packed. */
const attempted = z.object({ outcomes: z.array(outcome), postponed: z.array(postponement).min(1).optional() });

/** Somebody asked that a round of a delivery be made no more. */
const cancellation = deliveryRound.extend({
  at: timestamp,
  /** Id of the key that asked. */
  actor: z.string(),
});
export type Cancellation = z.infer<typeof cancellation>;

/** `deliveries.cancelled`: of subscriptions of one partition. */
const cancelled = z.object({ cancellations: z.array(cancellation).min(1) });

/** Somebody asked for a delivery again: its next round. */
const askedRound = deliveryRound.extend({
  trigger: trigger.extract(['redeliver', 'replay']),
  at: timestamp,
  /** Id of the key that asked. */
  actor: z.string(),
  /** With `replay`: which. */
  replay_id: z.string().optional(),
  /** Although a round before it was under way. */
  forced: z.literal(true).optional(),
});
export type AskedRound = z.infer<typeof askedRound>;

/** `deliveries.rounds`: written before the rounds are requested of the sender. */
const rounds = z.object({ rounds: z.array(askedRound).min(1) });

/** How often an event with this id came again so far, and was acknowledged without being delivered again, by what one writer saw. */
const duplicate = z.object({
  tenant: z.string(),
  event_id: z.string(),
  /** Grows from record to record of the writer: the greatest is what it saw, however often and in whatever order its records are read. */
  count: z.number().int().positive(),
  first_at: timestamp,
  last_at: timestamp,
});
export type Duplicate = z.infer<typeof duplicate>;

/** `events.duplicated`: what has changed lately of what a writer, a process for a time, saw. What several writers saw adds up. */
const duplicated = z.object({ writer: z.string(), duplicates: z.array(duplicate).min(1) });
export type Duplicated = z.infer<typeof duplicated>;

/** Why an event was refused: a closed list, the same on every door. */
export const rejectionCode = z.enum([
  'malformed',
  'invalid',
  'too_large',
  'too_deep',
  'too_complex',
  'unknown_tenant',
  'unknown_event_type',
  'schema_violation',
  'unsupported_media_type',
]);
export type RejectionCode = z.infer<typeof rejectionCode>;

/** Where events come in. */
export const eventDoor = z.enum(['kafka', 'rest', 'grpc']);

/** `events.rejected`: what was refused, why, and where it can be found again. */
const rejected = z
  .object({
    /** Derived from the record's place on the Kafka door, so that a record read twice is one rejection; random on the others. */
    rejection_id: z.string(),
    reason: z.object({
      code: rejectionCode,
      message: z.string(),
      /** The member that is wrong, as in `events[3].type`, `ce_type` or `data`; absent when it is the whole. */
      path: z.string().optional(),
      /** Each place where the data is not what its schema wants. */
      errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
    }),
    door: eventDoor,
    tenant: z.string().optional(),
    event_id: z.string().optional(),
    rejected_at: timestamp,
    /** Set on the Kafka door. */
    record: z.object({ topic: z.string(), partition: z.number().int(), offset: z.string() }).optional(),
    headers: z.record(z.string(), z.string()),
    /** The refused bytes: as text where they are UTF-8 and fit as such, else in base64. */
    value: z.string().optional(),
    value_base64: z.base64().optional(),
    /** Only the first bytes are here: the whole is more than a record holds. */
    truncated: z.boolean(),
  })
  .refine(({ value, value_base64 }) => (value === undefined) !== (value_base64 === undefined), 'either value or value_base64');
export type Rejection = z.infer<typeof rejected>;

/** AES-256-GCM: which key of `POSTHORN_ENCRYPTION_KEYS`, and nonce, ciphertext and tag together in base64. */
const encrypted = z.object({ key_id: z.string(), ciphertext: z.base64() });
export type Encrypted = z.infer<typeof encrypted>;

const tenantState = z.object({
  kind: z.literal('tenant'),
  id: z.string(),
  name: z.string(),
  settings: z.object({ schema_policy: schemaPolicy, unknown_event_types: unknownEventTypes, retention_ms: z.number().int() }),
  created_at: timestamp,
  updated_at: timestamp,
});
export type TenantState = z.infer<typeof tenantState>;

const eventTypeState = z.object({
  kind: z.literal('event_type'),
  /** `<tenant>/<name>` */
  id: z.string(),
  tenant: z.string(),
  name: z.string(),
  description: z.string(),
  /** Of the schema; earlier ones are in the history. */
  version: z.number().int().positive(),
  schema: z.union([z.record(z.string(), z.unknown()), z.boolean()]).optional(),
  example: z.unknown().optional(),
  archived: z.boolean(),
  created_at: timestamp,
  updated_at: timestamp,
});
export type EventTypeState = z.infer<typeof eventTypeState>;

const apiKeyState = z.object({
  kind: z.literal('api_key'),
  id: z.string(),
  name: z.string(),
  /** SHA-256 of the key in hexadecimal. The key has 256 random bits: there is nothing to be gained from a slow hash. */
  hash: z.string(),
  prefix: z.string(),
  scopes: z.array(scope),
  /** Absent: all tenants. */
  tenant: z.string().optional(),
  expires_at: timestamp.optional(),
  created_at: timestamp,
});
export type ApiKeyState = z.infer<typeof apiKeyState>;

/** The pair that portal tokens are signed with: every service verifies with the public key, only the registry can sign. */
const portalKeyState = z.object({
  kind: z.literal('portal_key'),
  id: z.string(),
  /** Ed25519, the 32 bytes in base64url (RFC 8037 member `x`). */
  public_key: z.string(),
  /** The 32 bytes in base64url (RFC 8037 member `d`), encrypted. */
  private_key: encrypted,
  created_at: timestamp,
});
export type PortalKeyState = z.infer<typeof portalKeyState>;

export const disabledReason = z.enum(['by_user', 'gone', 'failing']);
export type DisabledReason = z.infer<typeof disabledReason>;

/** What is encrypted begins with `whsec_` (an HMAC secret, scheme `v1`) or `whsk_` (an Ed25519 private key, scheme `v1a`). */
const signingSecret = encrypted.extend({
  scheme: z.enum(['v1', 'v1a']),
  /** Signs until then, beside the newest; absent on the newest. */
  expires_at: timestamp.optional(),
});
export type SigningSecret = z.infer<typeof signingSecret>;

const authenticationState = z.discriminatedUnion('type', [
  z.object({ type: z.literal('none') }),
  z.object({ type: z.literal('api_key'), header: z.string(), key: encrypted }),
  z.object({ type: z.literal('token'), token: encrypted }),
  z.object({ type: z.literal('basic'), username: z.string(), password: encrypted }),
  z.object({ type: z.literal('bearer'), token: encrypted }),
  z.object({
    type: z.literal('oauth2_client_credentials'),
    token_url: z.string(),
    client_id: z.string(),
    client_secret: encrypted,
    scope: z.string().optional(),
  }),
  z.object({ type: z.literal('mtls'), certificate: z.string(), private_key: encrypted, ca: z.string().optional() }),
]);
export type AuthenticationState = z.infer<typeof authenticationState>;

const subscriptionState = z.object({
  kind: z.literal('subscription'),
  id: z.string(),
  tenant: z.string(),
  name: z.string(),
  description: z.string().optional(),
  type: z.literal('rest'),
  url: z.string(),
  event_types: z.array(z.string()),
  /** CEL; compiled once before it got here. */
  filter: z.string().optional(),
  enabled: z.boolean(),
  disabled_reason: disabledReason.optional(),
  disabled_at: timestamp.optional(),
  /** Enabled at this URL since then: what an attempt from before it says no longer counts against it. */
  enabled_since: timestamp,
  payload: z.object({
    format: z.enum(['standard', 'cloudevents', 'cloudevents_binary', 'context', 'raw', 'transform']),
    transform: z.string().optional(),
    context: z.unknown().optional(),
  }),
  authentication: authenticationState,
  headers: z.record(z.string(), z.string()),
  policy: z.object({
    timeout_ms: z.number().int(),
    max_concurrency: z.number().int(),
    /** Waits before the second, third, … attempt; absent means the default schedule. */
    retry_schedule_ms: z.array(z.number().int()).optional(),
    rate_limit: z.object({ per_second: z.number(), burst: z.number().int() }).optional(),
    ordering: z.enum(['none', 'by_key']),
    /** Partitions that its deliveries go over; absent means 1. */
    spread: z.number().int().min(1).optional(),
    /** Absent: any 2xx. */
    success: z.object({ statuses: z.array(z.string()) }).optional(),
    /** 0: never. */
    disable_after_ms: z.number().int(),
  }),
  metadata: z.record(z.string(), z.string()),
  /** Newest first; more than one during a rotation. */
  signing_secrets: z.array(signingSecret).min(1),
  created_at: timestamp,
  updated_at: timestamp,
});
export type SubscriptionState = z.infer<typeof subscriptionState>;

export const aggregateState = z.discriminatedUnion('kind', [
  tenantState,
  eventTypeState,
  subscriptionState,
  apiKeyState,
  portalKeyState,
]);
export type AggregateState = z.infer<typeof aggregateState>;

/**
 * `registry.state`: an aggregate as it stands, folded up to `version`; a null value when it was deleted. `position` (also a
 * header, so that a deletion carries one) is the event store's global position that this record brings a reader to.
 */
const registryState = z.object({
  position: z.number().int().positive(),
  version: z.number().int().positive(),
  state: aggregateState,
});
export type RegistryState = z.infer<typeof registryState>;
export const POSITION_HEADER = 'position';

/**
 * On the answer to a registry write: the position in `registry.state` that holds it. On a published event, as an HTTP header or a
 * header of the record: the router shall have read as far before it looks for the event's subscriptions.
 */
export const REGISTRY_POSITION_HEADER = 'posthorn-registry-position';

/** `registry.log`: one domain event, as stored. Secrets in `data` are encrypted. */
const domainEvent = z.object({
  stream: z.string(),
  version: z.number().int().positive(),
  position: z.number().int().positive(),
  type: z.string(),
  data: z.record(z.string(), z.unknown()),
  /** Id of the key, or the service, that caused it. */
  actor: z.string(),
  /** What it was done in answer to: a request, a delivery, another event. */
  cause: z.string().optional(),
  at: timestamp,
});

/** `operations`: what the people who run a tenant, or Posthorn, want to be told. */
const operation = z.object({
  /** Derived from what it tells of, so that telling it twice gives the same id. */
  id: z.string(),
  type: z.enum(['subscription.disabled', 'delivery.failed']),
  tenant: z.string(),
  /** Id of what it is about. */
  subject: z.string(),
  time: timestamp,
  data: z.record(z.string(), z.unknown()),
});
export type Operation = z.infer<typeof operation>;

/** `keys.used`: an API key was used at a service; at most once a minute. */
const keyUsed = z.object({ key_id: z.string(), service: z.string(), at: timestamp });
export type KeyUsed = z.infer<typeof keyUsed>;

export const recordSchemas = {
  accepted,
  duplicated,
  requested,
  routed,
  attempted,
  cancelled,
  rounds,
  rejected,
  registryState,
  domainEvent,
  operation,
  keyUsed,
};
export type RecordName = keyof typeof recordSchemas;

/** The heads of framed records, as code handles them: the envelope keeps its declared type. */
export type RequestedHead = Omit<z.infer<typeof requested>, 'event' | 'data' | 'data_base64'> & { readonly event: Envelope };
export type Routed = z.infer<typeof routed>;
export type Attempted = z.infer<typeof attempted>;
export type Cancelled = z.infer<typeof cancelled>;
export type Rounds = z.infer<typeof rounds>;
export type DomainEventRecord = z.infer<typeof domainEvent>;
