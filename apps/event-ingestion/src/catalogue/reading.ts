import { KafkaError, type Logger } from '@posthorn/kafka';

/** Resolves when what `registry.state` held at the call has been folded. */
export type ReadFresh = () => Promise<void>;

export const isClosed = (error: unknown): boolean => error instanceof KafkaError && error.code === 'closed';

/** Reads until it has been read, or is closed: that Kafka is away says nothing about a tenant. For those who can wait. */
export const insisting =
  (readFresh: ReadFresh, log: Pick<Logger, 'warn'>): ReadFresh =>
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

/** For those who wait for an answer. @throws {KafkaError} `unavailable` */
export const inTime =
  (readFresh: ReadFresh, deadlineMs: number): ReadFresh =>
  () =>
    new Promise((resolve, reject) => {
      const fail = (cause?: unknown): void => reject(new KafkaError('unavailable', 'registry.state could not be read to its end', { cause }));
      const timer = setTimeout(fail, deadlineMs);
      readFresh().then(resolve, fail).finally(() => clearTimeout(timer));
    });
