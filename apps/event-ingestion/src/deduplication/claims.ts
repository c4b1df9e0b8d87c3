import { Session, stateOf } from '@posthorn/event-store';
import type { Hash } from './hash.js';
import { SCHEMA } from './migrations.js';

/** First offset not yet there, by partition of `events.accepted`. */
export type Bounds = readonly number[];

export type Claim = {
  /** The owner's number for it; a repetition under the same is the same claim. */
  readonly ticket: number;
  /** Sorted, each once. */
  readonly hashes: readonly Hash[];
  /** Where in `events.accepted` the events can be, if they are there. */
  readonly bounds: Bounds;
  /** False for what is only to be remembered: there is no event whose fate could be in doubt. */
  readonly staysOpen: boolean;
};

export type Claimed = {
  readonly id: string;
  /** By place among the hashes: those that somebody had already. `open`: whether their events are accepted is not known yet. */
  readonly lost: ReadonlyMap<number, 'open' | 'closed'>;
};

/** A claim whose owner is dead. */
export type Orphan = { readonly id: string; readonly hashes: readonly Hash[]; readonly bounds: Bounds };

/** Others have declared the owner dead: what it has claimed is theirs to settle. */
export class OwnerLost extends Error {
  override readonly name = 'OwnerLost';
}

/** The table of what has been seen, as one owner uses it. Every error that is not `OwnerLost` is one of `pg`. */
export interface Claims {
  /** Starts an owner, of whom nothing has been claimed. */
  enter(owner: string): Promise<void>;
  /** Closes claims, whose events are accepted, and takes what nobody has of another one's hashes. Tells others that the owner lives. */
  claim(owner: string, closed: readonly string[], claim: Claim | undefined): Promise<Claimed | undefined>;
  /** Forgets what was not accepted; `isEnd`: the rest of the claim was. */
  release(claimId: string, hashes: readonly Hash[], isEnd: boolean): Promise<void>;
  /** Declares dead whoever has not been heard of for too long, and tells what they have left. */
  orphans(): Promise<readonly Orphan[]>;
  /** Counts the connections made: after a new one, what was written last may be gone. */
  readonly connections: number;
  /** @param owner who leaves, if there was one */
  close(owner?: string): Promise<void>;
}

export type PgClaimsOptions = {
  readonly url: string;
  readonly windowMs: number;
  /** An owner that nobody has heard of for so long is dead. */
  readonly lapseMs: number;
  /** Whether a claim waits for the disk. */
  readonly isSynchronous?: boolean;
  /** For tests; default: the database's clock. */
  readonly nowMs?: () => number;
};

const OWNER_LOST = 'PH001';

type ClaimRow = { readonly id: string | null; readonly lost: readonly number[] | null; readonly is_open: readonly boolean[] | null };
type OrphanRow = { readonly id: string; readonly hashes: readonly string[]; readonly bounds: readonly string[] };

const sessionOf = (url: string, synchronousCommit: 'on' | 'off'): Session =>
  new Session({
    url,
    name: 'posthorn event-ingestion claims',
    // A plan that is made while a table is empty must do for a full one.
    setup: `set synchronous_commit = ${synchronousCommit}; set enable_seqscan = off; set plan_cache_mode = force_generic_plan`,
    raised: [OWNER_LOST],
  });

const array = (values: readonly (string | number)[]): string => `{${values.join(',')}}`;

/**
 * Two connections: one for the claims, which do not wait for the disk, and one for what must not be forgotten. A crash of PostgreSQL
 * itself can take back the claims of the last moments (`wal_writer_delay`, three times at most: 0.6 s); their owner makes them again.
 */
export class PgClaims implements Claims {
  readonly #fast: Session;
  readonly #sure: Session;

  constructor(private readonly options: PgClaimsOptions) {
    this.#fast = sessionOf(options.url, options.isSynchronous === true ? 'on' : 'off');
    this.#sure = sessionOf(options.url, 'on');
  }

  get connections(): number {
    return this.#fast.connections;
  }

  async enter(owner: string): Promise<void> {
    await this.#sure.query('enter', `insert into ${SCHEMA}.owners values ($1, ${this.#now(2)}) on conflict do nothing`, [owner, this.#nowMs()]);
  }

  async claim(owner: string, closed: readonly string[], claim: Claim | undefined): Promise<Claimed | undefined> {
    const { ticket = 0, hashes = [], bounds = [], staysOpen = false } = claim ?? {};
    const interval = `${this.options.windowMs} milliseconds`;
    const [row] = await this.#fast
      .query<ClaimRow>('claim', `select id, lost, is_open from ${SCHEMA}.claim($1, $2, $3, $4, $5, $6, $7, ${this.#now(8)})`, [
        owner,
        ticket,
        array(hashes),
        array(bounds),
        array(closed),
        staysOpen,
        interval,
        this.#nowMs(),
      ])
      .catch((error: unknown) => {
        if (error instanceof Error && stateOf(error) === OWNER_LOST) throw new OwnerLost(error.message, { cause: error });
        throw error;
      });
    if (row === undefined || row.id === null) return undefined;
    return { id: row.id, lost: new Map((row.lost ?? []).map((place, n) => [place - 1, row.is_open?.[n] === false ? 'closed' : 'open'])) };
  }

  async release(claimId: string, hashes: readonly Hash[], isEnd: boolean): Promise<void> {
    await this.#sure.query('release', `select ${SCHEMA}.release($1, $2, $3)`, [claimId, array(hashes), isEnd]);
  }

  async orphans(): Promise<readonly Orphan[]> {
    const lapse = `${this.options.lapseMs} milliseconds`;
    // After a start of PostgreSQL, its owners come back one by one.
    await this.#sure.query(
      'lapse',
      `update ${SCHEMA}.owners set dead = true
         where not dead and seen < ${this.#now(2)} - $1::interval and pg_postmaster_start_time() < clock_timestamp() - $1::interval`,
      [lapse, this.#nowMs()],
    );
    await this.#sure.query('bury', `delete from ${SCHEMA}.owners o where dead and not exists (select from ${SCHEMA}.claims c where c.owner = o.id)`, []);
    const rows = await this.#sure.query<OrphanRow>(
      'orphans',
      `select c.id, c.hashes::text[], c.bounds::text[] from ${SCHEMA}.claims c join ${SCHEMA}.owners o on o.id = c.owner where o.dead`,
      [],
    );
    return rows.map(({ id, hashes, bounds }) => ({
      id,
      hashes: hashes.map((hash) => hash.replaceAll('-', '')),
      bounds: bounds.map(Number),
    }));
  }

  async close(owner?: string): Promise<void> {
    if (owner !== undefined) await this.#leave(owner);
    await Promise.all([this.#fast.close(), this.#sure.close()]);
  }

  async #leave(owner: string): Promise<void> {
    await this.#sure
      .query('leave', `delete from ${SCHEMA}.owners o where id = $1 and not exists (select from ${SCHEMA}.claims c where c.owner = o.id)`, [owner])
      // It will be found dead, and nothing in its possession.
      .catch(() => undefined);
  }

  #now(parameter: number): string {
    return `coalesce(to_timestamp($${parameter}::double precision / 1000), clock_timestamp())`;
  }

  #nowMs(): number | null {
    return this.options.nowMs?.() ?? null;
  }
}
