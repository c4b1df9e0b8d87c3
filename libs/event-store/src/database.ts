import { setTimeout as delay } from 'node:timers/promises';
import { types } from 'node:util';
import { Client } from 'pg';
import type { MigrationInterface } from 'typeorm';
import { holdingSettings, signsOfLife, SILENCE_MS, type Holding } from './holding.js';

/** SQLSTATE classes of what passes by itself: connection, resources, lock not had in time, operator's intervention, system. */
const PASSING_STATE = /^(?:08...|53...|55...|57...|58...|25P03)$/;
const SYSTEM_ERROR = /^E[A-Z]+$/;
/** What the driver says without a code. */
const CONNECTION_LOST = /^(?:connection terminated|timeout expired|timeout exceeded when trying to connect|query read timeout|client (?:has encountered|was closed))/i;

/** Whether it is the database that is away, rather than the statement that is wrong. */
export const isDatabaseAway = (error: unknown): boolean => {
  // Not `instanceof`: what Node's sockets report is an error of Node's own realm, which is another one where tests run.
  if (!types.isNativeError(error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  return PASSING_STATE.test(code) || SYSTEM_ERROR.test(code) || CONNECTION_LOST.test(error.message);
};

export type Migrations = {
  readonly url: string;
  /** Made if it is not there; the table of migrations lies in it too. */
  readonly schema: string;
  readonly migrations: readonly (new () => MigrationInterface)[];
} & Holding;

/** For a database that can be reached and says nothing. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Who waits for another's migrations asks nothing that could run out of time. */
const KEEP_ALIVE_MS = 10_000;

/** Brings the schema up to date. Replicas that start together take turns: the lock lives as long as the session. */
export const migrate = async ({ url, schema, migrations, silenceMs = SILENCE_MS, signOfLifeMs }: Migrations): Promise<void> => {
  const session = new Client({ connectionString: url, application_name: `posthorn ${schema} migrations`, connectionTimeoutMillis: CONNECT_TIMEOUT_MS, keepAlive: true, keepAliveInitialDelayMillis: KEEP_ALIVE_MS });
  // Idle while the migrations run on a connection of their own: unheard, its loss would end the process. They fail of the same, or are done.
  session.on('error', () => undefined);
  await session.connect();
  let noMoreSigns: (() => void) | undefined;
  try {
    await session.query(holdingSettings(silenceMs));
    await session.query('select pg_advisory_lock(hashtextextended($1, 0))', [`${schema}.migrations`]);
    noMoreSigns = signsOfLife(session, signOfLifeMs);
    await session.query(`create schema if not exists ${schema}`);
    if (await isUpToDate(session, schema, migrations)) return;
    // With the drivers of every database it takes 8 MB and a fifth of a second, which most starts can do without.
    const { DataSource } = await import('typeorm');
    const source = new DataSource({
      type: 'postgres',
      url,
      schema,
      migrations: [...migrations],
      migrationsTransactionMode: 'each',
      applicationName: `posthorn ${schema} migrating`,
      connectTimeoutMS: CONNECT_TIMEOUT_MS,
      // Half made, a migration holds its tables.
      extra: { idle_in_transaction_session_timeout: silenceMs },
    });
    await source.initialize();
    await source.runMigrations().finally(() => source.destroy());
  } finally {
    noMoreSigns?.();
    await session.end();
  }
};

/** By the names that TypeORM remembers, in the table that it has for them. */
const isUpToDate = async (session: Client, schema: string, migrations: Migrations['migrations']): Promise<boolean> => {
  const table = await session.query<{ exists: boolean }>('select to_regclass($1) is not null as exists', [`${schema}.migrations`]);
  if (table.rows[0]?.exists !== true) return false;
  const { rows } = await session.query<{ name: string }>(`select name from ${schema}.migrations`);
  const done = new Set(rows.map(({ name }) => name));
  return migrations.every((Migration) => done.has(new Migration().name ?? Migration.name));
};

/** What `migrateWhenPossible` tells of its waiting. */
export type Waiting = {
  readonly log: { warn(fields: object, message: string): void };
  readonly health: { addReadiness(name: string, check: () => string): void };
};

const RETRY_MS = 1_000;

/** As `migrate`, but a database that does not answer yet is waited for, and said so in the readiness `database`, which is the caller's afterwards. */
export const migrateWhenPossible = async (options: Migrations, { log, health }: Waiting): Promise<void> => {
  let trouble = 'not yet migrated';
  health.addReadiness('database', () => trouble);
  for (;;) {
    try {
      await migrate(options);
      return;
    } catch (err) {
      if (!isDatabaseAway(err)) throw err;
      trouble = err instanceof Error ? err.message : String(err);
      log.warn({ err, retry_ms: RETRY_MS }, 'the database does not answer, trying again');
      await delay(RETRY_MS);
    }
  }
};
