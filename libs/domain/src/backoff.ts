const S = 1_000;
const M = 60 * S;
const H = 60 * M;

/**
 * Waits before the second, third, … attempt, in milliseconds: the schedule that Standard Webhooks recommends
 * ("Deliverability and reliability"), ten attempts over a little more than three days.
 */
export const defaultRetryScheduleMs: readonly number[] = [5 * S, 5 * M, 30 * M, 2 * H, 5 * H, 10 * H, 14 * H, 20 * H, 24 * H];

/** Each wait is drawn from ±20 % around the schedule's, so that what failed together does not come back together. */
export const JITTER = 0.2;

/**
 * Milliseconds to wait after failed attempt `number` (1 is the first), or undefined when the schedule is exhausted. A receiver's
 * Retry-After only ever lengthens the wait.
 * @param random uniform in [0, 1)
 */
export const waitAfter = (
  number: number,
  { scheduleMs, random, retryAfterMs = 0 }: { scheduleMs: readonly number[]; random: number; retryAfterMs?: number },
): number | undefined => {
  const scheduled = scheduleMs[number - 1];
  if (scheduled === undefined) return undefined;
  return Math.max(Math.round(scheduled * (1 - JITTER + 2 * JITTER * random)), retryAfterMs);
};
