import { runService, serveDocs } from '@posthorn/service-kit';
import { appModule } from './app.module.js';
import { gatewayConfig } from './config.js';
import { mergedDocument } from './documents.js';
import { registerProxy } from './proxy.js';

await runService({
  name: 'gateway',
  config: gatewayConfig,
  defaultPort: 8080,
  module: appModule,
  fastify: async (instance, config) => {
    const upstreams = {
      'subscription-registry': config.POSTHORN_SUBSCRIPTION_REGISTRY_URL,
      'event-ingestion': config.POSTHORN_EVENT_INGESTION_URL,
      'delivery-audit': config.POSTHORN_DELIVERY_AUDIT_URL,
    };
    await registerProxy(instance, { upstreams });
    serveDocs(instance, 'Posthorn', mergedDocument(upstreams));
  },
});
