import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { AuditTables1763700000000 } from './1763700000000-audit-tables.js';

/** Any number that no other part of Posthorn locks; replicas that start together migrate one after the other. */
const MIGRATION_LOCK = 7_163_001;

/** Brings schema `audit` of this database up to date; the table of migrations lies in the schema itself. */
export const migrate = async (databaseUrl: string): Promise<void> => {
  const session = new Client({ connectionString: databaseUrl, application_name: 'posthorn delivery-audit migrations' });
  await session.connect();
  try {
    await session.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await session.query('create schema if not exists audit');
    const source = new DataSource({
      type: 'postgres',
      url: databaseUrl,
      schema: 'audit',
      migrations: [AuditTables1763700000000],
      migrationsTableName: 'migrations',
      migrationsTransactionMode: 'each',
    });
    await source.initialize();
    try {
      await source.runMigrations();
    } finally {
      await source.destroy();
    }
  } finally {
    // Ends the session, and with it the lock.
    await session.end();
  }
};
