import { Problem } from '@posthorn/service-kit';
import type { ClientBase } from 'pg';
import { SCHEMA } from '../migrations/migrations.js';

/**
 * Guard of every write beneath a tenant. Appends take turns, and the deletion of a tenant is one: what is made beneath it is either made
 * before, and then deleted with it, or finds it gone here.
 * @throws {Problem} `not_found`
 */
export const tenantExists =
  (tenant: string) =>
  async (client: ClientBase): Promise<void> => {
    const { rowCount } = await client.query(`select from ${SCHEMA}.tenants where id = $1`, [tenant]);
    if (rowCount === 0) throw noSuchTenant();
  };

export const noSuchTenant = (): Problem => new Problem('not_found', 'There is no such tenant.');
