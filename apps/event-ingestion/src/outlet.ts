import { newId, type Rejection } from '@posthorn/contracts';
import { KafkaError, type Logger, type Producer } from '@posthorn/kafka';
import { type Accepted, acceptedRecord } from './acceptance/accept.js';
import type { Refusal } from './acceptance/draft.js';
import { type Origin, rejectedRecord, rejection } from './acceptance/reject.js';
import type { DoorMetrics } from './metrics.js';

export type OutletOptions = {
  readonly door: Rejection['door'];
  readonly producer: Producer;
  /** Names on the broker. */
  readonly topics: { readonly accepted: string; readonly rejected: string };
  readonly metrics: DoorMetrics;
  readonly log: Logger & { isLevelEnabled(level: string): boolean };
  /** How long Kafka may take; absent: for ever. */
  readonly deadlineMs?: number;
};

const MS_PER_SECOND = 1000;

/**
 * Where both doors lead: what has been accepted or refused goes to its topic, is counted, and leaves its line in the log. A
 * promise resolves when all in-sync replicas have the record, and not before. Deduplication will stand in `accept`.
 * @throws {KafkaError}
 */
export class Outlet {
  constructor(private readonly options: OutletOptions) {}

  get pendingBytes(): number {
    return this.options.producer.pendingBytes;
  }

  /** @param startedMs when the event arrived, by performance.now() */
  async accept(event: Accepted, startedMs: number): Promise<void> {
    const { topics, log, door } = this.options;
    await this.#send({ topic: topics.accepted, ...acceptedRecord(event) }, 'accepted', startedMs);
    if (!log.isLevelEnabled('debug')) return;
    const { id, tenant, type } = event.envelope;
    const fields = { door, tenant, event_id: id, event_type: type, data_bytes: event.data.length, duration_ms: elapsed(startedMs) };
    log.debug(fields, 'event accepted');
  }

  /** @param origin its `id` is that of the rejection, where one follows from the place of what is refused */
  async reject(refusal: Refusal, origin: Partial<Origin> & Omit<Origin, 'door' | 'id'>, startedMs: number): Promise<void> {
    const { topics, log, door } = this.options;
    const nowMs = Date.now();
    const rejected = rejection(refusal, { id: newId('rej', nowMs), ...origin, door }, nowMs);
    await this.#send({ topic: topics.rejected, ...rejectedRecord(rejected) }, 'rejected', startedMs);
    const { rejection_id, reason, tenant, event_id, record } = rejected;
    const value_bytes = origin.value?.length ?? 0;
    log.info({ door, tenant, rejection_id, event_id, ...reason, record, value_bytes, duration_ms: elapsed(startedMs) }, 'event rejected');
  }

  /** Nothing was to be done. */
  skip(startedMs: number): void {
    this.options.metrics.observe('skipped', elapsed(startedMs) / MS_PER_SECOND);
  }

  async #send(record: Parameters<Producer['send']>[0], outcome: 'accepted' | 'rejected', startedMs: number): Promise<void> {
    const { producer, metrics, deadlineMs } = this.options;
    try {
      await producer.send(record, deadlineMs === undefined ? undefined : { deadlineMs });
    } catch (error) {
      if (error instanceof KafkaError) metrics.observe('unavailable', elapsed(startedMs) / MS_PER_SECOND);
      throw error;
    }
    metrics.observe(outcome, elapsed(startedMs) / MS_PER_SECOND);
  }
}

const elapsed = (startedMs: number): number => Math.round((performance.now() - startedMs) * MS_PER_SECOND) / MS_PER_SECOND;
