import type { Attempt } from '@posthorn/contracts';
import { EgressError } from './errors.js';
import type { HttpOutcome, HttpSender } from './http.js';
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
  const { eventId, payload, subscription, signal } = request;
  const startedAtMs = nowMs();
  const recorded: Record<string, string> = {
    'content-type': payload.contentType,
    'user-agent': userAgent,
    'webhook-id': eventId,
  };
  const headers: string[] = ['content-type', payload.contentType, 'user-agent', userAgent, 'webhook-id', eventId];
  const add = (name: string, value: string): void => {
    headers.push(name, value);
    recorded[name] = value;
  };

  let outcome: HttpOutcome;
  try {
    const timestamp = Math.floor(startedAtMs / 1000);
    add('webhook-timestamp', String(timestamp));
    add('webhook-signature', sign(subscription.secrets, eventId, timestamp, payload.body));
    add('traceparent', freshTraceparent());
    for (const name in subscription.headers) {
      const value = subscription.headers[name] ?? '';
      headers.push(name, value);
      recorded[name.toLowerCase()] = SECRET_HEADER.test(name) ? '***' : value;
    }
    outcome = await sender.send({ url: subscription.url, headers, body: payload.body, timeoutMs: subscription.timeoutMs, signal });
  } catch (error) {
    if (!(error instanceof EgressError)) throw error;
    outcome = { durationMs: 0, failure: { code: 'auth_failed', message: `The request was not signed. ${error.message}` } };
  }

  const verdict = classify(outcome, subscription.success ?? defaultSuccess, nowMs());
  return {
    verdict,
    attempt: {
      started_at: new Date(startedAtMs).toISOString(),
      duration_ms: Math.round(outcome.durationMs * 10) / 10,
      request: { url: subscription.url, headers: recorded },
      ...(outcome.response && { response: outcome.response }),
      ...(!verdict.success && { error: verdict.error }),
    },
  };
};
