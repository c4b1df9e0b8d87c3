import type { SubscriptionState } from '@posthorn/contracts';
import { prefixesOf, subscription, type Subscription, type SubscriptionCommand, type SubscriptionEvent } from '@posthorn/domain';
import { EntitySchema, type Repository } from 'typeorm';
import type { AggregateType } from '../aggregates.js';
import { asking } from '../database.js';
import { SCHEMA } from '../migrations/migrations.js';
import type { PageRequest } from '../page.js';

export type SubscriptionRow = {
  readonly id: string;
  readonly version: number;
  readonly tenant: string;
  readonly name: string;
  readonly enabled: boolean;
  readonly event_types: readonly string[];
  readonly state: SubscriptionState;
};

export type ShownSubscription = Pick<SubscriptionRow, 'id' | 'version' | 'state'>;

export const subscriptionRows = new EntitySchema<SubscriptionRow>({
  name: 'subscription',
  schema: SCHEMA,
  tableName: 'subscriptions',
  columns: {
    id: { type: 'text', primary: true },
    version: { type: 'integer' },
    tenant: { type: 'text' },
    name: { type: 'text' },
    enabled: { type: 'boolean' },
    event_types: { type: 'text', array: true },
    state: { type: 'jsonb' },
  },
});

export const subscriptionAggregate: AggregateType<SubscriptionCommand, Subscription, SubscriptionEvent> = {
  kind: 'subscription',
  decider: subscription,
  table: 'subscriptions',
  columns: [
    { name: 'id', type: 'text' },
    { name: 'version', type: 'integer' },
    { name: 'tenant', type: 'text' },
    { name: 'name', type: 'text' },
    { name: 'enabled', type: 'boolean' },
    { name: 'event_types', type: 'text[]' },
    { name: 'state', type: 'jsonb' },
  ],
  rowOf: ({ id, version, state }) =>
    state.kind === 'subscription' ? [id, version, state.tenant, state.name, state.enabled, state.event_types, state] : undefined,
};

export type SubscriptionFilter = {
  /** Subscriptions that an event of this type would match, wildcards included. */
  readonly eventType?: string | undefined;
  readonly enabled?: boolean | undefined;
  /** Part of the name, in any case. */
  readonly nameContains?: string | undefined;
};

/** Every pattern that matches the type. */
const patternsMatching = (type: string): readonly string[] => ['*', type, ...prefixesOf(type).map((prefix) => `${prefix}.*`)];

const likeContaining = (text: string): string => `%${text.replaceAll(/[\\%_]/g, String.raw`\$&`)}%`;

/** Of a row in a list; the rest of the columns is there to choose by, and costs half of the reading. */
const SHOWN = ['s.id', 's.version', 's.state'];

export class SubscriptionTable {
  readonly #rows: Repository<SubscriptionRow>;

  constructor(rows: Repository<SubscriptionRow>) {
    this.#rows = rows;
  }

  find(tenant: string, id: string): Promise<SubscriptionRow | null> {
    return asking(this.#rows.findOneBy({ tenant, id }));
  }

  list(tenant: string, { after, size }: PageRequest, filter: SubscriptionFilter): Promise<readonly ShownSubscription[]> {
    const { eventType, enabled, nameContains } = filter;
    const query = this.#rows.createQueryBuilder('s').select(SHOWN).where('s.tenant = :tenant and s.id > :after', { tenant, after });
    if (eventType !== undefined) query.andWhere('s.event_types && array[:...patterns]', { patterns: patternsMatching(eventType) });
    if (enabled !== undefined) query.andWhere('s.enabled = :enabled', { enabled });
    if (nameContains !== undefined) query.andWhere('s.name ilike :name', { name: likeContaining(nameContains) });
    return asking(query.orderBy('s.id').limit(size).getMany());
  }
}
