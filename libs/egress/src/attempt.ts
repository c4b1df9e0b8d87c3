import type { Attempt } from '@posthorn/contracts';
import type { ClientCredentials, TokenResult } from './client-credentials.js';
import type { ClientIdentity } from './client-identity.js';
import { EgressError } from './errors.js';
import { headerValue } from './header-value.js';
import type { HttpFailure, HttpOutcome, HttpSender } from './http.js';
import { classify, defaultSuccess, type SuccessRule, type Verdict } from './outcome.js';
import type { Payload } from './payload.js';
import type { PayloadFailed } from './recipe.js';
import { sign } from './signing.js';
import { freshTraceparent } from './traceparent.js';
import { userAgent } from './user-agent.js';

export type AttemptRequest = {
  /** In the form of a header it is `webhook-id`, the same for every attempt. */
  readonly eventId: string;
  readonly payload: Payload | PayloadFailed;
  readonly subscription: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly timeoutMs: number;
    /** Signing secrets in clear (`whsec_…`, `whsk_…`), newest first. */
    readonly secrets: readonly string[];
    /** Headers that say who is sending. Their values are secrets. */
    readonly credentials?: Readonly<Record<string, string>> | undefined;
    /** Where an access token comes from. */
    readonly clientCredentials?: ClientCredentials | undefined;
    /** Shown when connecting. */
    readonly identity?: ClientIdentity | undefined;
    /** Default: 2xx. */
    readonly success?: SuccessRule | undefined;
  };
  readonly signal?: AbortSignal | undefined;
};

export type AttemptResult = { readonly attempt: Attempt; readonly verdict: Verdict };

/** Headers whose value is likely to be a secret: recorded by name only. */
const SECRET_HEADER = /auth|key|token|secret|cookie|password/i;

/**
 * Makes one attempt: signs, sends, judges, and tells it as the audit will. Whatever the network, the subscriber or a broken signing
 * secret does is in the result; a rejection would be a bug here. The request recorded is the one sent, but for the values of secret
 * headers.
 */
export const makeAttempt = async (sender: HttpSender, request: AttemptRequest, nowMs: () => number = Date.now): Promise<AttemptResult> => {
  const { payload, subscription } = request;
  const startedAtMs = nowMs();
  const { recorded, outcome } =
    'failed' in payload ? notMade({ code: 'payload_failed', message: payload.failed }) : await made({ sender, request, payload, startedAtMs, nowMs });
  const verdict = classify(outcome, ruleOf(subscription), nowMs());
  const attempt: Attempt = {
    started_at: new Date(startedAtMs).toISOString(),
    duration_ms: Math.round(outcome.durationMs * 10) / 10,
    request: { url: subscription.url, headers: recorded },
  };
  if (outcome.response !== undefined) attempt.response = outcome.response;
  if (!verdict.success) attempt.error = verdict.error;
  return { verdict, attempt };
};

const ruleOf = ({ success }: AttemptRequest['subscription']): SuccessRule => success ?? defaultSuccess;

/** The last request of an attempt, and what came of it since the attempt's beginning. */
type Made = { readonly recorded: Record<string, string>; readonly outcome: HttpOutcome };

const notMade = (failure: HttpFailure, durationMs = 0): Made => ({ recorded: {}, outcome: { durationMs, failure } });

type Parts = {
  readonly sender: HttpSender;
  readonly request: AttemptRequest;
  readonly payload: Payload;
  readonly startedAtMs: number;
  readonly nowMs: () => number;
};

const made = (parts: Parts): Promise<Made> => {
  const { clientCredentials } = parts.request.subscription;
  return clientCredentials === undefined ? requested(parts, undefined) : withAccess(clientCredentials, parts);
};

const withAccess = async (clientCredentials: ClientCredentials, parts: Parts): Promise<Made> => {
  const access = await accessTo(clientCredentials, parts);
  return access.failure === undefined ? withToken(clientCredentials, access.token, parts) : notMade(access.failure, elapsedMs(parts));
};

const elapsedMs = ({ startedAtMs, nowMs }: Parts): number => nowMs() - startedAtMs;

const accessTo = (clientCredentials: ClientCredentials, parts: Parts): Promise<TokenResult> => {
  const { subscription, signal } = parts.request;
  const { timeoutMs } = subscription;
  return clientCredentials.token(parts.sender, { timeoutMs, remainingMs: timeoutMs - elapsedMs(parts), signal });
};

/**
 * A token may have been withdrawn since it was fetched: a 401 is answered at once, within the same deadline, by one more request with a
 * fresh token. Should that be refused too, it is not the token's age; the next attempt finds out by itself.
 */
const withToken = async (clientCredentials: ClientCredentials, token: string, parts: Parts): Promise<Made> => {
  const { subscription } = parts.request;
  const first = await requested(parts, token);
  const { response, failure } = first.outcome;
  if (failure !== undefined || response.status !== 401 || classify(first.outcome, ruleOf(subscription), 0).success) return first;
  clientCredentials.forget(token);
  if (elapsedMs(parts) >= subscription.timeoutMs) return first;
  const access = await accessTo(clientCredentials, parts);
  if (access.failure === undefined) return requested(parts, access.token);
  const { code } = access.failure;
  const message = code === 'auth_failed' ? `The subscriber answered 401, and there is no other token. ${access.failure.message}` : access.failure.message;
  return { ...first, outcome: { durationMs: elapsedMs(parts), response, failure: { code, message } } };
};

const requested = async (parts: Parts, token: string | undefined): Promise<Made> => {
  const { sender, request, payload, startedAtMs, nowMs } = parts;
  const { url, timeoutMs } = request.subscription;
  const sentAtMs = nowMs();
  const waitedMs = sentAtMs - startedAtMs;
  const prepared = prepare(request, payload, sentAtMs, token);
  if (prepared.failure !== undefined) return notMade(prepared.failure, waitedMs);
  const { sent, recorded, body, identity } = prepared;
  const outcome = await sender.send({ url, headers: sent, body, timeoutMs: Math.max(1, timeoutMs - waitedMs), identity, signal: request.signal });
  return { recorded, outcome: waitedMs === 0 ? outcome : { ...outcome, durationMs: waitedMs + outcome.durationMs } };
};

type Prepared =
  | {
      /** Names and values by turns. */
      readonly sent: readonly string[];
      readonly recorded: Record<string, string>;
      readonly body: Buffer;
      readonly identity: ClientIdentity | undefined;
      readonly failure?: undefined;
    }
  | { readonly failure: HttpFailure };

/** A secret that cannot be used is the subscription's fault and must not stop the sender: it is a failure of this attempt. */
const prepare = ({ eventId, subscription }: AttemptRequest, payload: Payload, sentAtMs: number, token: string | undefined): Prepared => {
  try {
    const { identity } = subscription;
    const { sent, recorded } = headersOf(eventId, payload, subscription, Math.floor(sentAtMs / 1000));
    if (token !== undefined) {
      sent.push('authorization', `Bearer ${token}`);
      recorded['authorization'] = '***';
    }
    return { sent, recorded, body: payload.body, identity };
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    return { failure: { code: 'auth_failed', message: `The request was not made. ${error.message}` } };
  }
};

/** @throws {EgressError} */
const headersOf = (eventId: string, payload: Payload, subscription: AttemptRequest['subscription'], timestampSeconds: number) => {
  // Signed as it is sent: that is what the receiver reads.
  const webhookId = headerValue(eventId);
  const recorded: Record<string, string> = {
    'content-type': payload.contentType,
    'user-agent': userAgent,
    'webhook-id': webhookId,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': sign(subscription.secrets, webhookId, timestampSeconds, payload.body),
    traceparent: freshTraceparent(),
  };
  const sent: string[] = [];
  for (const name in recorded) sent.push(name, recorded[name] ?? '');
  const own = payload.headers && ownNames(subscription);
  for (const name in payload.headers) {
    const value = payload.headers[name] ?? '';
    if (own?.has(name)) continue;
    sent.push(name, value);
    recorded[name] = SECRET_HEADER.test(name) && !name.startsWith('ce-') ? '***' : value;
  }
  for (const name in subscription.headers) {
    const value = subscription.headers[name] ?? '';
    sent.push(name, value);
    recorded[name.toLowerCase()] = SECRET_HEADER.test(name) ? '***' : value;
  }
  const { credentials } = subscription;
  for (const name in credentials) {
    sent.push(name, credentials[name] ?? '');
    recorded[name.toLowerCase()] = '***';
  }
  return { sent, recorded };
};

/** Headers of the format give way to these: what a subscription says of itself is not an event's to replace. */
const ownNames = ({ headers, credentials }: AttemptRequest['subscription']): ReadonlySet<string> =>
  new Set([...Object.keys(headers), ...Object.keys(credentials ?? {})].map((name) => name.toLowerCase()));
