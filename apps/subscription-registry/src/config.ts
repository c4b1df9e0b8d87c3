import { commonConfig, databaseConfig, egressConfig, encryptionConfig } from '@posthorn/service-kit';
import { z } from 'zod';

export const registryConfig = z.object({ ...commonConfig, ...databaseConfig, ...encryptionConfig, ...egressConfig });
export type RegistryConfig = z.infer<typeof registryConfig>;
