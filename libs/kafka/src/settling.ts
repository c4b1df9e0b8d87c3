import { protocolError } from './errors.js';

/** What a broker says of a partition that was just made, that it is about to lead or to hand over: not yet, which is not never. */
const SETTLING: ReadonlySet<string> = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION']);
const AGAIN_MS = 50;

/**
 * Milliseconds after which "not yet" is believed to be "never". Five processes that start on an empty broker make dozens of topics at once; on a
 * busy machine it takes seconds until the last is known, and a service that gave up before would have to be started again by somebody.
 */
export const SETTLED_WITHIN_MS = 30_000;

export const isSettling = (error: unknown): boolean => SETTLING.has(protocolError(error) ?? '');

/**
 * Asks, and asks again while the answer is that the topic is not there yet.
 * @param between before each further question
 */
export const whenSettled = async <T>(
  ask: () => Promise<T>,
  { withinMs = SETTLED_WITHIN_MS, between }: { readonly withinMs?: number; readonly between?: (error: unknown) => Promise<void> } = {},
): Promise<T> => {
  for (const startedMs = performance.now(); ; ) {
    try {
      return await ask();
    } catch (error) {
      if (!isSettling(error) || performance.now() - startedMs > withinMs) throw error;
      await new Promise((resolve) => void setTimeout(resolve, AGAIN_MS));
      await between?.(error).catch(() => undefined);
    }
  }
};
