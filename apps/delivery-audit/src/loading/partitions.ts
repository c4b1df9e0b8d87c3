import type { Client } from 'pg';
import type { TableName } from './rows.js';

/** Every table that has a partition for each day; a rebuild, the retention and the tests go by this list. */
export const partitionedTables = ['events', 'decisions', 'deliveries', 'attempts', 'rounds', 'cancellations', 'rejected_events', 'duplicates'] as const satisfies TableName[];
/** Those of the statistics have one for each day that they tell of. */
export const statisticsTables = ['statistics_minutes', 'statistics_hours'] as const;
export type PartitionedTable = (typeof partitionedTables)[number] | (typeof statisticsTables)[number];

/** Serialises the making of partitions among replicas; each comes after the other's commit and finds them made. */
export const partitionLock = 'select pg_advisory_xact_lock(7163002)';

const DAY_MS = 86_400_000;

/** `events`, `2026-11-21` → `events_20261121`. */
export const partitionName = (table: PartitionedTable, day: string): string => `${table}_${day.replaceAll('-', '')}`;

const dayAfter = (day: string): string => new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, day.length);

/**
 * Makes the partitions of one day, those that are missing. A table is made first and attached then, as attaching lets reads and writes
 * of the other days go on, which `create table … partition of` would lock out.
 */
export const createPartitions = async (
  client: Client,
  schema: string,
  day: string,
  tables: readonly PartitionedTable[] = partitionedTables,
): Promise<void> => {
  await client.query('begin');
  await client.query(partitionLock);
  for (const table of tables) {
    const name = partitionName(table, day);
    const { rows } = await client.query<{ missing: boolean }>('select to_regclass($1) is null as missing', [`${schema}.${name}`]);
    if (rows[0]?.missing !== true) continue;
    await client.query(`create table ${schema}.${name} (like ${schema}.${table} including defaults including storage including compression)`);
    await client.query(`alter table ${schema}.${table} attach partition ${schema}.${name} for values from ('${day}') to ('${dayAfter(day)}')`);
  }
  await client.query('commit');
};
