import type { AcceptedLog } from './accepted-log.js';
import type { Bounds, Claim, Claimed, Claims } from './claims.js';
import type { Hash } from './hash.js';
import type { Owner } from './owner.js';

/** What one statement has taken. */
export type Holding = {
  /** Another one after a crash of PostgreSQL that forgot it. */
  id: string;
  readonly owner: string;
  readonly ticket: number;
  readonly bounds: Bounds;
  /** Without what has been released. */
  readonly hashes: Set<Hash>;
  readonly accepted: Hash[];
  /** Events whose fate is not known yet. */
  open: number;
  closedAtMs: number | undefined;
};

export type HoldingsOptions = {
  readonly claims: Pick<Claims, 'claim' | 'release' | 'connections'>;
  readonly owner: Pick<Owner, 'id' | 'isClosed' | 'speak' | 'insist' | 'failed'>;
  readonly log: Pick<AcceptedLog, 'bounds'>;
  readonly onStatement: (seconds: number) => void;
  /** The table remembers what was accepted, or others see to it: we need not. */
  readonly onSeen: (hash: Hash) => void;
};

/** Longer than PostgreSQL takes to have a commit on the disk that did not wait for it. */
const REMEMBERED_MS = 5_000;
const FORGET_EVERY_MS = 500;

/**
 * What the owner has claimed. A holding is open until the fate of all its events is known; it is closed with the next statement, and remembered for a while
 * after, to be claimed again should PostgreSQL crash and forget it.
 */
export class Holdings {
  #all: Holding[] = [];
  /** To be closed: the fate of all their events is known. */
  #settled: Holding[] = [];
  #ticket = 0;
  #connections: number | undefined;
  #forgotAtMs = 0;

  constructor(private readonly options: HoldingsOptions) {}

  get areToBeClosed(): boolean {
    return this.#settled.length > 0;
  }

  /** @returns undefined when it was closed before PostgreSQL answered */
  async claim(hashes: readonly Hash[]): Promise<{ readonly holding: Holding; readonly lost: ReadonlyMap<Hash, 'open' | 'closed'> } | undefined> {
    const sorted = [...hashes].sort();
    const claim = { ticket: ++this.#ticket, hashes: sorted, bounds: this.options.log.bounds, staysOpen: true };
    const answer = await this.#statement(claim);
    if (!answer?.claimed) return undefined;
    const { owner, claimed } = answer;
    const lost = new Map<Hash, 'open' | 'closed'>();
    const won = new Set<Hash>();
    for (const [place, hash] of sorted.entries()) {
      const how = claimed.lost.get(place);
      if (how === undefined) won.add(hash);
      else lost.set(hash, how);
    }
    const { ticket, bounds } = claim;
    const holding: Holding = { id: claimed.id, owner, ticket, bounds, hashes: won, accepted: [], open: won.size, closedAtMs: undefined };
    if (won.size > 0 && this.isOurs(holding)) this.#all.push(holding);
    return { holding, lost };
  }

  /** Not claimed by an owner that has been taken for dead since. */
  isOurs({ owner }: Holding): boolean {
    return owner === this.options.owner.id;
  }

  accepted(holding: Holding, hash: Hash): void {
    // Until its claim is closed, who publishes it again is answered from memory.
    if (this.isOurs(holding)) holding.accepted.push(hash);
    else this.options.onSeen(hash);
    this.#settle(holding);
  }

  /** Frees what was not accepted. */
  async release(holding: Holding, hash: Hash): Promise<void> {
    const { claims, owner } = this.options;
    holding.hashes.delete(hash);
    // Closed: its claim stays open, and whoever finds it looks into the log.
    await owner.insist(async () => (owner.isClosed ? undefined : claims.release(holding.id, [hash], false)));
    this.#settle(holding);
  }

  async close(): Promise<void> {
    await this.#statement(undefined);
  }

  /** They are others' to settle. */
  abandon(): void {
    for (const holding of this.#all) this.#see(holding);
    this.#all = [];
    this.#settled = [];
  }

  /** On a new connection, PostgreSQL may have crashed and have forgotten what did not wait for its disk: claims it again. */
  async reassert(): Promise<void> {
    const { claims, owner } = this.options;
    const before = this.#connections;
    if (before === claims.connections) return;
    this.#connections = claims.connections;
    if (before === undefined) return;
    try {
      for (const holding of this.#all) {
        const { ticket, bounds, closedAtMs } = holding;
        const claimed = await claims.claim(holding.owner, [], { ticket, hashes: [...holding.hashes].sort(), bounds, staysOpen: true });
        if (claimed) holding.id = claimed.id;
        if (closedAtMs !== undefined && !this.#settled.includes(holding)) this.#settled.push(holding);
      }
    } catch (error) {
      this.#connections = before;
      await owner.failed(error);
    }
  }

  /** One statement, until it succeeds: what was sent before may have been done, and under the same ticket it is not done twice. */
  #statement(claim: Claim | undefined): Promise<{ readonly owner: string; readonly claimed: Claimed | undefined } | undefined> {
    const { claims, owner, onStatement } = this.options;
    return owner.insist(async () => {
      const startedMs = performance.now();
      const closed = this.#settled.filter((holding) => this.isOurs(holding));
      const by = owner.id;
      const claimed = await owner.speak((id) => claims.claim(id, closed.map(({ id }) => id), claim));
      onStatement((performance.now() - startedMs) / 1000);
      this.#closed(closed);
      await this.reassert();
      return { owner: by, claimed };
    });
  }

  #settle(holding: Holding): void {
    if (--holding.open === 0 && this.isOurs(holding)) this.#settled.push(holding);
  }

  #closed(closed: readonly Holding[]): void {
    const nowMs = performance.now();
    for (const holding of closed) {
      holding.closedAtMs ??= nowMs;
      this.#see(holding);
    }
    this.#settled = this.#settled.filter((holding) => this.isOurs(holding) && !closed.includes(holding));
    this.#forgetOld(nowMs);
  }

  /** Now and then: with hundreds of statements a second there are thousands to look at. */
  #forgetOld(nowMs: number): void {
    if (nowMs < this.#forgotAtMs + FORGET_EVERY_MS) return;
    this.#forgotAtMs = nowMs;
    this.#all = this.#all.filter(({ closedAtMs }) => closedAtMs === undefined || closedAtMs > nowMs - REMEMBERED_MS);
  }

  #see(holding: Holding): void {
    for (const hash of holding.accepted.splice(0)) this.options.onSeen(hash);
  }
}
