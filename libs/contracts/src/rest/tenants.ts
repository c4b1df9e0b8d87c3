import { z } from 'zod';
import { durationBetween } from './durations.js';
import { displayName, tenantId, timestamp } from './names.js';

export const schemaPolicy = z
  .enum(['off', 'warn', 'reject'])
  .describe("What becomes of an event whose data does not fit its type's JSON Schema: nothing, a note in the log, or a refusal");
export const unknownEventTypes = z.enum(['accept', 'reject']).describe('What becomes of an event whose type is not in the catalogue');
const retention = durationBetween('1d', '3650d').describe('How long events, deliveries and attempts are kept');

export const defaultTenantSettings = { schema_policy: 'warn', unknown_event_types: 'accept', retention: '720h' } as const;

export const tenantSettings = z.strictObject({
  schema_policy: schemaPolicy,
  unknown_event_types: unknownEventTypes,
  retention,
});
export type TenantSettings = z.infer<typeof tenantSettings>;

/** `POST /v1/tenants` */
export const createTenantBody = z
  .strictObject({
    id: tenantId,
    name: displayName.optional().describe('The id unless given'),
    settings: tenantSettings.partial().optional(),
  })
  .meta({ id: 'CreateTenant' });
export type CreateTenantBody = z.infer<typeof createTenantBody>;

/** `PATCH /v1/tenants/{tenant}`: `settings` member by member. */
export const updateTenantBody = z
  .strictObject({ name: displayName.optional(), settings: tenantSettings.partial().optional() })
  .meta({ id: 'UpdateTenant' });
export type UpdateTenantBody = z.infer<typeof updateTenantBody>;

export const tenantView = z
  .object({ id: tenantId, name: z.string(), settings: tenantSettings, version: z.number().int(), created_at: timestamp, updated_at: timestamp })
  .meta({ id: 'Tenant' });
export type TenantView = Readonly<z.infer<typeof tenantView>>;
