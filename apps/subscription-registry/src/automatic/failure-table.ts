import type { DisabledReason } from '@posthorn/contracts';
import type { Pool } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';
import type { Sign } from './signs.js';

/** How it stands with a subscription after a sign. */
export type Verdict = {
  readonly subscription: string;
  /** Nothing but failures since it last succeeded or was enabled. */
  readonly failing: boolean;
  /** Why it is to be disabled, if it is. */
  readonly reason: Exclude<DisabledReason, 'by_user'> | null;
  readonly observed_at: Date | null;
};

/**
 * One statement for a batch. A failure counts from the last success or, where that was later, from when the subscription was last enabled
 * or its URL changed: being enabled clears the row without anybody having to think of it, and reading old outcomes again says nothing
 * new. `failing_since` moves forward only: before it there may have been a success that nobody remembers.
 */
const RECORD = `
  with seen as (
    select * from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
      as seen (subscription, succeeded_at, failing_since, last_failure_at, gone_at)
  ), beside as (
    select seen.*, known.failing_since as known_since, known.last_failure_at as known_last,
           coalesce(subscriptions.enabled, false) as enabled, enabled_since, greatest(succeeded_at, enabled_since) as cleared_at,
           (subscriptions.state -> 'policy' ->> 'disable_after_ms')::bigint as disable_after_ms
      from seen
      left join ${SCHEMA}.subscriptions on subscriptions.id = seen.subscription
      left join ${SCHEMA}.subscription_failures known on known.subscription = seen.subscription
      left join lateral (select (subscriptions.state ->> 'enabled_since')::timestamptz as enabled_since) as lifetime on true
  ), standing as (
    select *,
           case when not enabled then null
                when known_since > cleared_at then known_since
                else least(case when known_last > cleared_at then known_last end,
                           case when failing_since > cleared_at then failing_since when last_failure_at > cleared_at then last_failure_at end)
           end as since,
           greatest(known_last, last_failure_at) as last
      from beside
  ), cleared as (
    delete from ${SCHEMA}.subscription_failures known using standing
     where known.subscription = standing.subscription and standing.since is null
  ), kept as (
    insert into ${SCHEMA}.subscription_failures (subscription, failing_since, last_failure_at)
    select subscription, since, last from standing where since is not null order by subscription
    on conflict (subscription) do update set failing_since = excluded.failing_since, last_failure_at = excluded.last_failure_at
  ), judged as (
    select subscription, since, last, gone_at,
           case when enabled and gone_at > enabled_since then 'gone'
                when disable_after_ms > 0 and last - since >= disable_after_ms * interval '1 millisecond' then 'failing'
           end as reason
      from standing
  )
  select subscription, since is not null as failing, reason,
         case reason when 'gone' then gone_at when 'failing' then last end as observed_at
    from judged`;

const timeOf = (ms: number | undefined): string | null => (ms === undefined ? null : new Date(ms).toISOString());

/** Which subscriptions do nothing but fail, and since when. */
export class FailureTable {
  readonly #pool: Pick<Pool, 'query'>;

  constructor(pool: Pick<Pool, 'query'>) {
    this.#pool = pool;
  }

  /** Takes the signs to heart and says what follows, for each of them. */
  async record(signs: ReadonlyMap<string, Sign>): Promise<readonly Verdict[]> {
    const all = [...signs.values()];
    const { rows } = await this.#pool.query<Verdict>(RECORD, [
      [...signs.keys()],
      all.map(({ succeededAtMs }) => timeOf(succeededAtMs)),
      all.map(({ failing }) => timeOf(failing?.sinceMs)),
      all.map(({ failing }) => timeOf(failing?.last.atMs)),
      all.map(({ gone }) => timeOf(gone?.atMs)),
    ]);
    return rows;
  }

  /** The subscriptions that fail, at most `limit` of them. Those that are disabled or gone by now are forgotten first. */
  async failing(limit: number): Promise<readonly string[]> {
    await this.#pool.query(
      `delete from ${SCHEMA}.subscription_failures failures
        where not exists (select from ${SCHEMA}.subscriptions where subscriptions.id = failures.subscription and enabled)`,
    );
    const { rows } = await this.#pool.query<{ subscription: string }>(
      `select subscription from ${SCHEMA}.subscription_failures limit $1`,
      [limit],
    );
    return rows.map(({ subscription }) => subscription);
  }
}
