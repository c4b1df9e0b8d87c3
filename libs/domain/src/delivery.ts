import { waitAfter } from './backoff.js';

/** How an attempt went, as far as the rest of its delivery depends on it. */
export type AttemptVerdict =
  | { readonly kind: 'success' }
  | {
      readonly kind: 'failure';
      /** The receiver said 410: it never wants to hear from us again. */
      readonly gone?: boolean;
      /** What the receiver asked for by Retry-After. */
      readonly retryAfterMs?: number;
    };

/** What follows: every delivery ends in `delivered` or `failed` (or is cancelled from outside). */
export type NextStep =
  | { readonly status: 'delivered' }
  | { readonly status: 'failed' }
  | { readonly status: 'retrying'; readonly dueAtMs: number };

export const afterAttempt = (
  verdict: AttemptVerdict,
  { number, scheduleMs, nowMs, random }: { number: number; scheduleMs: readonly number[]; nowMs: number; random: number },
): NextStep => {
  if (verdict.kind === 'success') return { status: 'delivered' };
  if (verdict.gone) return { status: 'failed' };
  const waitMs = waitAfter(number, { scheduleMs, random, retryAfterMs: verdict.retryAfterMs ?? 0 });
  return waitMs === undefined ? { status: 'failed' } : { status: 'retrying', dueAtMs: nowMs + waitMs };
};
