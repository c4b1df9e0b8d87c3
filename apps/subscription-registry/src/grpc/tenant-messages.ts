import type { TenantSettings as SettingsView, TenantView } from '@posthorn/contracts';
import { SchemaPolicy, UnknownEventTypes, type Tenant, type TenantSettings } from '@posthorn/contracts/grpc/registry';
import { durationOf, given, present, toDuration, toTime, words } from '@posthorn/service-kit/grpc';
import type { Maskable } from './update-mask.js';

const schemaPolicies = words(SchemaPolicy, SchemaPolicy.SCHEMA_POLICY_UNSPECIFIED);
const unknownEventTypes = words(UnknownEventTypes, UnknownEventTypes.UNKNOWN_EVENT_TYPES_UNSPECIFIED);

const settingsOf = ({ schema_policy, unknown_event_types, retention }: TenantSettings) =>
  present({
    schema_policy: schemaPolicies.of(schema_policy),
    unknown_event_types: unknownEventTypes.of(unknown_event_types),
    retention: durationOf(retention),
  });

const changeable = (tenant: Tenant) => present({ name: given(tenant.name), settings: tenant.settings && settingsOf(tenant.settings) });

/** `POST /v1/tenants`; nothing at all when there is no tenant in the call. */
export const newTenantOf = (tenant: Tenant | undefined): unknown => tenant && present({ id: given(tenant.id), ...changeable(tenant) });

/** `PATCH /v1/tenants/{tenant}` */
export const changedTenantOf = (tenant: Tenant | undefined): Maskable => ({
  body: tenant ? changeable(tenant) : {},
  memberwise: ['settings'],
  empties: {},
});

const toSettings = (view: SettingsView): TenantSettings => ({
  schema_policy: schemaPolicies.to(view.schema_policy),
  unknown_event_types: unknownEventTypes.to(view.unknown_event_types),
  retention: toDuration(view.retention),
});

export const toTenant = ({ id, name, settings, version, created_at, updated_at }: TenantView): Tenant => ({
  id,
  name,
  settings: toSettings(settings),
  version,
  created_at: toTime(created_at),
  updated_at: toTime(updated_at),
});
