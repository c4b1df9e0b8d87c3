import { setImmediate as nextTurn } from 'node:timers/promises';
import { deliveryId } from '@posthorn/contracts';
import { compileFilter, EventInput, GenerationCache, matchesPattern, parsePattern, type Filter, type ReplayCounts, type ReplayFailure, type ReplayWish } from '@posthorn/domain';
import type { Candidate } from '../asking/ask.js';
import { storedDeliveryId } from '../delivery-id.js';
import { findSubscriptions, type KnownSubscription, type Queryable } from '../registry/subscriptions.js';
import { countWithin, eventKey, readEvents } from '../requesting/stored-events.js';
import { nextRows, type LookedRow, type Reached } from './selection.js';

/** One look: what may be sent, and how much may not. */
export type Look = {
  readonly kind: 'looked';
  readonly candidates: readonly Candidate[];
  /** `matched` has the candidates too; which of them are under way is found out when they are asked for. */
  readonly counts: Omit<ReplayCounts, 'done' | 'skipped'>;
  readonly reached: Reached;
  /** There is nothing behind it. */
  readonly isEnd: boolean;
};

/** Whom all of it is for cannot have it. */
export type Blocked = { readonly kind: 'blocked'; readonly failure: ReplayFailure };

export type LookLimits = { readonly candidates: number; readonly rows: number };

/** Of a row: to be sent; or why not. What is not meant is not counted. */
type Verdict = { readonly kind: 'candidate'; readonly subscription: KnownSubscription } | { readonly kind: 'filtered' | 'disabled' | 'expired' | 'not_meant' };

/** Data of events that is in memory at a time. */
const MOST_BYTES = 8 * 1024 * 1024;
/** A filter may take some milliseconds for an event, and the process has other work too. */
const SLICE_MS = 10;
/** Compiled filters, of replays under way. */
const KEPT_FILTERS = 100;

const compiled = (text: string): Filter => {
  const result = compileFilter(text);
  if (result.kind === 'compiled') return result.filter;
  throw new TypeError(`the registry has let a filter pass that does not compile: ${result.message}`);
};

const matchesAny = (patterns: readonly string[]): ((type: string) => boolean) => {
  const parsed = patterns.map(parsePattern);
  return (type) => parsed.some((pattern) => matchesPattern(pattern, type));
};

const candidateOf = (tenant: string, row: LookedRow, { id, spread }: KnownSubscription): Candidate => ({
  day: row.day,
  // An id that was just made has the form of one.
  delivery_id: storedDeliveryId(deliveryId(tenant, row.event_id, id)) ?? '',
  event_id: row.event_id,
  event_type: row.event_type,
  subject: row.subject,
  accepted_at: row.at.toISOString(),
  subscription_id: id,
  spread,
});

/** Looks at what a replay is about, a page at a time. Changes nothing. */
export class Looking {
  readonly #filters = new GenerationCache<string, Filter>(KEPT_FILTERS, compiled);

  /** The next that may be sent, in the order in which their events were accepted. */
  async look(database: Queryable, tenant: string, wish: ReplayWish, from: Reached, limits: LookLimits): Promise<Look | Blocked> {
    const target = await targetOf(database, tenant, wish);
    if (target?.kind === 'blocked') return target;
    const { sql, parameters } = nextRows(tenant, wish, from, limits.rows);
    const rows = await database.query<LookedRow>(sql, parameters);
    const verdicts = await this.#judge(database, tenant, wish, rows, target);

    const counts = { matched: 0, filtered: 0, disabled: 0, expired: 0 };
    const candidates: Candidate[] = [];
    let looked = 0;
    for (const row of rows) {
      if (candidates.length === limits.candidates) break;
      const verdict = verdicts[looked++];
      if (verdict === undefined || verdict.kind === 'not_meant') continue;
      counts.matched += 1;
      if (verdict.kind === 'candidate') candidates.push(candidateOf(tenant, row, verdict.subscription));
      else counts[verdict.kind] += 1;
    }
    const last = rows[looked - 1];
    const reached = last === undefined ? from : { at: last.at.toISOString(), id: last.place };
    return { kind: 'looked', candidates, counts, reached, isEnd: looked === rows.length && rows.length < limits.rows };
  }

  async #judge(database: Queryable, tenant: string, wish: ReplayWish, rows: readonly LookedRow[], target: KnownSubscription | undefined): Promise<readonly Verdict[]> {
    const isMeant = matchesAny(wish.event_types ?? ['*']);
    const isAsked = target === undefined ? isMeant : matchesAny(target.event_types);
    // Of several deliveries of one event, which lie side by side, the first stands for it.
    const meant = rows.map((row, index) => isMeant(row.event_type) && (target === undefined || row.event_id !== rows[index - 1]?.event_id || row.day !== rows[index - 1]?.day));
    const passes = await this.#passing(database, tenant, rows.filter((row, index) => meant[index] && row.is_kept && isAsked(row.event_type)), target?.filter);
    const known = target === undefined ? await findSubscriptions(database, [...new Set(rows.map((row) => row.subscription_id ?? ''))]) : undefined;
    return rows.map((row, index): Verdict => {
      if (!meant[index]) return { kind: 'not_meant' };
      if (!row.is_kept) return { kind: 'expired' };
      const subscription = target ?? known?.get(row.subscription_id ?? '');
      if (subscription?.enabled !== true) return { kind: 'disabled' };
      return passes(row) ? { kind: 'candidate', subscription } : { kind: 'filtered' };
    });
  }

  /** Which of these the filter lets pass: it is asked for each by itself, within its own bound, as the router asks it. */
  async #passing(database: Queryable, tenant: string, rows: readonly LookedRow[], text: string | undefined): Promise<(row: LookedRow) => boolean> {
    if (text === undefined) {
      const asked = new Set(rows);
      return (row) => asked.has(row);
    }
    const filter = this.#filters.get(text);
    const passing = new Set<string>();
    for (let from = 0; from < rows.length; ) {
      const chunk = rows.slice(from, from + countWithin(rows.slice(from), MOST_BYTES));
      const events = await readEvents(database, tenant, chunk);
      let sinceMs = performance.now();
      for (const [key, { envelope, data }] of events) {
        if (filter.judge(new EventInput(envelope, data)).matches) passing.add(key);
        if (performance.now() - sinceMs < SLICE_MS) continue;
        await nextTurn();
        sinceMs = performance.now();
      }
      from += chunk.length;
    }
    return (row) => passing.has(eventKey(row));
  }
}

/** Whom all of it is for; undefined when each delivery is for its own subscription. */
const targetOf = async (database: Queryable, tenant: string, { to_subscription }: ReplayWish): Promise<(KnownSubscription & { readonly kind: 'target' }) | Blocked | undefined> => {
  if (to_subscription === undefined) return undefined;
  const known = (await findSubscriptions(database, [to_subscription])).get(to_subscription);
  if (known?.tenant !== tenant) return { kind: 'blocked', failure: 'subscription_deleted' };
  return known.enabled ? { kind: 'target', ...known } : { kind: 'blocked', failure: 'subscription_disabled' };
};
