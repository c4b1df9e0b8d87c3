import type { TenantState } from '@posthorn/contracts';
import { tenant, type Tenant, type TenantCommand, type TenantEvent } from '@posthorn/domain';
import { EntitySchema, MoreThan, type Repository } from 'typeorm';
import type { AggregateType } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';

export type TenantRow = { readonly id: string; readonly version: number; readonly state: TenantState };

export const tenantRows = new EntitySchema<TenantRow>({
  name: 'tenant',
  schema: SCHEMA,
  tableName: 'tenants',
  columns: { id: { type: 'text', primary: true }, version: { type: 'integer' }, state: { type: 'jsonb' } },
});

export const tenantAggregate: AggregateType<TenantCommand, Tenant, TenantEvent> = {
  kind: 'tenant',
  decider: tenant,
  project: async (client, { id, version, state }) => {
    await client.query(
      `insert into ${SCHEMA}.tenants (id, version, state) values ($1, $2, $3)
       on conflict (id) do update set version = excluded.version, state = excluded.state`,
      [id, version, state],
    );
  },
};

export class TenantTable {
  readonly #rows: Repository<TenantRow>;

  constructor(rows: Repository<TenantRow>) {
    this.#rows = rows;
  }

  find(id: string): Promise<TenantRow | null> {
    return asking(this.#rows.findOneBy({ id }));
  }

  /** By id, after `after`. */
  list(after: string, limit: number): Promise<readonly TenantRow[]> {
    return asking(this.#rows.find({ where: { id: MoreThan(after) }, order: { id: 'asc' }, take: limit }));
  }
}
