import { TENANT_ID } from '@posthorn/contracts';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase, Pool } from 'pg';
import { changeOf, type Aggregates, type Change } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';
import type { Requested } from '../requested.js';
import { Turns } from '../turns.js';
import type { Written } from '../written.js';
import { noSuchTenant, whileNothingIsMadeBeneath } from './tenant-exists.js';
import { tenantAggregate, type TenantTable } from './tenant-table.js';
import { DEFAULT_TENANT, requireTenant } from './tenants.js';

/** A kind of thing that belongs to tenants: its table, which has a column `tenant`, and how one of them is deleted. */
export type Belonging = { readonly table: string; readonly deletion: (id: string, at: string) => Change<unknown> };

/** Aggregates in one transaction. */
const AT_ONCE = 1_000;
/** Each holds a connection for as long as it takes, and uses another: of the ten there are, most are left to the other writers. */
const DELETIONS_AT_ONCE = 2;

/**
 * Deletes a tenant and everything beneath it: in bites, each with its domain events, and the tenant itself together with the last of
 * them. Cut off half way, it is a tenant with less beneath it, and can be deleted again.
 */
export class TenantDeletion {
  readonly #parts: {
    readonly aggregates: Aggregates;
    readonly tenants: TenantTable;
    readonly pool: Pool;
    readonly belongings: readonly Belonging[];
  };

  readonly #turns = new Turns(DELETIONS_AT_ONCE);

  constructor(parts: { aggregates: Aggregates; tenants: TenantTable; pool: Pool; belongings: readonly Belonging[] }) {
    this.#parts = parts;
  }

  /** When it is its turn. @throws {Problem} `not_found`, `version_mismatch`; `conflict` for the default tenant */
  async delete(tenant: string, requested: Requested): Promise<Written<undefined>> {
    await this.#admit(tenant, requested);
    return this.#turns.take(() => {
      requested.signal?.throwIfAborted();
      return asking(whileNothingIsMadeBeneath(this.#parts.pool, tenant, () => this.#deleteAll(tenant, requested)));
    });
  }

  async #deleteAll(tenant: string, requested: Requested): Promise<Written<undefined>> {
    for (;;) {
      const changes = await this.#beneath(tenant);
      if (changes.length < AT_ONCE) return this.#finish(tenant, changes, requested);
      await this.#parts.aggregates.changeMany(changes, { by: requested.by }, { answer: () => undefined });
    }
  }

  /** Before anything beneath it goes. */
  async #admit(tenant: string, { precondition }: Requested): Promise<void> {
    const row = TENANT_ID.test(tenant) ? await this.#parts.tenants.find(tenant) : null;
    if (!row) throw noSuchTenant();
    if (precondition && !precondition(row.version)) {
      throw new Problem('version_mismatch', `${tenant} is at version ${row.version}.`, { currentVersion: row.version });
    }
    if (tenant === DEFAULT_TENANT) throw new Problem('conflict', 'The default tenant cannot be deleted.');
  }

  async #finish(tenant: string, beneath: readonly Change<unknown>[], requested: Requested): Promise<Written<undefined>> {
    const { precondition } = requested;
    const at = new Date().toISOString();
    const last = changeOf(tenantAggregate, tenant, () => ({ kind: 'delete', at }) as const, { admit: requireTenant, precondition });
    const guard = async (client: ClientBase): Promise<void> => {
      const known = new Set(beneath.map(({ id }) => id));
      const there = await this.#idsBeneath(client, tenant);
      // Only when the connection that held the lock was lost.
      if (there.some(({ id }) => !known.has(id))) throw new Problem('conflict', 'Others wrote beneath the tenant; try again.');
    };
    return this.#parts.aggregates.changeMany([...beneath, last], requested, { guard, answer: () => undefined });
  }

  /** How the first of what is beneath the tenant are deleted. */
  async #beneath(tenant: string): Promise<readonly Change<unknown>[]> {
    const at = new Date().toISOString();
    const ids = await asking(this.#idsBeneath(this.#parts.pool, tenant));
    return ids.flatMap(({ table, id }) => this.#parts.belongings.find((belonging) => belonging.table === table)?.deletion(id, at) ?? []);
  }

  async #idsBeneath(client: ClientBase | Pool, tenant: string): Promise<readonly { readonly table: string; readonly id: string }[]> {
    const { belongings } = this.#parts;
    const { rows } = await client.query<{ table: string; id: string }>(
      `${belongings.map(({ table }) => `select '${table}' as table, id from ${SCHEMA}.${table} where tenant = $1`).join(' union all ')}
       limit ${AT_ONCE}`,
      [tenant],
    );
    return rows;
  }
}
