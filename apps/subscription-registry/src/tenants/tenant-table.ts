import type { TenantState } from '@posthorn/contracts';
import { tenant, type Tenant, type TenantCommand, type TenantEvent } from '@posthorn/domain';
import { EntitySchema, MoreThan, type Repository } from 'typeorm';
import type { AggregateType } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';
import type { PageRequest } from '../page.js';

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
  table: 'tenants',
  columns: [
    { name: 'id', type: 'text' },
    { name: 'version', type: 'integer' },
    { name: 'state', type: 'jsonb' },
  ],
  rowOf: ({ id, version, state }) => (state.kind === 'tenant' ? [id, version, state] : undefined),
};

export class TenantTable {
  readonly #rows: Repository<TenantRow>;

  constructor(rows: Repository<TenantRow>) {
    this.#rows = rows;
  }

  find(id: string): Promise<TenantRow | null> {
    return asking(this.#rows.findOneBy({ id }));
  }

  /** By id. */
  list({ after, size }: PageRequest): Promise<readonly TenantRow[]> {
    return asking(this.#rows.find({ where: { id: MoreThan(after) }, order: { id: 'asc' }, take: size }));
  }
}
