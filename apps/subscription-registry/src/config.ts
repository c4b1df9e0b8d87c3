import { commonConfig, databaseConfig, egressConfig, encryptionConfig, grpcConfig } from '@posthorn/service-kit';
import { z } from 'zod';

export const registryConfig = z.object({ ...commonConfig, ...grpcConfig, ...databaseConfig, ...encryptionConfig, ...egressConfig });
export type RegistryConfig = z.infer<typeof registryConfig>;
