import { classify, defaultSuccess, type AttemptRequest, type AttemptResult } from '@posthorn/egress';
import type { Chance } from './chance.js';
import { Clock } from './clock.js';
import type { Behaviour, SubscriptionPlan } from './scenario.js';

type HttpOutcome = Parameters<typeof classify>[0];

/** An answer and when it comes. */
export type Answer = { readonly inMs: number; readonly outcome: HttpOutcome };

export const urlOf = (subscription: string): string => `https://${subscription}.test/`;
export const subscriptionAt = (url: string): string => url.slice('https://'.length, url.indexOf('.test/'));

export const behaviourAt = ({ behaviours }: SubscriptionPlan, elapsedMs: number): Behaviour =>
  behaviours.find(({ untilMs }) => elapsedMs < untilMs) ?? behaviours.at(-1) ?? { kind: 'fast', untilMs: Infinity, latencyMs: 1 };

/** What a subscriber makes of a request. Refused connections end at once, answers take their time, and longer than the timeout nothing takes. */
export const answerOf = (plan: SubscriptionPlan, chance: Chance, request: string, nowMs: number): Answer => {
  const { kind, latencyMs, retryAfterMs } = behaviourAt(plan, nowMs - Clock.START_MS);
  const inMs = kind === 'slow' ? chance.between(`${request} takes`, latencyMs / 2, latencyMs) : chance.between(`${request} takes`, 0.5, Math.max(1, latencyMs));
  const response = (status: number, headers: Readonly<Record<string, string>> = {}): Answer => ({
    inMs,
    outcome: { durationMs: inMs, response: { status, headers, body: '', truncated: false } },
  });
  if (kind === 'hanging' || inMs > plan.timeoutMs) return failed('timeout', plan.timeoutMs);
  switch (kind) {
    case 'flapping':
      return response(chance.isOnce(`${request} fails`, 0.5) ? 500 : 200);
    case 'dead':
      return response(500);
    case 'refusing':
      return failed('connection_refused', inMs);
    case 'throttling':
      return response(chance.isOnce(`${request} is busy`, 0.3) ? 503 : 429, retryAfter(retryAfterMs ?? 0, chance.isOnce(`${request} dates`, 0.3), nowMs));
    case 'gone':
      return response(410);
    default:
      return response(200);
  }
};

const failed = (code: 'timeout' | 'connection_refused', durationMs: number): Answer => ({
  inMs: durationMs,
  outcome: { durationMs, failure: { code, message: code } },
});

const retryAfter = (ms: number, asDate: boolean, nowMs: number): Readonly<Record<string, string>> => ({
  'retry-after': asDate ? new Date(nowMs + ms).toUTCString() : String(Math.ceil(ms / 1_000)),
});

/** As libs/egress tells an attempt. The request's number is in a header, so that an outcome can be laid beside its request. */
export const attemptOf = ({ subscription }: AttemptRequest, { outcome }: Answer, { startedMs, endedMs, request }: { startedMs: number; endedMs: number; request: string }): AttemptResult => {
  const verdict = classify(outcome, subscription.success ?? defaultSuccess, endedMs);
  return {
    verdict,
    attempt: {
      started_at: new Date(startedMs).toISOString(),
      duration_ms: Math.round(outcome.durationMs * 10) / 10,
      request: { url: subscription.url, headers: { request } },
      ...(outcome.response !== undefined && { response: outcome.response }),
      ...(!verdict.success && { error: verdict.error }),
    },
  };
};
