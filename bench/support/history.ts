/**
 * A history of many rows, made in PostgreSQL by SQL: thirty days, twenty tenants with ten subscriptions each, ten deliveries an event, one delivery in four
 * with a second attempt, one in a hundred failed. Partitions of past days are filled before they have indexes, and are not logged: they are thrown away with the
 * benchmark, and read like any other. Nor are they vacuumed: what is that old has been vacuumed long ago, and would not be while the benchmark measures.
 */
import { Client } from 'pg';

export const DAYS = 30;
export const TENANTS = 20;
const EACH = 10;
const DAY_MS = 86_400_000;
/** Attempts of so many deliveries. */
const ATTEMPTS_PER_DELIVERY = 1.25;
const WORKERS = 2;

const TABLES = ['events', 'deliveries', 'attempts'] as const;
type Table = (typeof TABLES)[number];

export const tenantName = (n: number): string => `bench-${n % TENANTS}`;
/** As the SQL below makes them. */
export const SUBSCRIPTION_SQL = `'sub_' || md5('s' || (n / ${EACH}) % ${TENANTS} || '-' || n % ${EACH})`;

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

/** Rows n of `from` to `to` of a day; a delivery's number gives everything about it. */
const fillings = (day: string, from: number, to: number): Readonly<Record<Table, string>> => {
  const at = `timestamptz '${day}T00:00:00Z' + ((n - ${from})::float8 / ${Math.max(1, to - from)}) * interval '86399 s'`;
  const deliveries = `generate_series(${from}::bigint, ${to - 1}::bigint) as n`;
  const event = `md5('e' || n / ${EACH})`;
  const tenant = `'bench-' || (n / ${EACH}) % ${TENANTS}`;
  const status = `case when n % 100 = 0 then 'failed' when n % 1000 = 7 then 'retrying' else 'delivered' end::audit.delivery_status`;
  return {
    events: `(day, tenant, id, type, source, subject, time, accepted_at, data)
      select '${day}', ${tenant}, 'evt_' || ${event}, case when n % 70 = 0 then 'order.placed' else 'invoice.paid' end, '/bench', 'inv/' || (n / ${EACH}) % 100000, '', ${at}, '{"total":42.5}'
      from generate_series(${from}::bigint, ${to - 1}::bigint, ${EACH}) as n`,
    deliveries: `(day, id, tenant, event_id, event_type, subject, subscription_id, created_at, round, number, status, updated_at, last_status_code, finished_at, attempts)
      select '${day}', md5('d' || n)::uuid, ${tenant}, 'evt_' || ${event}, case when (n / ${EACH}) % 7 = 0 then 'order.placed' else 'invoice.paid' end, 'inv/' || (n / ${EACH}) % 100000, ${SUBSCRIPTION_SQL},
        ${at}, 0, case when n % 4 = 0 then 2 else 1 end, ${status}, ${at}, 200, ${at}, case when n % 4 = 0 then 2 else 1 end
      from ${deliveries}`,
    attempts: `(day, delivery_id, round, number, trigger, status, started_at, duration_ms, status_code, exchange)
      select '${day}', md5('d' || n)::uuid, 0, attempt, case when attempt = 1 then 'first' else 'retry' end, ${status}, ${at}, n % 300, 200,
        '["https://hooks.example.com/in/' || n % 200 || '",[0,12,-1,"evt_' || ${event} || '",-2,0,-3,"v1,' || md5('s' || n) || '=========="],0,[-7,1,0,-8,"15",15,-9,"nginx/1.24.0"],"{\\"received\\":true}",0]'
      from ${deliveries}, generate_series(1, case when n % 4 = 0 then 2 else 1 end) as attempt`,
  };
};

/** The indexes and the key of a table, for a partition of it that is still apart. */
const indexing = async (client: Client, table: Table, partition: string): Promise<readonly string[]> => {
  const { rows: keys } = await client.query<{ definition: string }>(
    `select pg_get_constraintdef(oid) as definition from pg_constraint where conrelid = $1::regclass and contype in ('p', 'u')`,
    [`audit.${table}`],
  );
  const { rows: indexes } = await client.query<{ definition: string }>(
    `select pg_get_indexdef(indexrelid) as definition from pg_index where indrelid = $1::regclass
       and not exists (select from pg_constraint where conindid = indexrelid)`,
    [`audit.${table}`],
  );
  return [
    ...keys.map(({ definition }) => `alter table audit.${partition} add ${definition}`),
    ...indexes.map(({ definition }) => definition.replace(/INDEX \S+ ON (?:ONLY )?\S+/, `INDEX ON audit.${partition}`)),
  ];
};

const makePastDay = async (client: Client, day: string, from: number, to: number): Promise<void> => {
  const next = dayOf(Date.parse(day) + DAY_MS);
  for (const table of TABLES) {
    const partition = `${table}_${day.replaceAll('-', '')}`;
    await client.query(`create unlogged table audit.${partition} (like audit.${table} including defaults including storage including compression, check (day >= '${day}' and day < '${next}')) with (autovacuum_enabled = off)`);
    await client.query(`insert into audit.${partition} ${fillings(day, from, to)[table]}`);
    for (const statement of await indexing(client, table, partition)) await client.query(statement);
    await client.query(`alter table audit.${table} attach partition audit.${partition} for values from ('${day}') to ('${next}')`);
  }
};

/** Today has its partitions, with their indexes, and whoever loads writes into them. */
const makeToday = async (client: Client, day: string, from: number, to: number): Promise<void> => {
  const filling = fillings(day, from, to);
  for (const table of TABLES) await client.query(`insert into audit.${table} ${filling[table]}`);
};

export type History = {
  readonly attempts: number;
  readonly deliveries: number;
  readonly seconds: number;
};

/** @param attempts about so many rows of attempts, and the deliveries and events that belong to them */
export const makeHistory = async (databaseUrl: string, attempts: number, tell: (line: string) => void): Promise<History> => {
  const startedMs = performance.now();
  const perDay = Math.ceil(attempts / ATTEMPTS_PER_DELIVERY / DAYS / EACH) * EACH;
  const today = Date.now();
  const days = Array.from({ length: DAYS }, (_, ago) => ({ day: dayOf(today - ago * DAY_MS), from: ago * perDay, isToday: ago === 0 }));
  const queue = days.values();
  let made = 0;
  await Promise.all(
    Array.from({ length: WORKERS }, async () => {
      const client = new Client(databaseUrl);
      await client.connect();
      await client.query(`set maintenance_work_mem = '256MB'; set max_parallel_maintenance_workers = 0; set synchronous_commit = off; set jit = off`);
      for (const { day, from, isToday } of queue) {
        await (isToday ? makeToday : makePastDay)(client, day, from, from + perDay);
        made++;
        if (made % 5 === 0) tell(`${made} of ${DAYS} days, ${Math.round((performance.now() - startedMs) / 1_000)} s`);
      }
      await client.end();
    }),
  );
  const client = new Client(databaseUrl);
  await client.connect();
  for (const table of TABLES) await client.query(`analyze audit.${table}`);
  await client.query('checkpoint');
  const { rows } = await client.query<{ attempts: string }>('select count(*) as attempts from audit.attempts');
  await client.end();
  return { attempts: Number(rows[0]?.attempts ?? 0), deliveries: perDay * DAYS, seconds: (performance.now() - startedMs) / 1_000 };
};
