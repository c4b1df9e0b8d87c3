import { runService } from '@posthorn/service-kit';
import { registryApi } from './api.js';
import { registryModule } from './app.module.js';
import { allowLargeBatches } from './body-limits.js';
import { registryConfig } from './config.js';
import { registryCalls } from './grpc/registry-calls.js';

await runService({
  name: 'subscription-registry',
  config: registryConfig,
  defaultPort: 8081,
  module: registryModule,
  fastify: allowLargeBatches,
  grpc: { defaultPort: 9081, services: registryCalls },
  api: registryApi,
});
