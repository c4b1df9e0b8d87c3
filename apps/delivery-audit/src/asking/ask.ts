import type { AskedRound } from '@posthorn/contracts';
import type { ClientBase } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';
import { DELIVERY_CHANGE, writeChanges, type DeliveryChange } from '../statistics/deltas.js';
import { ASKED_CHANNEL } from './schema.js';

/** One event for one subscription, that it may be sent again, or for the first time. */
export type Candidate = {
  /** The UTC day of the event's acceptance. */
  readonly day: string;
  /** As it is stored. */
  readonly delivery_id: string;
  readonly event_id: string;
  readonly event_type: string;
  readonly subject: string | null;
  readonly accepted_at: string;
  readonly subscription_id: string;
  /** Of the subscription: with the event's id it says to which partition the delivery goes. */
  readonly spread: number;
};

/** In whose name, and why. */
export type Asking = {
  readonly tenant: string;
  readonly trigger: AskedRound['trigger'];
  /** RFC 3339 in UTC with milliseconds. */
  readonly at: string;
  readonly actor: string;
  readonly replayId?: string | undefined;
  /** Also those that are under way. */
  readonly force: boolean;
};

/**
 * A round is numbered under the lock of its delivery's row, which `insert … on conflict` takes whether the row is new or not: two who ask at once come one after the
 * other, and the second finds the delivery under way. Rows are locked in the order of their keys, as the loader locks them. What is
 * written to `audit` is what the loader will make of the record in `deliveries.rounds`; so a client reads its own write, and the record changes nothing.
 * A delivery that there has not been begins with round 1: 0 is the router's. The position says how far the registry was read when it was decided what may be sent.
 */
const ASK = `
  with candidate as (
    select * from unnest($1::date[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[], $8::integer[])
      as candidate (day, delivery_id, event_id, event_type, subject, accepted_at, subscription_id, spread)
  ), raised as (
    insert into audit.deliveries as known (day, id, tenant, event_id, subscription_id, event_type, subject, created_at, round, number, status, updated_at, attempts)
    select day, delivery_id, $9, event_id, subscription_id, event_type, subject, accepted_at, 1, 0, 'pending', $10, 0 from candidate order by day, delivery_id
    on conflict (id, day) do update set
      round = known.round + 1, number = 0, status = 'pending', updated_at = excluded.updated_at,
      next_attempt_at = null, last_status_code = null, last_error = null, finished_at = null
    where $11 or known.status not in ('pending', 'retrying')
    returning new.day, new.id, new.round, coalesce(old.status in ('pending', 'retrying'), false) as forced, ${DELIVERY_CHANGE}
  ), noted as (
    insert into audit.rounds (day, delivery_id, round, tenant, trigger, at, actor, replay_id, forced)
    select day, id, round, $9, $12, $10, $13, $14, forced from raised
  ), outgoing as (
    insert into replays.outbox (day, delivery_id, round, tenant, event_id, subscription_id, spread, position, trigger, at, actor, replay_id, forced)
    select raised.day, raised.id, raised.round, $9, event_id, candidate.subscription_id, spread, (select coalesce(max(position), 0) from audit.configuration), $12, $10, $13, $14, forced
      from raised join candidate on candidate.delivery_id = raised.id and candidate.day = raised.day
     order by candidate.accepted_at, event_id, candidate.subscription_id
    returning 1
  )
  select count(*)::integer as asked, (select json_agg(raised) from raised where old_finished_ms is not null) as taken_back, pg_notify('${ASKED_CHANNEL}', '')
    from outgoing`;

/**
 * Asks for the next round of each candidate, in the caller's transaction, each at most once in a list. Answers for how many: the others are under way.
 * They are on their way to the sender once the transaction is committed.
 */
export const ask = async (client: ClientBase, candidates: readonly Candidate[], asking: Asking): Promise<number> => {
  if (candidates.length === 0) return 0;
  const { tenant, at, force, trigger, actor, replayId } = asking;
  const { rows } = await client.query<{ asked: number; taken_back: readonly DeliveryChange[] | null }>(ASK, [
    candidates.map(({ day }) => day),
    candidates.map(({ delivery_id }) => delivery_id),
    candidates.map(({ event_id }) => event_id),
    candidates.map(({ event_type }) => event_type),
    candidates.map(({ subject }) => subject),
    candidates.map(({ accepted_at }) => accepted_at),
    candidates.map(({ subscription_id }) => subscription_id),
    candidates.map(({ spread }) => spread),
    tenant,
    at,
    force,
    trigger,
    actor,
    replayId ?? null,
  ]);
  // What had ended has not any more, and counts no longer as it did.
  await writeChanges(client, SCHEMA, rows[0]?.taken_back ?? []);
  return rows[0]?.asked ?? 0;
};
