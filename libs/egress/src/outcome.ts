import type { HttpFailure, HttpOutcome } from './http.js';

/** Which statuses count as delivered: a class (`2xx`) or a single one (`204`). */
export type SuccessRule = { readonly statuses: readonly string[] };
export const defaultSuccess: SuccessRule = { statuses: ['2xx'] };

export type Verdict =
  | { readonly success: true }
  | {
      readonly success: false;
      readonly error: HttpFailure;
      /** The subscriber says that it will never want this again (410): its subscription is to be disabled. */
      readonly gone?: true;
      /** Not before this long from now, because the subscriber asked for it. */
      readonly retryAfterMs?: number;
    };

const RETRY_AFTER_CAP_MS = 24 * 3_600_000;
const HONOURS_RETRY_AFTER: ReadonlySet<number> = new Set([429, 503]);

/** What an HTTP outcome means for the delivery. Everything that is not a success is worth a retry, save 410. */
export const classify = (outcome: HttpOutcome, rule: SuccessRule, nowMs: number): Verdict => {
  const { response, failure } = outcome;
  if (failure !== undefined) return { success: false, error: failure };
  const { status, headers } = response;
  if (rule.statuses.some((pattern) => matches(pattern, status))) return { success: true };
  if (status === 410) {
    return {
      success: false,
      gone: true,
      error: { code: 'bad_status', message: 'The subscriber answered 410: it is gone for good.' },
    };
  }
  if (status >= 300 && status < 400) {
    return {
      success: false,
      error: {
        code: 'redirect_refused',
        message: `The subscriber answered ${status}, a redirect, which is not followed. The subscription needs the final URL.`,
      },
    };
  }
  const error = { code: 'bad_status', message: `The subscriber answered ${status}.` } as const;
  const retryAfterMs = HONOURS_RETRY_AFTER.has(status) ? parseRetryAfter(headers['retry-after'], nowMs) : undefined;
  return retryAfterMs === undefined ? { success: false, error } : { success: false, error, retryAfterMs };
};

const matches = (pattern: string, status: number): boolean =>
  pattern.endsWith('xx') ? pattern.charCodeAt(0) - 0x30 === Math.floor(status / 100) : pattern === String(status);

const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} \d{2}:\d{2}:\d{2} GMT$/;

/** RFC 9110, 10.2.3: seconds or an HTTP date. Nonsense counts as absent; a date in the past as now; a day at most. */
const parseRetryAfter = (value: string | undefined, nowMs: number): number | undefined => {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value)) return Math.min(Number(value) * 1000, RETRY_AFTER_CAP_MS);
  const dateMs = HTTP_DATE.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(dateMs) ? undefined : Math.min(Math.max(dateMs - nowMs, 0), RETRY_AFTER_CAP_MS);
};
