import type { Client } from 'pg';
import { statisticsTables } from '../loading/partitions.js';
import { SCHEMA } from '../migrations/migrations.js';
import { Figures } from '../statistics/figures.js';
import { FRESH, firstDayIn, rebuiltTables } from './fresh-tables.js';

/** How a row in use differs from the one that follows from the topics. */
export type Difference = {
  readonly table: string;
  readonly day: string | undefined;
  /** The values of its key, in the words of the table. */
  readonly key: string;
  readonly kind: 'missing' | 'surplus' | 'different';
  /** Of the two rows' contents: a row is the same difference as before only as long as neither has changed. */
  readonly hashes: string;
};

/** What no topic says. */
const NOT_FOLDED: Readonly<Record<string, readonly string[]>> = { rejected_events: ['published_as', 'published_at'] };

/** Figures from which everything was taken away again are as good as none. */
const NO_FIGURES = `figures <> '\\x${new Figures().encode().toString('hex')}'`;
const worthComparing = (table: string): string => (isStatistics(table) ? ` and ${NO_FIGURES}` : '');
const isStatistics = (table: string): boolean => (statisticsTables as readonly string[]).includes(table);

const compared: readonly string[] = [...rebuiltTables, 'configuration'];

type Form = { readonly table: string; readonly key: readonly string[]; readonly columns: readonly string[]; readonly hasDay: boolean };

const formOf = async (client: Client, table: string): Promise<Form> => {
  const { rows } = await client.query<{ name: string; in_key: boolean }>(
    `select attname as name, attnum = any(conkey) as in_key
     from pg_attribute join pg_constraint on conrelid = attrelid and contype = 'p'
     where attrelid = $1::regclass and attnum > 0 and not attisdropped order by attnum`,
    [`${SCHEMA}.${table}`],
  );
  const columns = rows.map(({ name }) => name).filter((name) => !NOT_FOLDED[table]?.includes(name));
  return { table, key: rows.flatMap(({ name, in_key }) => (in_key ? [name] : [])), columns, hasDay: columns.includes('day') };
};

const hashOf = ({ columns }: Form, alias: string): string => `hashtextextended(row(${columns.map((name) => `${alias}.${name}`).join()})::text, 0)`;

/** A content hash of each day of a table, in use and fresh: the days for which they are not the same. A table without days is one. */
const differingDays = async (client: Client, form: Form, firstDay: string): Promise<readonly (string | undefined)[]> => {
  const day = form.hasDay ? 'day::text' : `''`;
  const where = (form.hasDay ? 'where day >= $1::date' : 'where $1::text is not null') + worthComparing(form.table);
  const of = (schema: string): string =>
    `select ${day} as day, count(*) as rows, sum(${hashOf(form, 'rows')}::numeric) as hash from ${schema}.${form.table} as rows ${where} group by 1`;
  const { rows } = await client.query<{ day: string }>(
    `select day from (${of(SCHEMA)}) as present full join (${of(FRESH)}) as fresh using (day)
     where (present.rows, present.hash) is distinct from (fresh.rows, fresh.hash) order by 1`,
    [firstDay],
  );
  return rows.map((row) => (row.day === '' ? undefined : row.day));
};

const differencesOfDay = async (client: Client, form: Form, day: string | undefined, limit: number): Promise<readonly Difference[]> => {
  const { table, key } = form;
  const where = (day === undefined ? 'where $1::text is null' : 'where day = $1::date') + worthComparing(table);
  const of = (schema: string): string => `select ${key.join()}, ${hashOf(form, 'rows')} as hash from ${schema}.${table} as rows ${where}`;
  const { rows } = await client.query<{ key: string; present: string | null; fresh: string | null }>(
    `select concat_ws(' ', ${key.filter((name) => name !== 'day').join()}) as key, present.hash as present, fresh.hash as fresh
     from (${of(SCHEMA)}) as present full join (${of(FRESH)}) as fresh using (${key.join()})
     where present.hash is distinct from fresh.hash order by ${key.join()} limit $2`,
    [day ?? null, limit],
  );
  return rows.map((row) => ({
    table,
    day,
    key: row.key,
    kind: row.present === null ? 'missing' : row.fresh === null ? 'surplus' : 'different',
    hashes: `${row.present} ${row.fresh}`,
  }));
};

/** A partition, or a table that has none. */
export const placeOf = ({ table, day = '' }: Pick<Difference, 'table' | 'day'>): string => `${table} ${day}`;

/**
 * The first `limit` differences from `firstDay` on, by table, day and key, at one moment.
 * @param places to look at; all when it is undefined
 */
export const compareTables = async (client: Client, firstDay: string, limit: number, places?: ReadonlySet<string>): Promise<readonly Difference[]> => {
  const differences: Difference[] = [];
  await client.query('begin isolation level repeatable read read only');
  try {
    for (const table of compared) {
      const form = await formOf(client, table);
      const days = await differingDays(client, form, firstDayIn(table, firstDay, Date.now()));
      for (const day of days.filter((one) => places?.has(placeOf({ table, day: one })) ?? true)) {
        differences.push(...(await differencesOfDay(client, form, day, limit - differences.length)));
        if (differences.length >= limit) return differences;
      }
    }
    return differences;
  } finally {
    await client.query('rollback');
  }
};
