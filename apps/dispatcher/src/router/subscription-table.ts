import type { AggregateState, SubscriptionState } from '@posthorn/contracts';
import { parsePattern, prefixesOf } from '@posthorn/domain';

/** One tenant's enabled subscriptions, by what they ask for. */
type TenantIndex = {
  readonly exact: Map<string, Set<string>>;
  readonly below: Map<string, Set<string>>;
  readonly all: Set<string>;
};

type Row = Pick<SubscriptionState, 'tenant' | 'event_types' | 'filter'> & { readonly partition: number };

const NONE: ReadonlySet<string> = new Set();

/**
 * Which subscriptions an event matches: by its type, then by their filters. Looking one up costs a few map reads, one for each segment of
 * the type, plus the matches themselves, however many subscriptions there are. Holds no secrets and no disabled subscription; filters
 * as text, since of a million compiled ones few would be in use.
 */
export class SubscriptionTable {
  readonly #rows = new Map<string, Row>();
  readonly #tenants = new Map<string, TenantIndex>();
  readonly #partitionOf: (subscription: string) => number;

  /** @param partitionOf where the deliveries of a subscription go */
  constructor(partitionOf: (subscription: string) => number) {
    this.#partitionOf = partitionOf;
  }

  get size(): number {
    return this.#rows.size;
  }

  changed(state: AggregateState): void {
    if (state.kind !== 'subscription') return;
    this.removed(state.id);
    if (!state.enabled) return;
    const { id, tenant, event_types, filter } = state;
    this.#rows.set(id, { tenant, event_types, filter, partition: this.#partitionOf(id) });
    const index = this.#indexOf(tenant);
    for (const pattern of event_types) slot(index, pattern).add(id);
  }

  removed(id: string): void {
    const row = this.#rows.get(id);
    if (row === undefined) return;
    this.#rows.delete(id);
    const index = this.#indexOf(row.tenant);
    for (const pattern of row.event_types) {
      const ids = slot(index, pattern);
      ids.delete(id);
      if (ids.size === 0) dropSlot(index, pattern);
    }
    if (index.exact.size + index.below.size + index.all.size === 0) this.#tenants.delete(row.tenant);
  }

  /**
   * The subscriptions that match, each once, by the partition their deliveries go to.
   * @param passes whether the event passes a filter; asked only of subscriptions whose types match
   */
  match(tenant: string, type: string, passes: (filter: string) => boolean): ReadonlyMap<number, readonly string[]> {
    const matches = new Map<number, string[]>();
    const index = this.#tenants.get(tenant);
    if (index === undefined) return matches;
    const sets = [index.exact.get(type) ?? NONE, index.all];
    for (const prefix of prefixesOf(type)) sets.push(index.below.get(prefix) ?? NONE);
    const seen = new Set<string>();
    for (const ids of sets) {
      for (const id of ids) {
        if (seen.has(id)) continue;
        seen.add(id);
        const row = this.#rows.get(id);
        if (row === undefined || (row.filter !== undefined && !passes(row.filter))) continue;
        place(matches, row.partition, id);
      }
    }
    return matches;
  }

  #indexOf(tenant: string): TenantIndex {
    let index = this.#tenants.get(tenant);
    if (index === undefined) {
      index = { exact: new Map(), below: new Map(), all: new Set() };
      this.#tenants.set(tenant, index);
    }
    return index;
  }
}

const place = (matches: Map<number, string[]>, partition: number, id: string): void => {
  const together = matches.get(partition);
  if (together === undefined) matches.set(partition, [id]);
  else together.push(id);
};

const slot = (index: TenantIndex, text: string): Set<string> => {
  const pattern = parsePattern(text);
  switch (pattern.kind) {
    case 'all':
      return index.all;
    case 'below':
      return getOrAdd(index.below, pattern.prefix);
    case 'exact':
      return getOrAdd(index.exact, pattern.type);
  }
};

const dropSlot = (index: TenantIndex, text: string): void => {
  const pattern = parsePattern(text);
  if (pattern.kind === 'below') index.below.delete(pattern.prefix);
  if (pattern.kind === 'exact') index.exact.delete(pattern.type);
};

const getOrAdd = (sets: Map<string, Set<string>>, key: string): Set<string> => {
  let ids = sets.get(key);
  if (ids === undefined) {
    ids = new Set();
    sets.set(key, ids);
  }
  return ids;
};
