import { processConfig, serviceUrl, z } from '@posthorn/service-kit';

const { POSTHORN_ADMIN_API_KEY: _checkedByTheServices, ...ownProcess } = processConfig;

export const gatewayConfig = z.object({
  ...ownProcess,
  POSTHORN_SUBSCRIPTION_REGISTRY_URL: serviceUrl('subscription registry', 8081),
  POSTHORN_EVENT_INGESTION_URL: serviceUrl('event ingestion', 8082),
  POSTHORN_DISPATCHER_URL: serviceUrl('dispatcher', 8083),
  POSTHORN_DELIVERY_AUDIT_URL: serviceUrl('delivery audit', 8084),
});

export type GatewayConfig = z.infer<typeof gatewayConfig>;
