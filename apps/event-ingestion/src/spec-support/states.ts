import type { EventTypeState, TenantState } from '@posthorn/contracts';

const AT = '2026-01-02T03:04:05.678Z';

export const tenantState = (id: string, settings: Partial<TenantState['settings']> = {}): TenantState => ({
  kind: 'tenant',
  id,
  name: id,
  settings: { schema_policy: 'reject', unknown_event_types: 'accept', retention_ms: 86_400_000, ...settings },
  created_at: AT,
  updated_at: AT,
});

export const eventTypeState = (tenant: string, name: string, more: Partial<EventTypeState> = {}): EventTypeState => ({
  kind: 'event_type',
  id: `${tenant}/${name}`,
  tenant,
  name,
  description: '',
  version: 1,
  archived: false,
  created_at: AT,
  updated_at: AT,
  ...more,
});
