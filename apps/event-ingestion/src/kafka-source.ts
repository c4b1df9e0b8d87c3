import { type Consumption, type ConsumeOptions, type Kafka, KafkaError, type Logger } from '@posthorn/kafka';

export type KafkaSourceOptions = {
  readonly kafka: Pick<Kafka, 'partitions' | 'consume'>;
  readonly log: Logger;
  readonly groupId: string;
  /** Name on the broker. */
  readonly topic: string;
  readonly onRecord: ConsumeOptions['onRecord'];
  /** Of records in flight. */
  readonly totalBytes: number;
};

/**
 * Of the records in flight from all topics together. What has been accepted is in memory a second time until Kafka has it, and a third longer
 * when it is in base64. More than three statements' worth of small events: more gains nothing, and what stays for long is copied by the garbage
 * collector, from one generation to the next.
 */
export const IN_FLIGHT_BYTES = 4 * 1024 * 1024;

const RETRY_MS = 1_000;

/**
 * A topic that events are read from as soon as it is there. It may be somebody else's, who has not made it yet, or has not let us
 * read it: that keeps us from being ready, and from nothing else.
 */
export class KafkaSource {
  #consumption: Consumption | undefined;
  #missing: string | undefined;
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(private readonly options: KafkaSourceOptions) {}

  get topic(): string {
    return this.options.topic;
  }

  get lag(): ReadonlyMap<string, number> {
    return this.#consumption?.lag ?? new Map();
  }

  get oldestMs(): Consumption['oldestMs'] {
    return this.#consumption?.oldestMs ?? new Map();
  }

  /** A reason, in words. */
  get notReady(): string | undefined {
    if (this.#consumption?.assigned) return this.#consumption.stalled;
    return this.#missing ?? 'not yet, or no longer, a member of its consumer group';
  }

  /** Resolves when it is being read, or has been closed before that. */
  async open(): Promise<void> {
    const { kafka, groupId, topic, onRecord, totalBytes } = this.options;
    while (!(this.#isClosed || (await this.#isThere()))) await this.#pause();
    if (this.#isClosed) return;
    this.#consumption = await kafka.consume({ groupId, topics: [topic], onRecord, totalBytes });
    // Closed while the group was being joined.
    if (this.#isClosed) await this.#consumption.close();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake();
    await this.#consumption?.close();
  }

  async #isThere(): Promise<boolean> {
    const { kafka, log, topic } = this.options;
    try {
      await kafka.partitions(topic);
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      if (this.#missing === undefined) log.error({ topic, err: error }, 'events cannot be read from a topic; trying until they can');
      this.#missing = error.message;
      return false;
    }
    if (this.#missing !== undefined) log.info({ topic }, 'the topic is there now');
    this.#missing = undefined;
    return true;
  }

  async #pause(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, RETRY_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
