/** Whose rate is remembered: whoever was last heard of longest ago is forgotten first. After a second of silence there is nothing to remember. */
const REMEMBERED = 100_000;
const BURST_MS = 1_000;

/**
 * So many events a second from each of many, by the generic cell rate algorithm: kept of each is only the time at which what it has sent
 * would have come, had it come evenly. That may lie a second ahead, which is the burst.
 */
export class RateLimit {
  readonly #msPerEvent: number;
  readonly #evenlyUntilMs = new Map<string, number>();

  /** @param perSecond 0: no limit */
  constructor(
    perSecond: number,
    private readonly remembered = REMEMBERED,
  ) {
    this.#msPerEvent = perSecond === 0 ? 0 : 1_000 / perSecond;
  }

  /**
   * How long to wait before so many may come; 0: not at all. More than there can be in a burst may come when nothing else has come lately,
   * and are then made up for.
   */
  waitMs(who: string, events: number, nowMs: number): number {
    const aheadMs = Math.max(0, (this.#evenlyUntilMs.get(who) ?? 0) - nowMs);
    const allowedMs = Math.max(0, BURST_MS - events * this.#msPerEvent);
    return Math.max(0, aheadMs - allowedMs);
  }

  /** They have come. */
  count(who: string, events: number, nowMs: number): void {
    if (this.#msPerEvent === 0) return;
    const evenlyUntilMs = Math.max(nowMs, this.#evenlyUntilMs.get(who) ?? 0) + events * this.#msPerEvent;
    // Behind all others: a map has its members in the order in which they came.
    this.#evenlyUntilMs.delete(who);
    this.#evenlyUntilMs.set(who, evenlyUntilMs);
    if (this.#evenlyUntilMs.size <= this.remembered) return;
    const [longestAgo] = this.#evenlyUntilMs.keys();
    if (longestAgo !== undefined) this.#evenlyUntilMs.delete(longestAgo);
  }
}

/** Who publishes, and for whom. */
export type Publisher = { readonly actor: string; readonly tenant: string };

/** What a process lets in, of each key and for each tenant. */
export class RateLimits {
  readonly #ofKeys: RateLimit;
  readonly #ofTenants: RateLimit;

  /** Events a second; 0: no limit. */
  constructor({ perKey, perTenant }: { readonly perKey: number; readonly perTenant: number }) {
    this.#ofKeys = new RateLimit(perKey);
    this.#ofTenants = new RateLimit(perTenant);
  }

  waitMs({ actor, tenant }: Publisher, events: number, nowMs: number): number {
    return Math.max(this.#ofKeys.waitMs(actor, events, nowMs), this.#ofTenants.waitMs(tenant, events, nowMs));
  }

  count({ actor, tenant }: Publisher, events: number, nowMs: number): void {
    this.#ofKeys.count(actor, events, nowMs);
    this.#ofTenants.count(tenant, events, nowMs);
  }
}
