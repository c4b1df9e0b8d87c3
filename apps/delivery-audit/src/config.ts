import { commonConfig, databaseConfig, serviceUrl } from '@posthorn/service-kit';
import { z } from 'zod';

export const auditConfig = z.object({
  ...commonConfig,
  ...databaseConfig,
  POSTHORN_EVENT_INGESTION_URL: serviceUrl('event ingestion', 8082),
});
export type AuditConfig = z.output<typeof auditConfig>;
