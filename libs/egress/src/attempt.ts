import type { Attempt } from '@posthorn/contracts';
import { EgressError } from './errors.js';
import type { HttpFailure, HttpOutcome, HttpSender } from './http.js';
import { classify, defaultSuccess, type SuccessRule, type Verdict } from './outcome.js';
import type { Payload } from './payload.js';
import { sign } from './signing.js';
import { freshTraceparent } from './traceparent.js';
import { userAgent } from './user-agent.js';

export type AttemptRequest = {
  /** The event's id: `webhook-id`, the same for every attempt. */
  readonly eventId: string;
  readonly payload: Payload;
  readonly subscription: {
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly timeoutMs: number;
    /** Signing secrets in clear (`whsec_…`), newest first. */
    readonly secrets: readonly string[];
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
  const { subscription } = request;
  const startedAtMs = nowMs();
  const headers = requestHeaders(request, Math.floor(startedAtMs / 1000));
  const outcome: HttpOutcome =
    headers.failure === undefined
      ? await sender.send({
          url: subscription.url,
          headers: headers.sent,
          body: request.payload.body,
          timeoutMs: subscription.timeoutMs,
          signal: request.signal,
        })
      : { durationMs: 0, failure: headers.failure };
  const verdict = classify(outcome, subscription.success ?? defaultSuccess, nowMs());
  const attempt: Attempt = {
    started_at: new Date(startedAtMs).toISOString(),
    duration_ms: Math.round(outcome.durationMs * 10) / 10,
    request: { url: subscription.url, headers: headers.recorded },
  };
  if (outcome.response !== undefined) attempt.response = outcome.response;
  if (!verdict.success) attempt.error = verdict.error;
  return { verdict, attempt };
};

type RequestHeaders = {
  /** Names and values by turns. */
  readonly sent: readonly string[];
  readonly recorded: Record<string, string>;
  readonly failure?: HttpFailure;
};

/** A secret that cannot sign is the subscription's fault and must not stop the sender: it is a failure of this attempt. */
const requestHeaders = ({ eventId, payload, subscription }: AttemptRequest, timestampSeconds: number): RequestHeaders => {
  const recorded: Record<string, string> = {
    'content-type': payload.contentType,
    'user-agent': userAgent,
    'webhook-id': eventId,
    'webhook-timestamp': String(timestampSeconds),
    'webhook-signature': '',
    traceparent: freshTraceparent(),
  };
  try {
    recorded['webhook-signature'] = sign(subscription.secrets, eventId, timestampSeconds, payload.body);
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    return { sent: [], recorded: {}, failure: { code: 'auth_failed', message: `The request was not signed. ${error.message}` } };
  }
  const sent: string[] = [];
  for (const name in recorded) sent.push(name, recorded[name] ?? '');
  for (const name in subscription.headers) {
    const value = subscription.headers[name] ?? '';
    sent.push(name, value);
    recorded[name.toLowerCase()] = SECRET_HEADER.test(name) ? '***' : value;
  }
  return { sent, recorded };
};
