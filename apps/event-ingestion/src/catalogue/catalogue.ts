import type { EventTypeState, TenantState } from '@posthorn/contracts';
import type { RegistryFolder } from '@posthorn/service-kit';
import type { KeptSchema, Schemas } from './schemas.js';

export type Policy = Pick<TenantState['settings'], 'schema_policy' | 'unknown_event_types'>;

/** What is known of an event type: its schema, or that it has none. */
export type KnownType = KeptSchema | 'no schema';

/**
 * The tenants and their event types, folded from `registry.state`. A type is there until it is deleted: an archived one is no longer
 * offered, but its events are still delivered, and so they are still judged. A type may be told of before its tenant: compaction keeps
 * the last record of each.
 */
export class Catalogue {
  readonly #policies = new Map<string, Policy>();
  readonly #types = new Map<string, Map<string, KnownType>>();
  readonly #schemas: Pick<Schemas, 'keep' | 'release'>;

  constructor(schemas: Pick<Schemas, 'keep' | 'release'>) {
    this.#schemas = schemas;
  }

  get tenantCount(): number {
    return this.#policies.size;
  }

  /** Undefined: there is no such tenant. */
  policyOf(tenant: string): Policy | undefined {
    return this.#policies.get(tenant);
  }

  typeOf(tenant: string, name: string): KnownType | undefined {
    return this.#types.get(tenant)?.get(name);
  }

  readonly tenants: RegistryFolder<'tenant'> = {
    changed: ({ id, settings: { schema_policy, unknown_event_types } }) => void this.#policies.set(id, { schema_policy, unknown_event_types }),
    removed: (id) => void this.#policies.delete(id),
  };

  readonly eventTypes: RegistryFolder<'event_type'> = {
    changed: (state) => this.#put(state),
    removed: (id) => this.#remove(id),
  };

  #put({ tenant, name, schema }: Pick<EventTypeState, 'tenant' | 'name' | 'schema'>): void {
    let types = this.#types.get(tenant);
    if (types === undefined) this.#types.set(tenant, (types = new Map()));
    const before = types.get(name);
    types.set(name, schema === undefined ? 'no schema' : this.#schemas.keep(schema));
    this.#release(before);
  }

  /** @param id `<tenant>/<name>` */
  #remove(id: string): void {
    const slash = id.indexOf('/');
    const tenant = id.slice(0, slash);
    const name = id.slice(slash + 1);
    const types = this.#types.get(tenant);
    if (types === undefined) return;
    this.#release(types.get(name));
    types.delete(name);
    if (types.size === 0) this.#types.delete(tenant);
  }

  #release(type: KnownType | undefined): void {
    if (type !== undefined && type !== 'no schema') this.#schemas.release(type);
  }
}
