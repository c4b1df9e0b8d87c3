import { commonConfig, databaseConfig, grpcConfig, integer, serviceUrl } from '@posthorn/service-kit';
import { z } from 'zod';

export const auditConfig = z.object({
  ...commonConfig,
  ...grpcConfig,
  ...databaseConfig,
  POSTHORN_EVENT_INGESTION_URL: serviceUrl('event ingestion', 8082),
  POSTHORN_TAIL_WATCHERS: integer(1, 10_000).default(200).describe('Tails of deliveries that may be open in a process; each may hold half a MiB for a watcher that reads slowly'),
  POSTHORN_TAIL_WATCHERS_PER_KEY: integer(1, 10_000).default(20).describe('Tails that may be open in a process by one API key, or by the portal tokens that it made for one tenant'),
});
export type AuditConfig = z.output<typeof auditConfig>;
