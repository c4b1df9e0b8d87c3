import { holdingSettings, signsOfLife, type Holding } from '@posthorn/event-store';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';

/**
 * Guard of every write that makes something beneath a tenant. It shares a lock until its commit that the deletion of the tenant holds
 * alone: what is made beneath it is either there when the deletion begins, and deleted with it, or refused here.
 * @throws {Problem} `not_found`; `conflict` while the tenant is being deleted
 */
export const tenantExists =
  (tenant: string) =>
  async (client: ClientBase): Promise<void> => {
    const { rows } = await client.query<{ is_free: boolean; is_there: boolean }>(
      `select pg_try_advisory_xact_lock_shared(${DELETION_LOCK}) as is_free,
              exists(select from ${SCHEMA}.tenants where id = $1) as is_there`,
      [tenant],
    );
    if (rows[0]?.is_free !== true) throw new Problem('conflict', 'The tenant is being deleted.');
    if (!rows[0].is_there) throw noSuchTenant();
  };

/** Key of the advisory lock on everything beneath tenant `$1`. */
const DELETION_LOCK = `hashtextextended('${SCHEMA}.tenant.' || $1, 0)`;

/** A connection that is lost while it only keeps the lock: unlocking fails, which is where it is handled; unheard, it would end the process. */
const ignore = (): void => {};

/**
 * Works while nothing can be made beneath the tenant. The lock is the session's, so that it ends with the process: a deletion that was cut
 * off leaves no tenant that refuses for ever; nor does one whose process is frozen.
 */
export const whileNothingIsMadeBeneath = async <T>(pool: Pool, tenant: string, work: () => Promise<T>, { silenceMs, signOfLifeMs }: Holding = {}): Promise<T> => {
  const client = await pool.connect();
  client.on('error', ignore);
  let noMoreSigns: (() => void) | undefined;
  try {
    await client.query(holdingSettings(silenceMs));
    await client.query(`select pg_advisory_lock(${DELETION_LOCK})`, [tenant]);
    noMoreSigns = signsOfLife(client, signOfLifeMs);
    return await work().finally(() => client.query(`select pg_advisory_unlock(${DELETION_LOCK})`, [tenant]));
  } finally {
    noMoreSigns?.();
    client.off('error', ignore);
    // Lent out no more: kept in the pool, it would be ended for its silence; and after an error it is not known whether the lock is still held.
    client.release(true);
  }
};

export const noSuchTenant = (): Problem => new Problem('not_found', 'There is no such tenant.');
