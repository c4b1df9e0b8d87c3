import { columns } from './columns.js';

/**
 * The loader's statements. Every row goes from a temporary table, filled by COPY, through `insert … on conflict`: the conflict is found
 * by the primary key of the one partition that the row's day names, so no partition is ever scanned. The rows are sorted by that key
 * first, and the tables always come in the same order: two replicas that write the same rows wait for each other, never in a circle.
 */

const list = (names: readonly string[], from = ''): string => names.map((name) => from + name).join(', ');

/** Once per session. */
export const createStaging = `
  create temporary table staged_events (like audit.events) on commit delete rows;
  create temporary table staged_decisions (like audit.decisions) on commit delete rows;
  create temporary table staged_deliveries (like audit.deliveries) on commit delete rows;
  alter table staged_deliveries drop column attempts;
  create temporary table staged_attempts (like audit.attempts) on commit delete rows;
  create temporary table staged_rejected_events (like audit.rejected_events) on commit delete rows`;

const eventValues = columns.events.filter((name) => !['day', 'tenant', 'id'].includes(name));

/** An id accepted twice on one day: the first acceptance stays. */
export const mergeEvents = `
  insert into audit.events as known (${list(columns.events)})
  select ${list(columns.events)} from staged_events order by tenant, id, day
  on conflict (tenant, id, day) do update set ${eventValues.map((name) => `${name} = excluded.${name}`).join(', ')}
  where excluded.accepted_at < known.accepted_at`;

/** Of two decisions about an event the one that was seen last, as `seenLast` in fold.ts has it. */
export const mergeDecisions = `
  insert into audit.decisions as known (${list(columns.decisions)})
  select ${list(columns.decisions)} from staged_decisions order by tenant, event_id, day
  on conflict (tenant, event_id, day) do update set position = excluded.position, near = excluded.near, near_more = excluded.near_more
  where (excluded.position, coalesce(excluded.near::text, '') collate "C", excluded.near_more)
    > (known.position, coalesce(known.near::text, '') collate "C", known.near_more)`;

const ofLatestOutcome = [
  'round', 'number', 'status', 'updated_at', 'next_attempt_at', 'last_status_code', 'last_error', 'finished_at',
] as const;
const OUTRANKS =
  '(excluded.round, excluded.number, excluded.status, excluded.updated_at) > (known.round, known.number, known.status, known.updated_at)';

/**
 * New attempts are inserted, and only those that were not there are counted: a record read twice adds nothing. An outcome read
 * before the routing decision creates the delivery, and is not overwritten by it (see `outranks` in fold.ts for the same rule).
 * Answers how many attempts and deliveries were written.
 */
export const mergeDeliveriesAndAttempts = `
  with inserted as (
    insert into audit.attempts (${list(columns.attempts)})
    select ${list(columns.attempts)} from staged_attempts order by delivery_id, round, number, day
    on conflict do nothing
    returning day, delivery_id
  ), counted as (
    select day, delivery_id, count(*)::integer as attempts from inserted group by day, delivery_id
  ), merged as (
    insert into audit.deliveries as known (${list(columns.deliveries)}, attempts)
    select ${list(columns.deliveries, 'staged.')}, coalesce(counted.attempts, 0)
    from staged_deliveries staged left join counted on counted.delivery_id = staged.id and counted.day = staged.day
    order by staged.id, staged.day
    on conflict (id, day) do update set
      attempts = known.attempts + excluded.attempts,
      created_at = least(known.created_at, excluded.created_at),
      ${ofLatestOutcome.map((name) => `${name} = case when ${OUTRANKS} then excluded.${name} else known.${name} end`).join(',\n      ')}
    where excluded.attempts > 0 or excluded.created_at < known.created_at or ${OUTRANKS}
    returning 1
  )
  select (select count(*) from inserted)::integer as attempts, (select count(*) from merged)::integer as deliveries`;

const attemptValues = columns.attempts.filter((name) => !['day', 'delivery_id', 'round', 'number'].includes(name));

/** Only when fewer attempts were inserted than staged: a repeated request shows the stronger of its outcomes. */
export const strengthenAttempts = `
  insert into audit.attempts as known (${list(columns.attempts)})
  select ${list(columns.attempts)} from staged_attempts order by delivery_id, round, number, day
  on conflict (delivery_id, round, number, day) do update set ${attemptValues.map((name) => `${name} = excluded.${name}`).join(', ')}
  where (excluded.status, excluded.started_at) > (known.status, known.started_at)`;

const rejectedEventValues = columns.rejected_events.filter((name) => !['day', 'id'].includes(name));

/** What is known of a refusal stays, but for an earlier judgement of the same record; what became of it is not the records' to say. */
export const mergeRejectedEvents = `
  insert into audit.rejected_events as known (${list(columns.rejected_events)})
  select ${list(columns.rejected_events)} from staged_rejected_events order by id, day
  on conflict (id, day) do update set ${rejectedEventValues.map((name) => `${name} = excluded.${name}`).join(', ')}
  where excluded.rejected_at < known.rejected_at`;
