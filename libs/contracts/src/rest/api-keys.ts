import { z } from 'zod';
import { displayName, tenantId, timeInUtc, timestamp } from './names.js';
import { pageQuery } from './pages.js';

/** `admin` holds all others; without a tenant it also holds the tenants and the keys themselves. `write` does not hold `read`. */
export const scope = z.enum(['admin', 'registry:read', 'registry:write', 'events:write', 'audit:read', 'audit:write']);
export type Scope = z.infer<typeof scope>;

const scopes = z
  .array(scope)
  .min(1)
  .max(scope.options.length)
  .refine((given) => new Set(given).size === given.length, 'each scope once');

/** `POST /v1/api-keys` */
export const createApiKeyBody = z
  .strictObject({
    name: displayName,
    scopes,
    tenant: tenantId.optional().describe('The only tenant it has a right to; all when absent'),
    expires_at: timeInUtc.optional(),
  })
  .meta({ id: 'CreateApiKey' });
export type CreateApiKeyBody = z.infer<typeof createApiKeyBody>;

export const apiKeyView = z
  .object({
    id: z.string(),
    name: z.string(),
    prefix: z.string().describe('The first characters of the key'),
    scopes,
    tenant: z.string().optional(),
    expires_at: timestamp.optional(),
    last_used_at: timestamp.optional().describe('To within a minute'),
    created_at: timestamp,
  })
  .meta({ id: 'ApiKey' });
export type ApiKeyView = Readonly<z.infer<typeof apiKeyView>>;

export const createdApiKey = apiKeyView.extend({ key: z.string().describe('`phk_…`, told this once') }).meta({ id: 'CreatedApiKey' });
export type CreatedApiKey = Readonly<z.infer<typeof createdApiKey>>;

export const apiKeysQuery = z.strictObject({ ...pageQuery, tenant: tenantId.optional().describe('Only the keys of this tenant') });

/** What a portal token may hold: what the people of one tenant may do for themselves. */
export const portalScope = z.enum(['registry:read', 'registry:write', 'audit:read', 'audit:write']);
export type PortalScope = z.infer<typeof portalScope>;

/** `POST /v1/tenants/{tenant}/portal-tokens` */
export const createPortalTokenBody = z
  .strictObject({ scopes: z.array(portalScope).min(1).max(4).optional().describe('All four unless given') })
  .meta({ id: 'CreatePortalToken' });
export type CreatePortalTokenBody = z.infer<typeof createPortalTokenBody>;

export const portalToken = z
  .object({ token: z.string(), tenant: z.string(), scopes: z.array(portalScope), expires_at: timestamp })
  .meta({ id: 'PortalToken' });
export type PortalToken = Readonly<z.infer<typeof portalToken>>;
