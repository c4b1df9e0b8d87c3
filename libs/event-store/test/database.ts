import { randomBytes } from 'node:crypto';
import { Client, Pool } from 'pg';
import { DataSource } from 'typeorm';
import { eventStoreMigrations } from '../src/index.js';

/** A database of its own with one migrated store in the schema `store`. */
export type TestDatabase = { readonly url: string; readonly pool: Pool; readonly drop: () => Promise<void> };

const admin = async <T>(url: string, work: (client: Client) => Promise<T>): Promise<T> => {
  const client = new Client(url);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
};

export const createDatabase = async (): Promise<TestDatabase> => {
  const server = process.env['POSTHORN_DATABASE_URL'] ?? '';
  const name = `t_${randomBytes(6).toString('hex')}`;
  await admin(server, (client) => client.query(`create database ${name}`));
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  await admin(url, (client) => client.query('create schema store'));
  const source = await new DataSource({
    type: 'postgres',
    url,
    schema: 'store',
    migrations: eventStoreMigrations('store'),
  }).initialize();
  await source.runMigrations();
  await source.destroy();
  const pool = new Pool({ connectionString: url });
  pool.on('error', () => undefined);
  const drop = async (): Promise<void> => {
    await pool.end();
    await admin(server, (client) => client.query(`drop database ${name} with (force)`));
  };
  return { url, pool, drop };
};
