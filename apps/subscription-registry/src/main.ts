import { runService, VERSION } from '@posthorn/service-kit';
import { registryModule } from './app.module.js';
import { allowLargeBatches } from './body-limits.js';
import { registryConfig } from './config.js';

await runService({
  name: 'subscription-registry',
  config: registryConfig,
  defaultPort: 8081,
  module: registryModule,
  fastify: allowLargeBatches,
  api: { title: 'Posthorn subscription registry', description: 'Tenants, event types, subscriptions and keys.', version: VERSION },
});
