import { KafkaError, type Logger } from '@posthorn/kafka';
import { leftOf } from '../deadline.js';

/**
 * Resolves when what `registry.state` held at the call has been folded.
 * @param startedMs when whoever asks began to wait, for this or for anything else, by performance.now()
 */
export type ReadFresh = (startedMs: number) => Promise<void>;

export const isClosed = (error: unknown): boolean => error instanceof KafkaError && error.code === 'closed';

/** Reads until it has been read, or is closed: that Kafka is away says nothing about a tenant. For those who can wait. */
export const insisting =
  (readFresh: () => Promise<void>, log: Pick<Logger, 'warn'>): ReadFresh =>
  async () => {
    for (;;) {
      try {
        return await readFresh();
      } catch (error) {
        if (isClosed(error)) throw error;
        log.warn({ err: error }, 'could not read registry.state to its end; reading again');
      }
    }
  };

/** For those who wait for an answer, which is due so long after they began. @throws {KafkaError} `unavailable` */
export const inTime =
  (readFresh: () => Promise<void>, deadlineMs: number): ReadFresh =>
  (startedMs) =>
    new Promise((resolve, reject) => {
      const fail = (cause?: unknown): void => reject(new KafkaError('unavailable', 'registry.state could not be read to its end', { cause }));
      const timer = setTimeout(fail, leftOf(deadlineMs, startedMs));
      readFresh().then(resolve, fail).finally(() => clearTimeout(timer));
    });
