import { columns, deliveryParts } from './columns.js';
import { deliveryChange, type DeliveryChange } from '../statistics/deltas.js';
import type { CountedAttempt } from '../statistics/figures.js';
import type { TableName } from './rows.js';

/**
 * The loader's statements, for the tables of a schema. Rows that may be known go from a temporary table, filled by COPY, through `insert …
 * on conflict`: the conflict is found by the primary key of the one partition that the row's day names, so no partition is ever scanned.
 * The rows are sorted by day and that key first, and the tables always come in the same order, so that two replicas that write the same rows wait
 * for each other, not in a circle (but see `order.ts`).
 */
export type Statements = {
  /** Once per session. */
  readonly createStaging: string;
  /** For each table whose rows are kept or replaced as a whole. Changes as many rows as it says. */
  readonly replace: Readonly<Record<ReplacedTable, string>>;
  /** Inserts those that are not there. Answers one row, `AddedAttempts`. */
  readonly addAttempts: string;
  /** Answers one row, `MergedDeliveries`. */
  readonly mergeDeliveries: string;
  /** Only when fewer attempts were inserted than staged: a repeated request shows the stronger of its outcomes. Answers rows, `Strengthened`. */
  readonly strengthenAttempts: string;
};

export type ReplacedTable = Exclude<TableName, 'deliveries' | 'attempts'>;

export type AddedAttempts = {
  /** Which attempts were inserted, as `attemptKey` names them; null when all were. */
  readonly inserted: readonly string[] | null;
};

export type MergedDeliveries = {
  /** How many were inserted or changed. */
  readonly deliveries: number;
  /** Deliveries that had ended before, or did not come to stand as the batch says, with what changed; null where nothing did. For the statistics. */
  readonly unforeseen: readonly { readonly day: string; readonly id: string; readonly change: DeliveryChange | null }[] | null;
};

/** An attempt that now shows another outcome: which, and what it showed before. */
export type Strengthened = {
  readonly day: string;
  readonly delivery_id: string;
  readonly round: number;
  readonly number: number;
  readonly old: CountedAttempt & { readonly started_ms: number };
};

const list = (names: readonly string[], from = ''): string => names.map((name) => from + name).join(', ');

/** By which columns a row is found, and when one that is known gives way: the rules of `fold.ts` once more. */
const replaced: Readonly<Record<ReplacedTable, { readonly key: readonly string[]; readonly by: string }>> = {
  events: { key: ['tenant', 'id', 'day'], by: 'excluded.accepted_at < known.accepted_at' },
  decisions: {
    key: ['tenant', 'event_id', 'day'],
    by: `(excluded.position, coalesce(excluded.near::text, '') collate "C", excluded.near_more)
      > (known.position, coalesce(known.near::text, '') collate "C", known.near_more)`,
  },
  rounds: { key: ['delivery_id', 'round', 'day'], by: '(excluded.at, excluded.actor) < (known.at, known.actor)' },
  cancellations: { key: ['delivery_id', 'round', 'day'], by: '(excluded.at, excluded.actor) < (known.at, known.actor)' },
  // What became of a refused event is not the records' to say.
  rejected_events: { key: ['id', 'day'], by: 'excluded.rejected_at < known.rejected_at' },
  duplicates: { key: ['tenant', 'event_id', 'writer', 'day'], by: 'excluded.count > known.count' },
  configuration: { key: ['stream', 'version'], by: 'false' },
};

export const replacedTables = Object.keys(replaced) as ReplacedTable[]; // What it was declared with

const setting = (names: readonly string[], value: (name: string) => string): string => names.map((name) => `${name} = ${value(name)}`).join(',\n      ');
const excluded = (name: string): string => `excluded.${name}`;

const TEXTS: ReadonlySet<string> = new Set(['tenant', 'id', 'event_id', 'writer', 'stream']);

/** Day by day, as the rows that are copied straight into the tables are; texts by their characters, whatever the language of the database. */
const sortedBy = (key: readonly string[]): readonly string[] =>
  [...(key.includes('day') ? ['day'] : []), ...key.filter((name) => name !== 'day').map((name) => (TEXTS.has(name) ? `${name} collate "C"` : name))];

const replace = (schema: string, table: ReplacedTable): string => {
  const { key, by } = replaced[table];
  const names: readonly string[] = columns[table];
  return `
    insert into ${schema}.${table} as known (${list(names)})
    select ${list(names)} from staged_${table} order by ${list(sortedBy(key))}
    on conflict (${list(key)}) do update set ${setting(names.filter((name) => !key.includes(name)), excluded)}
    where ${by}`;
};

/** When each part of a known delivery gives way to what the batch says, as in `fold.ts`. */
const partBy = {
  origin: 'excluded.created_at < known.created_at',
  standing: `(excluded.round, excluded.status, excluded.number, excluded.updated_at,
        coalesce(excluded.last_status_code, 0), coalesce(excluded.last_error, '') collate "C", coalesce(excluded.next_attempt_at, '-infinity'))
      > (known.round, known.status, known.number, known.updated_at,
        coalesce(known.last_status_code, 0), coalesce(known.last_error, '') collate "C", coalesce(known.next_attempt_at, '-infinity'))`,
  waiting: `excluded.waiting_round is not null and (known.waiting_round is null or
        (excluded.waiting_round, excluded.waiting_number, excluded.waiting_since, coalesce(excluded.waiting_until, '-infinity'),
          excluded.waiting_cause, coalesce(excluded.waiting_behind, ''))
      > (known.waiting_round, known.waiting_number, known.waiting_since, coalesce(known.waiting_until, '-infinity'),
          known.waiting_cause, coalesce(known.waiting_behind, '')))`,
} as const;
const parts = ['origin', 'standing', 'waiting'] as const;

/** New attempts are inserted, and only those that were not there are counted: a record read twice adds nothing. */
const addAttempts = (schema: string): string => `
  with inserted as (
    insert into ${schema}.attempts (${list(columns.attempts)})
    select ${list(columns.attempts)} from staged_attempts order by day, delivery_id, round, number
    on conflict do nothing
    returning day, delivery_id, round, number
  )
  select case when (select count(*) from inserted) < (select count(*) from staged_attempts) then
    (select coalesce(array_agg(concat_ws(' ', day, replace(delivery_id::text, '-', ''), round, number)), '{}') from inserted)
  end as inserted`;

/** Of a delivery before and after: what the statistics follow. */
const FOLLOWED = ['status', 'round', 'created_at', 'finished_at'] as const;

/** An outcome read before the routing decision creates the delivery, and is not overwritten by it. */
const mergeDeliveries = (schema: string): string => `
  with merged as (
    insert into ${schema}.deliveries as known (${list([...columns.deliveries, 'attempts'])})
    select ${list([...columns.deliveries, 'attempts'])} from staged_deliveries order by day, id
    on conflict (id, day) do update set
      attempts = known.attempts + excluded.attempts,
      ${parts.map((part) => setting(deliveryParts[part], (name) => `case when ${partBy[part]} then excluded.${name} else known.${name} end`)).join(',\n      ')}
    where excluded.attempts > 0 or ${parts.map((part) => `(${partBy[part]})`).join(' or ')}
    returning new.day, new.id, new.tenant as new_tenant, new.subscription_id as new_subscription_id,
      ${FOLLOWED.map((name) => `old.${name} as old_${name}, new.${name} as new_${name}`).join(', ')}
  ), unforeseen as (
    select staged.day, replace(staged.id::text, '-', '') as id,
      case when merged.id is not null then (select to_json(change) from (select ${deliveryChange('merged.old_', 'merged.new_')}) as change) end as change
    from staged_deliveries staged left join merged on merged.id = staged.id and merged.day = staged.day
    where coalesce(staged.finished_at, merged.new_finished_at, merged.old_finished_at) is not null
      and (merged.id is null or merged.old_finished_at is not null
        or (${list(FOLLOWED, 'merged.new_')}) is distinct from (${list(FOLLOWED, 'staged.')}))
  )
  select (select count(*) from merged)::integer as deliveries, (select json_agg(unforeseen) from unforeseen) as unforeseen`;

export const attemptKey = ({ day, delivery_id, round, number }: { readonly day: string; readonly delivery_id: string; readonly round: number; readonly number: number }): string =>
  `${day} ${delivery_id} ${round} ${number}`;

const attemptKeyColumns: readonly string[] = ['delivery_id', 'round', 'number', 'day'];

const strengthenAttempts = (schema: string): string => `
  insert into ${schema}.attempts as known (${list(columns.attempts)})
  select ${list(columns.attempts)} from staged_attempts order by day, delivery_id, round, number
  on conflict (${list(attemptKeyColumns)}) do update set ${setting(columns.attempts.filter((name) => !attemptKeyColumns.includes(name)), excluded)}
  where (excluded.status, excluded.started_at, excluded.duration_ms) > (known.status, known.started_at, known.duration_ms)
  returning new.day::text, replace(new.delivery_id::text, '-', '') as delivery_id, new.round, new.number,
    json_build_object('status', old.status, 'started_ms', extract(epoch from old.started_at) * 1000,
      'duration_ms', old.duration_ms, 'error_code', old.error_code) as old`;

/** Of a delivery also how many attempts the batch adds. */
const stagedColumns = (table: TableName): readonly string[] => (table === 'deliveries' ? [...columns.deliveries, 'attempts'] : columns[table]);

const stage = (schema: string, table: TableName): string => `
  create temporary table staged_${table} on commit delete rows as select ${list(stagedColumns(table))} from ${schema}.${table} with no data`;

export const statementsFor = (schema: string): Statements => ({
  createStaging: (Object.keys(columns) as TableName[]).map((table) => stage(schema, table)).join(';'), // What it was declared with
  replace: Object.fromEntries(replacedTables.map((table) => [table, replace(schema, table)])) as Statements['replace'], // One for each
  addAttempts: addAttempts(schema),
  mergeDeliveries: mergeDeliveries(schema),
  strengthenAttempts: strengthenAttempts(schema),
});
