import {
  defaultTenantSettings,
  durationMs,
  TENANT_ID,
  type CreateTenantBody,
  type Page,
  type TenantSettings,
  type TenantView,
  type UpdateTenantBody,
} from '@posthorn/contracts';
import type { Tenant, TenantSettingsState } from '@posthorn/domain';
import { Problem, type Caller } from '@posthorn/service-kit';
import type { Aggregates } from '../aggregates.js';
import { byId, pageOf, type PageRequest } from '../page.js';
import type { Standing } from '../read-model.js';
import type { Requested } from '../requested.js';
import { refuseUnstorable } from '../storable-text.js';
import type { Written } from '../written.js';
import { noSuchTenant } from './tenant-exists.js';
import { tenantAggregate, type TenantTable } from './tenant-table.js';
import { viewOfTenant } from './tenant-view.js';

export const DEFAULT_TENANT = 'default';

/** What can be done with tenants, whatever door asks; but for deleting them, which takes everything beneath along. */
export class Tenants {
  readonly #aggregates: Aggregates;
  readonly #table: TenantTable;

  constructor(aggregates: Aggregates, table: TenantTable) {
    this.#aggregates = aggregates;
    this.#table = table;
  }

  /** @throws {Problem} `already_exists`, also when there was one of this id */
  create(body: CreateTenantBody, requested: Requested): Promise<Written<TenantView>> {
    const { id, name = id, settings } = refuseUnstorable(body);
    const command = {
      kind: 'create',
      id,
      name,
      settings: { ...DEFAULT_SETTINGS, ...settingsOf(settings ?? {}) },
      at: new Date().toISOString(),
    } as const;
    return this.#aggregates.change(tenantAggregate, id, () => command, requested, { answer: viewOf });
  }

  /** Makes the tenant that exists from the start, unless it does; another replica may be faster. */
  async ensureDefault(actor: string): Promise<void> {
    if (await this.#table.find(DEFAULT_TENANT)) return;
    try {
      await this.create({ id: DEFAULT_TENANT, name: 'Default' }, { by: { actor } });
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'already_exists')) throw error;
    }
  }

  /** What is present replaces, `settings` member by member. */
  update(id: string, body: UpdateTenantBody, requested: Requested): Promise<Written<TenantView>> {
    if (!TENANT_ID.test(id)) throw noSuchTenant();
    const { name, settings } = refuseUnstorable(body);
    const command = {
      kind: 'update',
      name,
      settings: settings && settingsOf(settings),
      at: new Date().toISOString(),
    } as const;
    return this.#aggregates.change(tenantAggregate, id, () => command, requested, { admit: requireTenant, answer: viewOf });
  }

  /** @throws {Problem} `not_found` */
  async get(id: string): Promise<TenantView> {
    // What cannot be an id is not asked for: a text column does not even take some of it.
    const row = TENANT_ID.test(id) ? await this.#table.find(id) : null;
    if (!row) throw noSuchTenant();
    return viewOfTenant(row.state, row.version);
  }

  /** Those that the caller has a right to, by id. */
  async listFor({ tenant }: Pick<Caller, 'tenant'>, { after, size }: PageRequest): Promise<Page<TenantView>> {
    if (tenant !== undefined) return { data: tenant > after ? [await this.get(tenant)] : [] };
    const rows = await this.#table.list({ after, size: size + 1 });
    return pageOf(rows, size, ({ state, version }) => viewOfTenant(state, version), byId);
  }
}

/** @throws {Problem} `not_found` */
export const requireTenant = (state: Tenant): void => {
  if (state.kind !== 'tenant') throw noSuchTenant();
};

/** Those that are given. */
const settingsOf = ({ schema_policy, unknown_event_types, retention }: Partial<TenantSettings>): Partial<TenantSettingsState> => ({
  ...(schema_policy && { schema_policy }),
  ...(unknown_event_types && { unknown_event_types }),
  ...(retention !== undefined && { retention_ms: durationMs(retention) }),
});

const DEFAULT_SETTINGS: TenantSettingsState = {
  schema_policy: defaultTenantSettings.schema_policy,
  unknown_event_types: defaultTenantSettings.unknown_event_types,
  retention_ms: durationMs(defaultTenantSettings.retention),
};

const viewOf = ({ id, state, version }: Standing<Tenant>): TenantView => {
  if (state.kind !== 'tenant') throw new TypeError(`${id} is ${state.kind} after it was written`);
  return viewOfTenant(state, version);
};
