import { copyRows, type Cell, type NewEvent } from '@posthorn/event-store';
import type { ClientBase } from 'pg';
import { SCHEMA } from './migrations/migrations.js';
import type { AggregateKind } from './streams.js';

/** An aggregate as it stands. */
export type Standing<State> = {
  readonly id: string;
  /** Of its stream: how many events it is folded from. */
  readonly version: number;
  /** Of its last event in the whole store. */
  readonly position: number;
  readonly state: State;
};

export type Column = {
  readonly name: string;
  readonly type: 'text' | 'integer' | 'boolean' | 'text[]' | 'jsonb' | 'timestamptz';
};

/**
 * How a kind of aggregate is told as rows of a table: the only place that says so, for the row that is written with an event and for
 * the table that is made anew from all events. `evolve` and `rowOf` are methods so that read models of different states can stand in
 * one list: whoever walks the list hands each one only what came from itself.
 */
export type ReadModel<State = unknown> = {
  readonly kind: AggregateKind;
  readonly decider: { readonly initialState: State; evolve(state: State, event: NewEvent): State };
  /** Name within the schema `registry`. */
  readonly table: string;
  /** Of what follows from events, first the primary key `id`. Columns that are not named here are left alone. */
  readonly columns: readonly Column[];
  /** Values in the order of the columns; undefined when there is to be no row. */
  rowOf(standing: Standing<State>): readonly unknown[] | undefined;
};

/**
 * Brings the rows of these aggregates up to date: one statement for all that are there, one for all that are not.
 * @param standings each aggregate once
 */
export const writeRows = async <State>(
  client: ClientBase,
  readModel: ReadModel<State>,
  standings: readonly Standing<State>[],
  table = readModel.table,
): Promise<void> => {
  const { columns } = readModel;
  const rows: object[] = [];
  const gone: string[] = [];
  for (const standing of standings) {
    const values = readModel.rowOf(standing);
    if (values) rows.push(Object.fromEntries(columns.map(({ name }, index) => [name, values[index]])));
    else gone.push(standing.id);
  }
  if (rows.length > 0) {
    const names = columns.map(({ name }) => name);
    // A recordset, because `unnest` would flatten the arrays of texts; of json, which is a fifth quicker than one of jsonb.
    await client.query(
      `insert into ${SCHEMA}.${table} (${names.join()})
       select ${names.join()} from json_to_recordset($1::json) as new (${columns.map(({ name, type }) => `${name} ${type}`).join()})
       on conflict (id) do update set ${names.slice(1).map((name) => `${name} = excluded.${name}`).join()}`,
      [JSON.stringify(rows)],
    );
  }
  if (gone.length > 0) await client.query(`delete from ${SCHEMA}.${table} where id = any($1)`, [gone]);
};

/** Adds rows to a table in which none of these aggregates has one: twice as quick as bringing them up to date. */
export const addRows = async <State>(
  client: ClientBase,
  readModel: ReadModel<State>,
  standings: readonly Standing<State>[],
  table: string,
): Promise<void> => {
  const { columns } = readModel;
  const rows = standings.flatMap((standing) => {
    const values = readModel.rowOf(standing);
    return values ? [Object.fromEntries(columns.map(({ name, type }, index) => [name, cellOf(type, values[index])]))] : [];
  });
  await copyRows(client, `${SCHEMA}.${table}`, columns.map(({ name }) => name), rows);
};

/** A value as COPY takes it. */
const cellOf = (type: Column['type'], value: unknown): Cell => {
  if (value === undefined || value === null) return null;
  if (type === 'jsonb') return JSON.stringify(value);
  // Within an array's braces a quoted text is spelled almost as in JSON: the backslash guards it and the quote.
  if (type === 'text[]') return `{${(value as readonly string[]).map((text) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`).join()}}`;
  return String(value);
};
