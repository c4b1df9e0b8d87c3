import { TENANT_ID, type CreateTenantBody, type Page, type TenantState, type TenantView } from '@posthorn/contracts';
import type { Tenant } from '@posthorn/domain';
import { Problem } from '@posthorn/service-kit';
import type { Aggregates, Standing } from '../aggregates.js';
import { pageOf, type PageRequest } from '../page.js';
import { refuseUnstorable } from '../storable-text.js';
import { tenantAggregate, type TenantTable } from './tenant-table.js';

export const DEFAULT_TENANT = 'default';

export const viewOfTenant = ({ id, name }: TenantState): TenantView => ({ id, name });

/** What can be done with tenants, whatever door asks. */
export class Tenants {
  readonly #aggregates: Aggregates;
  readonly #table: TenantTable;

  constructor(aggregates: Aggregates, table: TenantTable) {
    this.#aggregates = aggregates;
    this.#table = table;
  }

  /** @throws {Problem} `already_exists` */
  async create(body: CreateTenantBody, actor: string): Promise<{ readonly view: TenantView; readonly standing: Standing<Tenant> }> {
    const { id, name = id } = refuseUnstorable(body);
    const at = new Date().toISOString();
    const standing = await this.#aggregates.change(tenantAggregate, id, { kind: 'create', id, name, at }, { actor });
    return { view: { id, name }, standing };
  }

  /** Makes the tenant that exists from the start, unless it does; another replica may be faster. */
  async ensureDefault(actor: string): Promise<void> {
    if (await this.#table.find(DEFAULT_TENANT)) return;
    try {
      await this.create({ id: DEFAULT_TENANT, name: 'Default' }, actor);
    } catch (error) {
      if (!(error instanceof Problem && error.code === 'already_exists')) throw error;
    }
  }

  /** @throws {Problem} `not_found` */
  async get(id: string): Promise<{ readonly view: TenantView; readonly version: number }> {
    // What cannot be an id is not asked for: a text column does not even take some of it.
    const row = TENANT_ID.test(id) ? await this.#table.find(id) : null;
    if (!row) throw new Problem('not_found', 'There is no such tenant.');
    return { view: viewOfTenant(row.state), version: row.version };
  }

  async list({ after, size }: PageRequest): Promise<Page<TenantView>> {
    return pageOf(await this.#table.list(after, size + 1), size, ({ state }) => viewOfTenant(state));
  }
}
