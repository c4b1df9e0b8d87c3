import { REGISTRY_POSITION_HEADER, requireKnownSchema, SCHEMA_HEADER, SCHEMA_VERSION, unframe, type Envelope, type NearMatchReason, type Routed } from '@posthorn/contracts';
import { partitionFrom } from '@posthorn/domain';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import type { OpenSpan, SpanEnd, Tracing } from '@posthorn/service-kit';
import type { RegistryFeed } from '../registry/registry-feed.js';
import { Decision } from './decision.js';
import { Filters } from './filters.js';
import { requestedValues, routedValues } from './packing.js';
import { failureOf, routing, spanOfRouting } from './route-span.js';
import type { SubscriptionTable } from './subscription-table.js';
import { Turns, type TurnsOptions } from './turns.js';

export type RouterParts = {
  readonly table: SubscriptionTable;
  readonly feed: RegistryFeed;
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly topics: { readonly routed: string; readonly requested: string };
  /** Of `deliveries.requested`. */
  readonly partitions: number;
  readonly turns: TurnsOptions;
  /** Told how many subscriptions each event matched, and how many nearly. */
  readonly decided: (matched: number, near: Readonly<Record<NearMatchReason, number>>) => void;
  /** Absent: no spans. */
  readonly tracing?: Tracing | undefined;
  /** A record could not be produced at all; the process must not go on as if it had been. */
  readonly fatal: (error: unknown) => void;
};

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/**
 * What is written of an event is a multiple of it, by as many partitions as its subscriptions are in. With so much on its way to Kafka nothing
 * more is decided, until half of it has arrived; a single decision may be larger.
 */
const MOST_UNDER_WAY_BYTES = 2 * 1024 * 1024;

/** @property position of the registry that it is decided at */
type Begun = { readonly decision: Decision; readonly position: number };
type Traced = Begun & { readonly traceparent: string | undefined };

/**
 * `events.accepted` in; the routing decision and one request per partition of matching subscriptions out. A tenant's events are decided one
 * after the other, so that the requests of one partition's events come in their order; costly ones in slices, between
 * those of other tenants.
 */
export class Router {
  readonly #parts: RouterParts;
  readonly #filters = new Filters();
  readonly #turns: Turns;
  #underWayBytes = 0;

  constructor(parts: RouterParts) {
    this.#parts = parts;
    this.#turns = new Turns(parts.turns);
  }

  /** Events that wait for a slice, or for an event of their tenant that does. */
  get waiting(): number {
    return this.#turns.size;
  }

  readonly onRecord = (record: IncomingRecord): void => {
    requireKnownSchema(record.headers);
    const needed = Number(record.headers[REGISTRY_POSITION_HEADER]?.toString() ?? 0);
    this.#parts.feed.whenReached(Number.isSafeInteger(needed) ? needed : 0, () => this.#route(record));
  };

  #route(record: IncomingRecord): void {
    if (record.revoked) return;
    // No event, whoever wrote it: nothing to route, and nothing to wait for.
    if (record.value === null) return record.done();
    const { head: event, data } = unframe<Envelope>(record.value);
    const span = event.traceparent === undefined ? undefined : this.#parts.tracing?.open(routing(event));
    let begun: Begun | undefined;
    this.#turns.add(event.tenant, {
      proceed: (isTimeUp) => {
        if (record.revoked) return true;
        // Looked up when its turn comes, at once and whole: the decision is that of one position, however long the filters take.
        begun ??= { decision: this.#decide(event, data), position: this.#parts.feed.position };
        if (!begun.decision.proceed(isTimeUp)) return false;
        const { decision } = begun;
        const written = this.#write(recordsOf(event, data, { ...begun, traceparent: span?.traceparent }, this.#parts.topics), decision);
        if (span !== undefined || failureOf(decision) !== undefined) this.#trace(written, span, spanOfRouting(record, event, begun), event);
        written.then(() => record.done(), this.#parts.fatal);
        return true;
      },
    });
  }

  #decide(event: Envelope, data: Buffer): Decision {
    const { table, partitions } = this.#parts;
    return new Decision(table.candidates(event.tenant, event.type), this.#filters.of(event, data), ({ home, spread }) =>
      partitionFrom(home, spread, event.id, partitions),
    );
  }

  #write(outgoing: readonly OutgoingRecord[], { byPartition, nearCounts }: Decision): Promise<unknown> {
    const { send, decided } = this.#parts;
    decided(countOf(byPartition), nearCounts);
    const bytes = outgoing.reduce((sum, { value }) => sum + (value?.length ?? 0), 0);
    this.#underWayBytes += bytes;
    if (this.#underWayBytes >= MOST_UNDER_WAY_BYTES) this.#turns.hold();
    return Promise.all(outgoing.map((each) => send(each))).then(() => {
      this.#underWayBytes -= bytes;
      if (this.#underWayBytes <= MOST_UNDER_WAY_BYTES / 2) this.#turns.release();
    });
  }

  /** When Kafka has all of it. Of what is not sampled, a filter could not be evaluated. */
  #trace(written: Promise<unknown>, span: OpenSpan | undefined, end: SpanEnd, event: Envelope): void {
    const { tracing } = this.#parts;
    if (span === undefined && tracing?.wants(event.traceparent, true) !== true) return;
    const start = { ...routing(event), startMs: Date.now() };
    written.then(
      () => void (span === undefined ? tracing?.record(start, end) : span.end(end)),
      () => undefined,
    );
  }
}

const countOf = (byPartition: ReadonlyMap<number, readonly string[]>): number => {
  let count = 0;
  for (const together of byPartition.values()) count += together.length;
  return count;
};

const recordsOf = (
  event: Envelope,
  data: Buffer,
  { decision, position, traceparent }: Traced,
  topics: RouterParts['topics'],
): readonly OutgoingRecord[] => {
  const records: OutgoingRecord[] = [];
  const ofAll = traceparent === undefined ? headers : { ...headers, traceparent };
  for (const [partition, subscriptions] of decision.byPartition) {
    const head = { event, subscriptions: [...subscriptions], position, round: 0, number: 1, trigger: 'first' as const, traceparent };
    for (const value of requestedValues(head, data)) records.push({ topic: topics.requested, partition, key: String(partition), value, headers: ofAll });
  }
  for (const value of routedValues(routedOf(event, { decision, position, traceparent }))) records.push({ topic: topics.routed, key: event.id, value, headers: ofAll });
  return records;
};

const routedOf = (event: Envelope, { decision: { byPartition, near, nearCounts }, position, traceparent }: Traced): Routed => {
  const more = Object.values(nearCounts).reduce((sum, count) => sum + count, 0) - near.length;
  return {
    event_id: event.id,
    tenant: event.tenant,
    event_type: event.type,
    subject: event.subject,
    accepted_at: event.acceptedtime,
    position,
    subscriptions: [...byPartition.values()].flat(),
    ...(near.length > 0 && { near: [...near] }),
    ...(more > 0 && { near_more: more }),
    traceparent,
  };
};
