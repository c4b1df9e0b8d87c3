import { newId, traceIdOf, validTraceparent, type Rejection } from '@posthorn/contracts';
import { KafkaError, type Logger, type OutgoingRecord } from '@posthorn/kafka';
import type { OpenSpan, Tracing } from '@posthorn/service-kit';
import { type Accepted, acceptedRecord } from './acceptance/accept.js';
import type { Refusal } from './acceptance/draft.js';
import { type Origin, rejectedRecord, rejection } from './acceptance/reject.js';
import type { Ended, Outgoing } from './deduplication/deduplicator.js';
import { hashOfEvent } from './deduplication/hash.js';
import { accepting, spanOfAcceptance, spanOfRejection } from './acceptance-span.js';
import { leftOf } from './deadline.js';
import type { DoorMetrics, IngestionOutcome } from './metrics.js';

/** The way to Kafka. Rejects with a `KafkaError`. */
export type Gate = {
  /** An event, which is accepted once. */
  send(event: Outgoing, deadlineMs: number | undefined): Promise<Ended>;
  /** Anything else, as it comes. */
  write(record: OutgoingRecord, deadlineMs: number | undefined): Promise<void>;
  readonly pendingBytes: number;
};

export type OutletOptions = {
  readonly door: Rejection['door'];
  readonly gate: Gate;
  /** Names on the broker. */
  readonly topics: { readonly accepted: string; readonly rejected: string };
  readonly metrics: DoorMetrics;
  readonly log: Logger & { isLevelEnabled(level: string): boolean };
  /** How long it may take from the event's arrival; absent: for ever. */
  readonly deadlineMs?: number;
  /** Told of each event that had been accepted before; must neither throw nor wait. */
  readonly onDuplicate?: (tenant: string, eventId: string) => void;
  /** Absent: no spans. */
  readonly tracing?: Tracing | undefined;
};

const MS_PER_SECOND = 1000;

/**
 * Where both doors lead: what has been accepted or refused goes to its topic, is counted, and leaves its line in the log. A
 * promise resolves when all in-sync replicas have the record, and not before.
 * @throws {KafkaError}
 */
export class Outlet {
  constructor(private readonly options: OutletOptions) {}

  get pendingBytes(): number {
    return this.options.gate.pendingBytes;
  }

  /** @param startedMs when the event arrived, by performance.now() */
  async accept(event: Accepted, startedMs: number): Promise<void> {
    const { topics, log, door, gate, onDuplicate, tracing } = this.options;
    const { id, tenant, type, partitionkey, traceparent: parent } = event.envelope;
    const span = tracing?.open(accepting(door, parent, startedMs));
    // One that nobody can publish again need not be claimed, but for its place among those of its key.
    const hash = event.isRepeatable || partitionkey !== undefined ? hashOfEvent(tenant, id) : undefined;
    const traced = span === undefined ? event : { ...event, envelope: { ...event.envelope, traceparent: span.traceparent } };
    const record = { topic: topics.accepted, ...acceptedRecord(traced) };
    const sent = gate.send({ hash, key: partitionkey, record }, this.#leftMs(startedMs));
    const ended = await this.#observed(tracing === undefined ? sent : this.#traced(sent, event, span, startedMs), startedMs, traced.envelope.traceparent);
    if (ended === 'duplicate') onDuplicate?.(tenant, id);
    if (!log.isLevelEnabled('debug')) return;
    const trace_id = traced.envelope.traceparent && traceIdOf(traced.envelope.traceparent);
    const fields = { door, tenant, event_id: id, event_type: type, trace_id, data_bytes: event.data.length, duration_ms: elapsed(startedMs) };
    log.debug(fields, `event ${ended}`);
  }

  /** @param origin its `id` is that of the rejection, where one follows from the place of what is refused */
  async reject(refusal: Refusal, origin: Partial<Origin> & Omit<Origin, 'door' | 'id'>, startedMs: number): Promise<void> {
    const { topics, log, door, gate, tracing } = this.options;
    const nowMs = Date.now();
    const rejected = rejection(refusal, { id: newId('rej', nowMs), ...origin, door }, nowMs);
    const written = gate.write({ topic: topics.rejected, ...rejectedRecord(rejected) }, this.#leftMs(startedMs));
    await this.#observed(written.then(() => 'rejected' as const), startedMs);
    const { rejection_id, reason, tenant, event_id, record } = rejected;
    const parent = validTraceparent(rejected.headers['traceparent']);
    if (tracing?.wants(parent, true)) tracing.record(accepting(door, parent, startedMs), spanOfRejection(rejected));
    const value_bytes = origin.value?.length ?? 0;
    log.info({ door, tenant, rejection_id, event_id, trace_id: parent && traceIdOf(parent), ...reason, record, value_bytes, duration_ms: elapsed(startedMs) }, 'event rejected');
  }

  /** Nothing was to be done. */
  skip(startedMs: number): void {
    this.options.metrics.observe('skipped', elapsed(startedMs) / MS_PER_SECOND);
  }

  #leftMs(startedMs: number): number | undefined {
    const { deadlineMs } = this.options;
    return deadlineMs === undefined ? undefined : leftOf(deadlineMs, startedMs);
  }

  /** A span that its parent did not ask for is made when the event is not acknowledged. */
  async #traced(sent: Promise<Ended>, event: Accepted, span: OpenSpan | undefined, startedMs: number): Promise<Ended> {
    const { door, topics, tracing } = this.options;
    const { traceparent: parent } = event.envelope;
    try {
      const ended = await sent;
      span?.end(spanOfAcceptance(event, door, topics.accepted, ended));
      return ended;
    } catch (error) {
      const end = spanOfAcceptance(event, door, topics.accepted, 'unavailable');
      if (span !== undefined) span.end(end);
      else if (tracing?.wants(parent, true)) tracing.record(accepting(door, parent, startedMs), end);
      throw error;
    }
  }

  async #observed<O extends IngestionOutcome>(ending: Promise<O>, startedMs: number, traceparent?: string): Promise<O> {
    const { metrics } = this.options;
    try {
      const outcome = await ending;
      metrics.observe(outcome, elapsed(startedMs) / MS_PER_SECOND, traceparent);
      return outcome;
    } catch (error) {
      if (error instanceof KafkaError) metrics.observe('unavailable', elapsed(startedMs) / MS_PER_SECOND);
      throw error;
    }
  }
}

const elapsed = (startedMs: number): number => Math.round((performance.now() - startedMs) * MS_PER_SECOND) / MS_PER_SECOND;
