import { runService } from '@posthorn/service-kit';
import { registryApi } from './api.js';
import { registryModule } from './app.module.js';
import { allowLargeBatches } from './body-limits.js';
import { registryConfig } from './config.js';

await runService({
  name: 'subscription-registry',
  config: registryConfig,
  defaultPort: 8081,
  module: registryModule,
  fastify: allowLargeBatches,
  api: registryApi,
});
