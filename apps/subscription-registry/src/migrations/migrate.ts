import { eventStoreMigrations } from '@posthorn/event-store';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { ReadModel1795255200001 } from './1795255200001-read-model.js';

export const SCHEMA = 'registry';

/** Brings the schema up to date. Replicas that start together take turns: the lock lives as long as the session. */
export const migrate = async (databaseUrl: string): Promise<void> => {
  const session = new Client({ connectionString: databaseUrl, application_name: 'posthorn registry migrations' });
  await session.connect();
  try {
    await session.query(`select pg_advisory_lock(hashtextextended('${SCHEMA}.migrations', 0))`);
    await session.query(`create schema if not exists ${SCHEMA}`);
    const source = await new DataSource({
      type: 'postgres',
      url: databaseUrl,
      schema: SCHEMA,
      migrations: [...eventStoreMigrations(SCHEMA), ReadModel1795255200001],
      migrationsTransactionMode: 'each',
    }).initialize();
    await source.runMigrations().finally(() => source.destroy());
  } finally {
    await session.end();
  }
};
