import { eventIdOfRecord, REGISTRY_POSITION_HEADER, rejectionIdOfRecord } from '@posthorn/contracts';
import { type IncomingRecord, KafkaError, type Logger } from '@posthorn/kafka';
import { accept, type Accepted, unknownTenant, type Verdict } from './acceptance/accept.js';
import type { Refusal } from './acceptance/draft.js';
import { draftOfRecord, type Tombstone } from './acceptance/forms.js';
import type { Outlet } from './outlet.js';
import type { Tenants } from './tenants.js';

export type KafkaDoorOptions = {
  readonly outlet: Outlet;
  readonly tenants: Tenants;
  readonly log: Logger;
  readonly maxEventBytes: number;
};

/**
 * Everything about the event follows from the record, so that reading it again, after a crash, gives the same event: its id from
 * its place, its day from the broker's clock (which may be ahead of ours).
 */
export const judgeRecord = (record: IncomingRecord, nowMs: number, maxBytes: number): Verdict | Tombstone => {
  const draft = draftOfRecord(record.headers, record.value);
  if (draft.kind !== 'draft') return draft;
  return accept(draft, {
    // Records of very old clients have no timestamp: -1.
    acceptedMs: record.timestampMs > 0 ? Math.min(nowMs, record.timestampMs) : nowMs,
    newId: () => eventIdOfRecord(record.topic, record.partition, record.offset, record.timestampMs),
    source: `/kafka/${record.topic}`,
    traceparent: record.headers['traceparent']?.toString('latin1'),
    registryPosition: record.headers[REGISTRY_POSITION_HEADER]?.toString('latin1'),
    maxBytes,
  });
};

/** Events from Kafka. A record is done when Kafka has acknowledged what became of it. */
export class KafkaDoor {
  constructor(private readonly options: KafkaDoorOptions) {}

  readonly onRecord = (record: IncomingRecord): void => {
    const startedMs = performance.now();
    const verdict = judgeRecord(record, Date.now(), this.options.maxEventBytes);
    if (verdict.kind === 'tombstone') {
      this.options.outlet.skip(startedMs);
      return record.done();
    }
    const ended =
      verdict.kind === 'refused' ? this.#reject(verdict, record, startedMs) : this.#enter(verdict, record, startedMs);
    void ended.then(
      () => record.done(),
      (error: unknown) => {
        // Closing: the record is not done, and whoever reads the partition next begins with it.
        if (isClosed(error)) return;
        // Kafka takes neither the event nor its rejection (the topic is gone, or not ours to write). Unhandled, it ends the
        // process: better than to pass over events one by one.
        throw error;
      },
    );
  };

  #reject(refusal: Refusal, record: IncomingRecord, startedMs: number): Promise<void> {
    const { topic, partition, offset, timestampMs, headers, value } = record;
    const id = rejectionIdOfRecord(topic, partition, offset, timestampMs);
    return this.options.outlet.reject(refusal, { id, record: { topic, partition, offset }, headers, value }, startedMs);
  }

  /** Synchronous up to the producer while the tenant is known: events leave in the order in which they came. */
  #enter(event: Accepted, record: IncomingRecord, startedMs: number): Promise<void> {
    const { outlet, tenants } = this.options;
    const known = tenants.exists(event.envelope.tenant);
    return known === true ? outlet.accept(event, startedMs) : this.#enterIf(known, event, record, startedMs);
  }

  async #enterIf(known: Promise<boolean>, event: Accepted, record: IncomingRecord, startedMs: number): Promise<void> {
    return (await this.#answer(known, event.envelope.tenant))
      ? this.options.outlet.accept(event, startedMs)
      : this.#reject(unknownTenant(event), record, startedMs);
  }

  /** Asks until there is an answer: that Kafka is away says nothing about the tenant. */
  async #answer(known: Promise<boolean>, tenant: string): Promise<boolean> {
    const { tenants, log } = this.options;
    for (let question: true | Promise<boolean> = known; ; question = tenants.exists(tenant)) {
      try {
        return await question;
      } catch (error) {
        if (isClosed(error)) throw error;
        log.warn({ err: error }, 'could not ask whether there is a tenant; asking again');
      }
    }
  }
}

const isClosed = (error: unknown): boolean => error instanceof KafkaError && error.code === 'closed';
