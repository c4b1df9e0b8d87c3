import { durationText, type TenantState, type TenantView } from '@posthorn/contracts';

/** As the API shows it. */
export const viewOfTenant = ({ id, name, settings, created_at, updated_at }: TenantState, version: number): TenantView => ({
  id,
  name,
  settings: {
    schema_policy: settings.schema_policy,
    unknown_event_types: settings.unknown_event_types,
    retention: durationText(settings.retention_ms),
  },
  version,
  created_at,
  updated_at,
});
