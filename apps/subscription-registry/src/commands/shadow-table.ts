import type { ClientBase } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';
import type { ReadModel } from '../read-model.js';

/*
 * A table of a read model, made anew beside the one in use. Its form is taken from the catalogue, so that whatever the migrations have
 * made of the table is made again: columns, constraints, indexes, what is sampled of a column. Names are ours, none needs quoting.
 * Not taken over are rights that were granted on the table by hand.
 */

const SUFFIX = '_rebuilt';

export const shadowOf = ({ table }: ReadModel): string => `${table}${SUFFIX}`;

type Definition = { readonly name: string; readonly definition: string };

const primaryKeysOf = `select conname as name, pg_get_constraintdef(oid) as definition
  from pg_constraint where conrelid = $1::regclass and contype = 'p'`;
const uniquesOf = `select conname as name, pg_get_constraintdef(oid) as definition
  from pg_constraint where conrelid = $1::regclass and contype = 'u'`;
const indexesOf = `select indexname as name, indexdef as definition from pg_indexes
  where format('%s.%s', schemaname, tablename)::regclass = $1::regclass
    and not exists (select from pg_constraint where conrelid = $1::regclass and conname = indexname)`;

const ask = async (client: ClientBase, question: string, table: string): Promise<readonly Definition[]> => {
  const { rows } = await client.query<Definition>(question, [`${SCHEMA}.${table}`]);
  return rows;
};

/** An empty table with a primary key, and without other indexes, which cost least when the rows are there. */
export const createShadow = async (client: ClientBase, readModel: ReadModel): Promise<void> => {
  const { table } = readModel;
  const shadow = `${SCHEMA}.${shadowOf(readModel)}`;
  await dropShadow(client, readModel);
  await client.query(`create table ${shadow} (like ${SCHEMA}.${table} including all excluding indexes)`);
  for (const { name, definition } of await ask(client, primaryKeysOf, table)) {
    await client.query(`alter table ${shadow} add constraint ${name}${SUFFIX} ${definition}`);
  }
  const { rows: sampled } = await client.query<{ column: string; target: number }>(
    `select attname as column, attstattarget as target from pg_attribute where attrelid = $1::regclass and attnum > 0 and attstattarget > 0`,
    [`${SCHEMA}.${table}`],
  );
  for (const { column, target } of sampled) await client.query(`alter table ${shadow} alter column ${column} set statistics ${target}`);
};

/** Makes it as quick to read as the table it stands for. */
export const indexShadow = async (client: ClientBase, readModel: ReadModel): Promise<void> => {
  const { table } = readModel;
  const shadow = `${SCHEMA}.${shadowOf(readModel)}`;
  for (const { name, definition } of await ask(client, uniquesOf, table)) {
    await client.query(`alter table ${shadow} add constraint ${name}${SUFFIX} ${definition}`);
  }
  for (const { name, definition } of await ask(client, indexesOf, table)) {
    const there = `INDEX ${name} ON ${SCHEMA}.${table} `;
    if (!definition.includes(there)) throw new TypeError(`the index ${name} is not where it was expected: ${definition}`);
    await client.query(definition.replace(there, `INDEX ${name}${SUFFIX} ON ${shadow} `));
  }
  await client.query(`analyze ${shadow}`);
};

/**
 * Puts the shadow in the place of the table, at the commit of the client's transaction. Nobody reads or writes the table meanwhile, and
 * what it holds beside what follows from events (when a key was last used) is taken along.
 */
export const swapShadow = async (client: ClientBase, readModel: ReadModel): Promise<void> => {
  const { table } = readModel;
  const shadow = shadowOf(readModel);
  const constraints = [...(await ask(client, primaryKeysOf, table)), ...(await ask(client, uniquesOf, table))];
  const indexes = await ask(client, indexesOf, table);
  await client.query(`lock table ${SCHEMA}.${table} in access exclusive mode`);
  await takeAlong(client, readModel);
  await client.query(`drop table ${SCHEMA}.${table}`);
  await client.query(`alter table ${SCHEMA}.${shadow} rename to ${table}`);
  for (const { name } of constraints) {
    await client.query(`alter table ${SCHEMA}.${table} rename constraint ${name}${SUFFIX} to ${name}`);
  }
  for (const { name } of indexes) await client.query(`alter index ${SCHEMA}.${name}${SUFFIX} rename to ${name}`);
};

export const dropShadow = async (client: ClientBase, readModel: ReadModel): Promise<void> => {
  await client.query(`drop table if exists ${SCHEMA}.${shadowOf(readModel)}`);
};

const takeAlong = async (client: ClientBase, readModel: ReadModel): Promise<void> => {
  const { rows } = await client.query<{ name: string }>(
    `select attname as name from pg_attribute
     where attrelid = $1::regclass and attnum > 0 and not attisdropped and attname <> all($2)`,
    [`${SCHEMA}.${readModel.table}`, readModel.columns.map(({ name }) => name)],
  );
  if (rows.length === 0) return;
  const values = rows.map(({ name }) => `${name} = present.${name}`);
  await client.query(
    `update ${SCHEMA}.${shadowOf(readModel)} as shadow set ${values.join()} from ${SCHEMA}.${readModel.table} as present
     where present.id = shadow.id`,
  );
};

/** How a row in use differs from the one that follows from the events. */
export type Difference = { readonly table: string; readonly id: string; readonly kind: 'missing' | 'surplus' | 'different' };

/** The first `limit` differences, by id. */
export const compareShadow = async (client: ClientBase, readModel: ReadModel, limit: number): Promise<readonly Difference[]> => {
  const { table, columns } = readModel;
  const row = (alias: string): string => `row(${columns.map(({ name }) => `${alias}.${name}`).join()})`;
  const { rows } = await client.query<Omit<Difference, 'table'>>(
    `select coalesce(present.id, shadow.id) as id,
       case when present.id is null then 'missing' when shadow.id is null then 'surplus' else 'different' end as kind
     from ${SCHEMA}.${table} as present full join ${SCHEMA}.${shadowOf(readModel)} as shadow on shadow.id = present.id
     where present.id is null or shadow.id is null or ${row('present')} is distinct from ${row('shadow')}
     order by 1 limit $1`,
    [limit],
  );
  return rows.map((difference) => ({ table, ...difference }));
};
