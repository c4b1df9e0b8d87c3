import { removeOldAnswers } from '../asking/answers.js';
import type { Queryable } from '../registry/subscriptions.js';

export type SweepingParts = {
  /** How long a tenant's events are kept: what was sent of them again is told for as long. */
  readonly retentionMsOf: (tenant: string) => number;
  /** Wall clock. */
  readonly now: () => number;
};

const INTERVAL_MS = 600_000;
/** No statement holds its locks for long. */
const SWEPT_AT_ONCE = 500;

const TENANTS = `select distinct tenant from replays.replays where finished_at is not null`;
const REMOVE = `
  with old as (
    select id from replays.replays where tenant = $1 and finished_at <= $2 order by finished_at limit ${SWEPT_AT_ONCE}
  ), history as (
    delete from replays.events where stream in (select 'replay/' || id from old)
  )
  delete from replays.replays where id in (select id from old) returning id`;

/** Removes in passing what nobody asks for any more: replays that ended before all that they sent was dropped, and answers to old requests. */
export class Sweeping {
  readonly #parts: SweepingParts;
  #sweptAt = Number.NEGATIVE_INFINITY;

  constructor(parts: SweepingParts) {
    this.#parts = parts;
  }

  /** Now and then. */
  async sweep(database: Queryable): Promise<void> {
    const { now, retentionMsOf } = this.#parts;
    if (now() - this.#sweptAt < INTERVAL_MS) return;
    for (const { tenant } of await database.query<{ tenant: string }>(TENANTS)) {
      const before = new Date(now() - retentionMsOf(tenant));
      while ((await database.query(REMOVE, [tenant, before])).length === SWEPT_AT_ONCE);
    }
    await removeOldAnswers(database);
    this.#sweptAt = now();
  }
}
