import type { HistoryEntry, Page, SubscriptionView } from '@posthorn/contracts';
import { changesOfEvent, fold, subscription, type DomainEvent, type SubscriptionEvent } from '@posthorn/domain';
import type { EventStore, RecordedEvent } from '@posthorn/event-store';
import { decodePageToken, z } from '@posthorn/service-kit';
import { asking } from '../database.js';
import { pageOf, type PageQuery } from '../page.js';
import { streamOf } from '../streams.js';
import type { Tenants } from '../tenants/tenants.js';
import { viewOfSubscription } from './subscription-view.js';
import { noSuchSubscription, type Target } from './subscriptions.js';

/** As PostgreSQL keeps it, in four bytes. */
const VERSION = z.number().int().positive().max(2 ** 31 - 2);

/** What became of subscriptions over time, also of those that have been deleted, as long as there is their tenant. */
export class SubscriptionHistory {
  readonly #store: Pick<EventStore, 'read'>;
  readonly #tenants: Pick<Tenants, 'get'>;

  constructor(store: Pick<EventStore, 'read'>, tenants: Pick<Tenants, 'get'>) {
    this.#store = store;
    this.#tenants = tenants;
  }

  /** Oldest first. */
  async list(target: Target, { page_size, page_token }: PageQuery): Promise<Page<HistoryEntry>> {
    const after = page_token === undefined ? 0 : decodePageToken(VERSION, page_token);
    await this.#require(target);
    const events = await asking(this.#store.read(streamOf('subscription', target.id), after + 1, page_size + 1));
    return pageOf(events, page_size, entryOf, ({ version }) => version);
  }

  /**
   * As it was at that time.
   * @throws {Problem} `not_found` when there was none, not yet or not any more
   */
  async at(target: Target, time: string): Promise<SubscriptionView> {
    const atMs = Date.parse(time);
    await this.#require(target);
    const events = await asking(this.#store.read(streamOf('subscription', target.id)));
    const until = events.filter(({ at }) => Date.parse(at) <= atMs);
    // Only the subscriptions' own decider ever wrote to the stream.
    const state = fold(subscription, until as unknown as readonly SubscriptionEvent[]);
    if (state.kind !== 'subscription') throw noSuchSubscription();
    return viewOfSubscription(state, until.length);
  }

  /** @throws {Problem} `not_found` unless there is, or was, such a subscription of the tenant */
  async #require({ tenant, id }: Target): Promise<void> {
    await this.#tenants.get(tenant);
    // PostgreSQL takes no U+0000, and there is no such id.
    const [first] = id.includes('\0') ? [] : await asking(this.#store.read(streamOf('subscription', id), 1, 1));
    if (first?.data['tenant'] !== tenant) throw noSuchSubscription();
  }
}

const entryOf = ({ version, type, at, actor, cause, data }: RecordedEvent): HistoryEntry => ({
  version,
  type,
  at,
  actor,
  ...(cause !== undefined && { cause }),
  // Of the type that this version stores, or one that it refuses.
  changes: changesOfEvent({ type, data } as unknown as DomainEvent),
});
