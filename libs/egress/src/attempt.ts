import type { Attempt } from '@posthorn/contracts';
import type { ClientCredentials, TokenResult } from './client-credentials.js';
import type { ClientIdentity } from './client-identity.js';
import { EgressError } from './errors.js';
import type { HttpFailure, HttpOutcome, HttpSender } from './http.js';
import { classify, defaultSuccess, type SuccessRule, type Verdict } from './outcome.js';
import type { Payload } from './payload.js';
import type { PayloadFailed } from './recipe.js';
import { sign } from './signing.js';
import { freshTraceparent } from './traceparent.js';
import { userAgent } from './user-agent.js';

export type AttemptRequest = {
  /** The event's id: `webhook-id`, the same for every attempt. */
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
  let sentAtMs = startedAtMs;
  let prepared: Prepared;
  if ('failed' in payload) {
    prepared = failed({ code: 'payload_failed', message: payload.failed });
  } else if (subscription.clientCredentials === undefined) {
    prepared = prepare(request, payload, sentAtMs);
  } else {
    const token = await subscription.clientCredentials.token(sender, subscription.timeoutMs);
    sentAtMs = nowMs();
    prepared = token.failure === undefined ? prepare(request, payload, sentAtMs, token) : failed(token.failure);
  }
  const waitedMs = sentAtMs - startedAtMs;
  const outcome: HttpOutcome =
    prepared.failure === undefined
      ? await sender.send({
          url: subscription.url,
          headers: prepared.sent,
          body: prepared.body,
          timeoutMs: Math.max(1, subscription.timeoutMs - waitedMs),
          identity: prepared.identity,
          signal: request.signal,
        })
      : { durationMs: 0, failure: prepared.failure };
  if (outcome.response?.status === 401 && prepared.token !== undefined) subscription.clientCredentials?.forget(prepared.token);
  const verdict = classify(outcome, subscription.success ?? defaultSuccess, nowMs());
  const attempt: Attempt = {
    started_at: new Date(startedAtMs).toISOString(),
    duration_ms: Math.round((waitedMs + outcome.durationMs) * 10) / 10,
    request: { url: subscription.url, headers: prepared.recorded },
  };
  if (outcome.response !== undefined) attempt.response = outcome.response;
  if (!verdict.success) attempt.error = verdict.error;
  return { verdict, attempt };
};

type Prepared = {
  readonly recorded: Record<string, string>;
  readonly token?: string | undefined;
} & (
  | {
      /** Names and values by turns. */
      readonly sent: readonly string[];
      readonly body: Buffer;
      readonly identity: ClientIdentity | undefined;
      readonly failure?: undefined;
    }
  | { readonly failure: HttpFailure }
);

const failed = (failure: HttpFailure): Prepared => ({ recorded: {}, failure });

/** A secret that cannot be used is the subscription's fault and must not stop the sender: it is a failure of this attempt. */
const prepare = ({ eventId, subscription }: AttemptRequest, payload: Payload, sentAtMs: number, access?: TokenResult & { failure?: undefined }): Prepared => {
  try {
    const { identity } = subscription;
    const { sent, recorded } = headersOf(eventId, payload, subscription, Math.floor(sentAtMs / 1000));
    if (access === undefined) return { sent, recorded, body: payload.body, identity };
    sent.push('authorization', `Bearer ${access.token}`);
    recorded['authorization'] = '***';
    return { sent, recorded, body: payload.body, identity, token: access.token };
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    return failed({ code: 'auth_failed', message: `The request was not made. ${error.message}` });
  }
};

/** @throws {EgressError} */
const headersOf = (eventId: string, payload: Payload, subscription: AttemptRequest['subscription'], timestampSeconds: number) => {
  const recorded: Record<string, string> = {
    'content-type': payload.contentType,
    'user-agent': userAgent,
    'webhook-id': eventId,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': sign(subscription.secrets, eventId, timestampSeconds, payload.body),
    traceparent: freshTraceparent(),
  };
  for (const name in payload.headers) recorded[name] = payload.headers[name] ?? '';
  const sent: string[] = [];
  for (const name in recorded) sent.push(name, recorded[name] ?? '');
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
