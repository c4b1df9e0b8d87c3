import { MOST_NEAR_MATCHES, type AggregateState, type SubscriptionState } from '@posthorn/contracts';
import { parsePattern, prefixesOf, withoutCovered } from '@posthorn/domain';
import { IntRows } from '../registry/packed/int-rows.js';
import { SharedTexts } from '../registry/packed/shared-texts.js';
import { PostingLists } from './posting-lists.js';

/** An enabled subscription that asks for an event's type. */
export type Candidate = {
  readonly subscription: string;
  /** The partition of its id; see `partitionFrom`. */
  readonly home: number;
  readonly spread: number;
};

/** Everything that asks for an event's type; nothing of it changes when the table does. */
export type Candidates = {
  readonly unfiltered: readonly Candidate[];
  /** By the filter that the event has to pass. */
  readonly filtered: ReadonlyMap<string, readonly Candidate[]>;
  /** The first of those that are disabled, and how many there are in all. */
  readonly disabled: readonly string[];
  readonly disabledCount: number;
};

const ENABLED = 0;
const DISABLED = 1;

/** The last of the row's entries in the lists, chained to the others. */
const ENTRY = 0;
/** The filter's number plus 1. */
const FILTER = 1;
const NO_FILTER = 0;
const HOME = 2;
/** Over none when it is disabled. */
const SPREAD = 3;
const COLUMNS = 4;

/**
 * Which subscriptions ask for an event, of a million and more. Each is a row of integers; ids, filters and keys are texts
 * outside of the JavaScript heap, equal ones once. For each tenant and pattern there is a list of the rows that are enabled, and one of the others: looking up
 * an event takes one probe for its type, one for each prefix of it and one for `*`, plus the rows found, however many others there are;
 * a change takes one step for each pattern, however long the lists. Holds no secrets.
 */
export class SubscriptionTable {
  readonly #ids = new SharedTexts();
  readonly #filters = new SharedTexts();
  readonly #postings = new PostingLists();
  /** By the number of the id. */
  readonly #rows = new IntRows(COLUMNS);
  #enabled = 0;
  readonly #homeOf: (subscription: string) => number;

  /** @param homeOf the partition of a subscription's id */
  constructor(homeOf: (subscription: string) => number) {
    this.#homeOf = homeOf;
  }

  /** Enabled subscriptions. */
  get size(): number {
    return this.#enabled;
  }

  changed(state: AggregateState): void {
    if (state.kind !== 'subscription') return;
    const known = this.#ids.find(state.id);
    if (known !== undefined) this.#clear(known);
    this.#fill(known ?? this.#ids.hold(state.id), state);
  }

  removed(id: string): void {
    const row = this.#ids.find(id);
    if (row === undefined) return;
    this.#clear(row);
    this.#ids.release(row);
  }

  candidates(tenant: string, type: string): Candidates {
    const unfiltered: Candidate[] = [];
    const filtered = new Map<number, Candidate[]>();
    const disabled: string[] = [];
    let disabledCount = 0;
    for (const key of keysOf(tenant, type)) {
      const found = this.#postings.find(key);
      if (found === undefined) continue;
      this.#postings.forEach(found, ENABLED, (row) => {
        const filter = this.#rows.get(row, FILTER);
        const group = filter === NO_FILTER ? unfiltered : groupOf(filtered, filter);
        group.push({ subscription: this.#ids.text(row), home: this.#rows.get(row, HOME), spread: this.#rows.get(row, SPREAD) });
      });
      disabledCount += this.#postings.length(found, DISABLED);
      this.#postings.forEach(found, DISABLED, (row) => disabled.push(this.#ids.text(row)), MOST_NEAR_MATCHES - disabled.length);
    }
    const byText = new Map(Array.from(filtered, ([filter, group]) => [this.#filters.text(filter - 1), group]));
    return { unfiltered, filtered: byText, disabled, disabledCount };
  }

  #fill(row: number, { id, tenant, event_types, filter, enabled, policy }: SubscriptionState): void {
    this.#rows.set(row, FILTER, filter === undefined ? NO_FILTER : this.#filters.hold(filter) + 1);
    this.#rows.set(row, HOME, this.#homeOf(id));
    this.#rows.set(row, SPREAD, enabled ? (policy.spread ?? 1) : 0);
    if (enabled) this.#enabled += 1;
    const side = enabled ? ENABLED : DISABLED;
    let entry = 0;
    // With what another pattern covers left out, an event finds a row in one list only.
    for (const pattern of withoutCovered(event_types)) entry = this.#postings.add(keyOf(tenant, pattern), side, row, entry);
    this.#rows.set(row, ENTRY, entry);
  }

  #clear(row: number): void {
    this.#postings.removeChain(this.#rows.get(row, ENTRY));
    const filter = this.#rows.get(row, FILTER);
    if (filter !== NO_FILTER) this.#filters.release(filter - 1);
    if (this.#rows.get(row, SPREAD) > 0) this.#enabled -= 1;
  }
}

const groupOf = (groups: Map<number, Candidate[]>, filter: number): Candidate[] => {
  let group = groups.get(filter);
  if (group === undefined) {
    group = [];
    groups.set(filter, group);
  }
  return group;
};

/** No tenant's name has a line feed, and nothing but a sign comes after it: no two patterns have the same key. */
const keyOf = (tenant: string, text: string): string => {
  const pattern = parsePattern(text);
  switch (pattern.kind) {
    case 'all':
      return allKey(tenant);
    case 'below':
      return belowKey(tenant, pattern.prefix);
    case 'exact':
      return exactKey(tenant, pattern.type);
  }
};

/** Of every pattern that matches the type. */
const keysOf = (tenant: string, type: string): readonly string[] => [
  exactKey(tenant, type),
  ...prefixesOf(type).map((prefix) => belowKey(tenant, prefix)),
  allKey(tenant),
];

const exactKey = (tenant: string, type: string): string => `${tenant}\n=${type}`;
const belowKey = (tenant: string, prefix: string): string => `${tenant}\n<${prefix}`;
const allKey = (tenant: string): string => `${tenant}\n*`;
