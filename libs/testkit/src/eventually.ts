import { setTimeout as delay } from 'node:timers/promises';

export type EventuallyOptions = {
  /** Default 10 s. */
  readonly timeoutMs?: number;
  /** Default 25 ms. */
  readonly everyMs?: number;
  /** What is waited for, in words; a function is asked only when time has run out, and may tell what is there instead. */
  readonly describe?: string | (() => string);
};

/**
 * For a condition that can only be asked about, never awaited: asks until the answer is truthy, and returns it.
 * An error of the condition counts as "not yet"; the last one becomes the cause.
 * @throws {Error} when `timeoutMs` have passed
 */
export const eventually = async <T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 25, describe = 'the condition' }: EventuallyOptions = {},
): Promise<NonNullable<T>> => {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value) return value as NonNullable<T>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= deadline) {
      const what = typeof describe === 'string' ? describe : describe();
      throw new Error(`not within ${timeoutMs} ms: ${what}`, cause === undefined ? {} : { cause });
    }
    await delay(everyMs);
  }
};
