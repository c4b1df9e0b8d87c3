import { commonConfig, databaseConfig } from '@posthorn/service-kit';
import { z } from 'zod';

export const auditConfig = z.object({ ...commonConfig, ...databaseConfig });
export type AuditConfig = z.output<typeof auditConfig>;
