import type { AttemptErrorCode } from '@posthorn/contracts';
import type { Verdict } from '@posthorn/egress';
import type { Ending } from './sender-core.js';

/** What an error code says of the receiver: that it fails, or nothing, because the mistake is in what it was to be sent, or the end is ours. */
const KIND: Record<AttemptErrorCode, 'failure' | 'not_attempted'> = {
  timeout: 'failure',
  connect_timeout: 'failure',
  connection_refused: 'failure',
  connection_reset: 'failure',
  dns_failed: 'failure',
  tls_failed: 'failure',
  address_blocked: 'failure',
  response_too_large: 'failure',
  bad_status: 'failure',
  redirect_refused: 'failure',
  payload_failed: 'not_attempted',
  auth_failed: 'not_attempted',
  aborted: 'not_attempted',
};

/** What an attempt's end means for its lane. Whoever asks to be left alone for a while works, and is not failing; to ask for no time at all is to fail. */
export const endingOf = (verdict: Verdict, durationMs: number): Ending => {
  if (verdict.success) return { kind: 'success', durationMs };
  if (verdict.retryAfterMs !== undefined && verdict.retryAfterMs > 0) return { kind: 'throttled', durationMs, retryAfterMs: verdict.retryAfterMs };
  return { kind: KIND[verdict.error.code], durationMs };
};
