import { commonConfig, databaseConfig, egressConfig, encryptionConfig, grpcConfig, serviceUrl } from '@posthorn/service-kit';
import { z } from 'zod';

export const registryConfig = z.object({
  ...commonConfig,
  ...grpcConfig,
  ...databaseConfig,
  ...encryptionConfig,
  ...egressConfig,
  POSTHORN_DELIVERY_AUDIT_URL: serviceUrl('delivery audit', 8084),
});
export type RegistryConfig = z.infer<typeof registryConfig>;
