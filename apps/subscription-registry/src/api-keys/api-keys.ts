import { hash, randomBytes } from 'node:crypto';
import { newId, type ApiKeyView, type CreateApiKeyBody, type CreatedApiKey, type Page } from '@posthorn/contracts';
import type { ApiKey, ApiKeyContent } from '@posthorn/domain';
import { Problem, type Caller } from '@posthorn/service-kit';
import type { ClientBase } from 'pg';
import type { Aggregates } from '../aggregates.js';
import { invalid } from '../invalid.js';
import { byId, pageOf, type PageRequest } from '../page.js';
import type { Requested } from '../requested.js';
import { refuseUnstorable } from '../storable-text.js';
import { noSuchTenant, tenantExists } from '../tenants/tenant-exists.js';
import type { Written } from '../written.js';
import { apiKeyAggregate, type ApiKeyRow, type ApiKeyTable } from './api-key-table.js';

const KEY_BYTES = 32;
const PREFIX_LENGTH = 12;
const ID = /^key_[0-9a-f]{32}$/;

const viewOf = ({ state, last_used_at }: Pick<ApiKeyRow, 'state' | 'last_used_at'>): ApiKeyView => {
  const { id, name, prefix, scopes, tenant, expires_at, created_at } = state;
  return {
    id,
    name,
    prefix,
    scopes,
    ...(tenant !== undefined && { tenant }),
    ...(expires_at !== undefined && { expires_at }),
    ...(last_used_at !== null && { last_used_at: last_used_at.toISOString() }),
    created_at,
  };
};

const noSuchKey = (): Problem => new Problem('not_found', 'There is no such API key.');

const refusePast = (expiresAt: string | undefined): void => {
  if (expiresAt !== undefined && Date.parse(expiresAt) <= Date.now()) throw invalid('expires_at', 'lies in the past');
};

const revocation = () => ({ kind: 'revoke', at: new Date().toISOString() }) as const;

/** Here the tenant is no part of the path: what is wrong is a member of the request. */
const tenantOfKeyExists =
  (tenant: string) =>
  async (client: ClientBase): Promise<void> => {
    try {
      await tenantExists(tenant)(client);
    } catch (error) {
      throw error instanceof Problem && error.code === 'not_found' ? invalid('tenant', 'there is no such tenant') : error;
    }
  };

/**
 * What can be done with API keys, whatever door asks. Only callers with the scope `admin` come here: those for all tenants do as they
 * like, those of one tenant make, see and revoke keys of that tenant, and of the others learn nothing.
 */
export class ApiKeys {
  readonly #aggregates: Aggregates;
  readonly #table: ApiKeyTable;

  constructor(aggregates: Aggregates, table: ApiKeyTable) {
    this.#aggregates = aggregates;
    this.#table = table;
  }

  /**
   * The answer holds the key, which is told this once: what is stored is its hash.
   * @throws {Problem} `forbidden` for another tenant than the caller's, `invalid`
   */
  create(caller: Pick<Caller, 'tenant'>, body: CreateApiKeyBody, requested: Requested): Promise<Written<CreatedApiKey>> {
    const { name, scopes, tenant, expires_at } = refuseUnstorable(body);
    if (caller.tenant !== undefined && tenant !== caller.tenant) {
      throw new Problem('forbidden', `This API key makes keys for the tenant ${caller.tenant} only.`);
    }
    const id = newId('key');
    const key = `phk_${randomBytes(KEY_BYTES).toString('base64url')}`;
    const content: ApiKeyContent = {
      id,
      name,
      hash: hash('sha256', key, 'hex'),
      prefix: key.slice(0, PREFIX_LENGTH),
      scopes,
      ...(tenant !== undefined && { tenant }),
      ...(expires_at !== undefined && { expires_at: new Date(expires_at).toISOString() }),
    };
    const command = () => {
      refusePast(expires_at);
      return { kind: 'create', key: content, at: new Date().toISOString() } as const;
    };
    return this.#aggregates.change(apiKeyAggregate, id, command, requested, {
      fresh: true,
      guard: tenant === undefined ? undefined : tenantOfKeyExists(tenant),
      answer: ({ state }) => ({ ...viewOf({ state: existing(state), last_used_at: null }), key }),
    });
  }

  /** @throws {Problem} `not_found` for another tenant than the caller's */
  async list(caller: Pick<Caller, 'tenant'>, tenant: string | undefined, page: PageRequest): Promise<Page<ApiKeyView>> {
    if (caller.tenant !== undefined && tenant !== undefined && tenant !== caller.tenant) throw noSuchTenant();
    return pageOf(await this.#table.list(caller.tenant ?? tenant, { ...page, size: page.size + 1 }), page.size, viewOf, byId);
  }

  /** From the answer on no service lets the key in, nor the portal tokens it made. @throws {Problem} `not_found` */
  revoke(caller: Pick<Caller, 'tenant'>, id: string, requested: Requested): Promise<Written<undefined>> {
    // What cannot be an id is not asked for: a text column does not even take some of it.
    if (!ID.test(id)) throw noSuchKey();
    return this.#aggregates.change(apiKeyAggregate, id, revocation, requested, {
      admit: (state) => {
        if (state.kind !== 'api_key' || (caller.tenant !== undefined && state.tenant !== caller.tenant)) throw noSuchKey();
      },
      answer: () => undefined,
    });
  }
}

const existing = (state: ApiKey): ApiKeyRow['state'] => {
  if (state.kind === 'api_key') return state;
  throw new TypeError('an API key that was just made is not there');
};
