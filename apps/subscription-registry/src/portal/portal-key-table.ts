import type { PortalKeyState } from '@posthorn/contracts';
import { portalKey, type PortalKey, type PortalKeyCommand, type PortalKeyEvent } from '@posthorn/domain';
import { EntitySchema, type Repository } from 'typeorm';
import type { AggregateType } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';

export type PortalKeyRow = { readonly id: string; readonly state: PortalKeyState };

export const portalKeyRows = new EntitySchema<PortalKeyRow>({
  name: 'portal_key',
  schema: SCHEMA,
  tableName: 'portal_keys',
  columns: { id: { type: 'text', primary: true }, state: { type: 'jsonb' } },
});

export const portalKeyAggregate: AggregateType<PortalKeyCommand, PortalKey, PortalKeyEvent> = {
  kind: 'portal_key',
  decider: portalKey,
  table: 'portal_keys',
  columns: [
    { name: 'id', type: 'text' },
    { name: 'version', type: 'integer' },
    { name: 'state', type: 'jsonb' },
  ],
  rowOf: ({ id, version, state }) => (state.kind === 'portal_key' ? [id, version, state] : undefined),
};

export class PortalKeyTable {
  readonly #rows: Repository<PortalKeyRow>;

  constructor(rows: Repository<PortalKeyRow>) {
    this.#rows = rows;
  }

  async newest(): Promise<PortalKeyState | undefined> {
    const [row] = await asking(this.#rows.find({ order: { id: 'desc' }, take: 1 }));
    return row?.state;
  }
}
