import { isDatabaseAway } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import { shareWriteLock } from '../loading/write-lock.js';
import { SCHEMA } from '../migrations/migrations.js';
import type { Queryable } from '../registry/subscriptions.js';

/** A lost connection also fails the query under way, which is where it is handled; unheard, the event would end the process. */
const ignore = (): void => undefined;

/** What the driver has, as the queries ask it. */
export const queryable = (client: Pick<ClientBase, 'query'>): Queryable => ({
  query: async <Row>(sql: string, parameters: readonly unknown[] = []) => (await client.query(sql, [...parameters])).rows as Row[], // as the statement has it
});

/** @throws {Problem} `unavailable` when PostgreSQL does not answer */
export const asking = async <T>(answer: Promise<T>): Promise<T> => {
  try {
    return await answer;
  } catch (cause) {
    throw isDatabaseAway(cause) ? new Problem('unavailable', 'The database of the audit does not answer.', { cause }) : cause;
  }
};

/** Of a transaction that may write what is folded too: none of it while a rebuild changes the tables. */
export const BEGIN = `begin; ${shareWriteLock(SCHEMA)}`;

/** All of it or nothing. What is thrown undoes it and is passed on. */
export const inTransaction = async <T>(pool: Pool, work: (client: ClientBase) => Promise<T>): Promise<T> => {
  const client = await pool.connect();
  client.on('error', ignore);
  let broken: Error | undefined;
  try {
    await client.query(BEGIN);
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    broken = await client.query('rollback').then(() => undefined, (rollbackError: Error) => rollbackError);
    throw error;
  } finally {
    // A connection that cannot even roll back is closed rather than lent out again.
    client.off('error', ignore);
    client.release(broken);
  }
};
