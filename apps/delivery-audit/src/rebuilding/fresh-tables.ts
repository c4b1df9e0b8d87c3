import type { Client } from 'pg';
import { createPartitions, partitionedTables, partitionName, statisticsTables, type PartitionedTable } from '../loading/partitions.js';
import { SCHEMA } from '../migrations/migrations.js';
import { MINUTES_KEPT_MS } from '../statistics/folder.js';

/** The tables that are made anew lie here, until they change places with those in use. */
export const FRESH = 'audit_rebuilt';

export const rebuiltTables: readonly PartitionedTable[] = [...partitionedTables, ...statisticsTables];
/** Not partitioned: what is not of a day, and what is not yet in its place. */
const wholeTables = ['configuration', 'statistics_deltas'] as const;

/** Whatever the migrations have made of the tables is made again, empty. What an interrupted rebuild has left is gone. */
export const createFresh = async (client: Client): Promise<void> => {
  await dropFresh(client);
  await client.query(`create schema ${FRESH}`);
  for (const table of rebuiltTables) await client.query(`create table ${FRESH}.${table} (like ${SCHEMA}.${table} including all) partition by range (day)`);
  for (const table of wholeTables) await client.query(`create table ${FRESH}.${table} (like ${SCHEMA}.${table} including all)`);
};

export const dropFresh = async (client: Client): Promise<void> => {
  await client.query(`drop schema if exists ${FRESH} cascade`);
};

const DAY_MS = 86_400_000;
const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 'yyyy-mm-dd'.length);
const dayAfter = (day: string): string => dayOf(Date.parse(day) + DAY_MS);

/** The first day of a table that is rebuilt whole. Figures by minutes are not made again where they are as good as gone. */
export const firstDayIn = (table: string, firstDay: string, nowMs: number): string => {
  const kept = dayAfter(dayOf(nowMs - MINUTES_KEPT_MS));
  return table === 'statistics_minutes' && kept > firstDay ? kept : firstDay;
};

/** The days to be rebuilt that a table has a partition for. */
export const daysFrom = async (client: Client, schema: string, table: PartitionedTable, firstDay: string): Promise<readonly string[]> => {
  const first = firstDayIn(table, firstDay, Date.now());
  const { rows } = await client.query<{ name: string }>(
    `select relname as name from pg_inherits join pg_class on pg_class.oid = inhrelid where inhparent = $1::regclass order by 1`,
    [`${schema}.${table}`],
  );
  return rows.map(({ name }) => name.slice(-8).replace(/^(\d{4})(\d\d)(\d\d)$/, '$1-$2-$3')).filter((day) => day >= first);
};

const DAY_CHECK = 'of_its_day';

/**
 * What would take long while nothing may be written is done before: every day has its partition, which is known to hold no other day's rows (or
 * PostgreSQL would look at each of them as the partition is attached), and is measured for the planner.
 */
export const prepareFresh = async (client: Client, firstDay: string): Promise<void> => {
  for (const table of rebuiltTables) {
    for (const day of await daysFrom(client, SCHEMA, table, firstDay)) await createPartitions(client, FRESH, day, [table]);
    for (const day of await daysFrom(client, FRESH, table, firstDay)) {
      const name = `${FRESH}.${partitionName(table, day)}`;
      const { rowCount } = await client.query(`select from pg_constraint where conrelid = $1::regclass and conname = '${DAY_CHECK}'`, [name]);
      if (rowCount !== 0) continue;
      await client.query(`alter table ${name} add constraint ${DAY_CHECK} check (day >= '${day}' and day < '${dayAfter(day)}')`);
      await client.query(`analyze ${name}`);
    }
  }
};

/** The statements that put a day's fresh partition in the place of the one in use, if there is one. */
export const exchange = (table: PartitionedTable, day: string, isInUse: boolean): string => {
  const name = partitionName(table, day);
  const leave = `alter table ${SCHEMA}.${table} detach partition ${SCHEMA}.${name}; drop table ${SCHEMA}.${name};`;
  return `${isInUse ? leave : ''}
    alter table ${FRESH}.${table} detach partition ${FRESH}.${name};
    alter table ${FRESH}.${name} set schema ${SCHEMA};
    alter table ${SCHEMA}.${table} attach partition ${SCHEMA}.${name} for values from ('${day}') to ('${dayAfter(day)}');
    alter table ${SCHEMA}.${name} drop constraint if exists ${DAY_CHECK};`;
};
