import { Controller, Get, Module, type DynamicModule } from '@nestjs/common';
import { Open, VERSION, type KitWithoutKafka } from '@posthorn/service-kit';
import type { GatewayConfig } from './config.js';
import { upstreamStates } from './upstream-states.js';

@Controller()
class RootController {
  @Get()
  @Open()
  root(): object {
    return { name: 'posthorn', version: VERSION, links: { api: '/v1', docs: '/docs', health: '/healthz', readiness: '/readyz', metrics: '/metrics' } };
  }
}

@Module({ controllers: [RootController] })
class AppModule {}

/**
 * The gateway is ready as soon as it runs: with one service away it still serves the others, and taking it out of rotation would
 * help nobody. Which services answer is told beside.
 */
export const appModule = (config: GatewayConfig, { health }: Pick<KitWithoutKafka, 'health'>): DynamicModule => {
  const urls = {
    'subscription-registry': config.POSTHORN_SUBSCRIPTION_REGISTRY_URL,
    'event-ingestion': config.POSTHORN_EVENT_INGESTION_URL,
    dispatcher: config.POSTHORN_DISPATCHER_URL,
    'delivery-audit': config.POSTHORN_DELIVERY_AUDIT_URL,
  };
  health.addInformation('services', () => upstreamStates(urls));
  return { module: AppModule };
};
