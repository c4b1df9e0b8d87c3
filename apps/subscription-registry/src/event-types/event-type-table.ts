import type { EventTypeState, EventTypeView } from '@posthorn/contracts';
import { eventType, eventTypeId, type EventType, type EventTypeCommand, type EventTypeEvent } from '@posthorn/domain';
import { Problem } from '@posthorn/service-kit';
import type { ClientBase } from 'pg';
import { EntitySchema, In, type Repository } from 'typeorm';
import type { AggregateType } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';
import type { PageRequest } from '../page.js';

export type EventTypeRow = {
  readonly id: string;
  readonly version: number;
  readonly tenant: string;
  readonly name: string;
  readonly archived: boolean;
  readonly state: EventTypeState;
};

export const eventTypeRows = new EntitySchema<EventTypeRow>({
  name: 'event_type',
  schema: SCHEMA,
  tableName: 'event_types',
  columns: {
    id: { type: 'text', primary: true },
    version: { type: 'integer' },
    tenant: { type: 'text' },
    name: { type: 'text' },
    archived: { type: 'boolean' },
    state: { type: 'jsonb' },
  },
});

export const eventTypeAggregate: AggregateType<EventTypeCommand, EventType, EventTypeEvent> = {
  kind: 'event_type',
  decider: eventType,
  table: 'event_types',
  columns: [
    { name: 'id', type: 'text' },
    { name: 'version', type: 'integer' },
    { name: 'tenant', type: 'text' },
    { name: 'name', type: 'text' },
    { name: 'archived', type: 'boolean' },
    { name: 'state', type: 'jsonb' },
  ],
  rowOf: ({ id, version, state }) =>
    state.kind === 'event_type' ? [id, version, state.tenant, state.name, state.archived, state] : undefined,
};

export const viewOfEventType = ({ kind: _kind, id: _id, ...view }: EventTypeState): EventTypeView => view;

/** Of one tenant, archived ones included: every event's type is looked up in them. */
export const EVENT_TYPES_PER_TENANT = 10_000;

/**
 * Guard of what makes new types, to be asked before their rows are written.
 * @throws {Problem} `conflict` when there would be too many
 */
export const roomForTypes =
  (tenant: string) =>
  async (client: ClientBase, added: number): Promise<void> => {
    const room = EVENT_TYPES_PER_TENANT - added;
    // Reads as many entries of the index as there are types, at most the limit: a millisecond or two, and only for new types.
    const { rowCount } =
      room < 0
        ? { rowCount: 1 }
        : await client.query(`select from ${SCHEMA}.event_types where tenant = $1 offset $2 limit 1`, [tenant, room]);
    if (rowCount !== 0) throw new Problem('conflict', `A tenant has at most ${EVENT_TYPES_PER_TENANT} event types.`);
  };

export type EventTypeFilter = {
  readonly archived?: boolean | undefined;
  /** Part of the name, in any case. */
  readonly nameContains?: string | undefined;
};

export class EventTypeTable {
  readonly #rows: Repository<EventTypeRow>;

  constructor(rows: Repository<EventTypeRow>) {
    this.#rows = rows;
  }

  find(tenant: string, name: string): Promise<EventTypeRow | null> {
    return asking(this.#rows.findOneBy({ id: eventTypeId(tenant, name) }));
  }

  /** Those of these names that there are. */
  async findAll(tenant: string, names: readonly string[]): Promise<ReadonlyMap<string, EventTypeState>> {
    const rows = await asking(this.#rows.findBy({ id: In(names.map((name) => eventTypeId(tenant, name))) }));
    return new Map(rows.map(({ name, state }) => [name, state]));
  }

  /** By name, after `after`. */
  list(tenant: string, { after, size }: PageRequest, { archived, nameContains }: EventTypeFilter): Promise<readonly EventTypeRow[]> {
    const query = this.#rows.createQueryBuilder('t').where('t.tenant = :tenant and t.name > :after', { tenant, after });
    if (archived !== undefined) query.andWhere('t.archived = :archived', { archived });
    if (nameContains !== undefined) query.andWhere('strpos(t.name, :part) > 0', { part: nameContains.toLowerCase() });
    return asking(query.orderBy('t.name').limit(size).getMany());
  }
}
