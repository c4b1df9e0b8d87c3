import type { ApiKeyState } from '@posthorn/contracts';
import { apiKey, type ApiKey, type ApiKeyCommand, type ApiKeyEvent } from '@posthorn/domain';
import { EntitySchema, MoreThan, type Repository } from 'typeorm';
import type { AggregateType } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';
import type { PageRequest } from '../page.js';

export type ApiKeyRow = {
  readonly id: string;
  readonly tenant: string | null;
  readonly state: ApiKeyState;
  /** To within a minute; not folded from events but from `keys.used`. */
  readonly last_used_at: Date | null;
};

export const apiKeyRows = new EntitySchema<ApiKeyRow>({
  name: 'api_key',
  schema: SCHEMA,
  tableName: 'api_keys',
  columns: {
    id: { type: 'text', primary: true },
    tenant: { type: 'text', nullable: true },
    state: { type: 'jsonb' },
    last_used_at: { type: 'timestamptz', nullable: true },
  },
});

export const apiKeyAggregate: AggregateType<ApiKeyCommand, ApiKey, ApiKeyEvent> = {
  kind: 'api_key',
  decider: apiKey,
  table: 'api_keys',
  columns: [
    { name: 'id', type: 'text' },
    { name: 'version', type: 'integer' },
    { name: 'tenant', type: 'text' },
    { name: 'hash', type: 'text' },
    { name: 'state', type: 'jsonb' },
  ],
  rowOf: ({ id, version, state }) =>
    state.kind === 'api_key' ? [id, version, state.tenant ?? null, state.hash, state] : undefined,
};

export class ApiKeyTable {
  readonly #rows: Repository<ApiKeyRow>;

  constructor(rows: Repository<ApiKeyRow>) {
    this.#rows = rows;
  }

  /** By id, which is by age. @param tenant undefined: those of every tenant, and those for all of them */
  list(tenant: string | undefined, { after, size }: PageRequest): Promise<readonly ApiKeyRow[]> {
    const where = { id: MoreThan(after), ...(tenant !== undefined && { tenant }) };
    return asking(this.#rows.find({ where, order: { id: 'asc' }, take: size }));
  }
}
