import { frame, REGISTRY_POSITION_HEADER, requireKnownSchema, SCHEMA_HEADER, SCHEMA_VERSION, unframe, type Envelope, type RequestedHead, type Routed } from '@posthorn/contracts';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import type { RegistryFeed } from '../registry/registry-feed.js';
import { Filters } from './filters.js';
import type { SubscriptionTable } from './subscription-table.js';

export type RouterParts = {
  readonly table: SubscriptionTable;
  readonly feed: RegistryFeed;
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly topics: { readonly routed: string; readonly requested: string };
  /** Told how many subscriptions each event matched. */
  readonly matched: (subscriptions: number) => void;
  /** A record could not be produced at all; the process must not go on as if it had been. */
  readonly fatal: (error: unknown) => void;
};

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/** `events.accepted` in; the routing decision and one request per partition of matching subscriptions out. */
export class Router {
  readonly #parts: RouterParts;
  readonly #filters = new Filters();

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  readonly onRecord = (record: IncomingRecord): void => {
    requireKnownSchema(record.headers);
    const needed = Number(record.headers[REGISTRY_POSITION_HEADER]?.toString() ?? 0);
    this.#parts.feed.whenReached(Number.isSafeInteger(needed) ? needed : 0, () => this.#route(record));
  };

  #route(record: IncomingRecord): void {
    if (record.revoked || record.value === null) return;
    const { head: event, data } = unframe<Envelope>(record.value);
    const { send, fatal } = this.#parts;
    Promise.all(this.#decide(event, data).map((outgoing) => send(outgoing))).then(() => record.done(), fatal);
  }

  #decide(event: Envelope, data: Buffer): OutgoingRecord[] {
    const { table, feed, topics, matched } = this.#parts;
    const { position } = feed;
    const requests: OutgoingRecord[] = [];
    const all: string[] = [];
    const judge = this.#filters.of(event, data);
    for (const [partition, subscriptions] of table.match(event.tenant, event.type, (filter) => judge(filter).matches)) {
      all.push(...subscriptions);
      const head: RequestedHead = { event, subscriptions: [...subscriptions], position, round: 0, number: 1, trigger: 'first' };
      requests.push({
        topic: topics.requested,
        partition,
        key: String(partition),
        value: frame(head, data, event.datacontenttype),
        headers,
      });
    }
    matched(all.length);
    return [...requests, { topic: topics.routed, key: event.id, value: JSON.stringify(routedOf(event, position, all)), headers }];
  }
}

const routedOf = (event: Envelope, position: number, subscriptions: string[]): Routed => ({
  event_id: event.id,
  tenant: event.tenant,
  event_type: event.type,
  subject: event.subject,
  accepted_at: event.acceptedtime,
  position,
  subscriptions,
});
