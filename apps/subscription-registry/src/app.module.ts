import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { parseCidrs } from '@posthorn/egress';
import { EventStore, migrateWhenPossible, Relay } from '@posthorn/event-store';
import type { Kit } from '@posthorn/service-kit';
import { Pool } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { Aggregates } from './aggregates.js';
import type { RegistryConfig } from './config.js';
import { migrations, SCHEMA } from './migrations/migrations.js';
import { registryPublisher } from './state-relay.js';
import { subscriptionRows, SubscriptionTable } from './subscriptions/subscription-table.js';
import { SubscriptionsController } from './subscriptions/subscriptions.controller.js';
import { Subscriptions } from './subscriptions/subscriptions.js';
import { tenantRows, TenantTable } from './tenants/tenant-table.js';
import { TenantsController } from './tenants/tenants.controller.js';
import { Tenants } from './tenants/tenants.js';

const CONNECT_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 10_000;
/** Older than this and not in `registry.state` yet: something is wrong between here and there. */
const RELAY_BEHIND_MS = 30_000;
/** Of what nobody asked for but the service itself. */
const OWN_ACTOR = 'subscription-registry';

/** Puts the parts together: REST → aggregates → event store → relay → Kafka, and read model → REST. */
export const registryModule = async (config: RegistryConfig, kit: Kit): Promise<DynamicModule> => {
  const url = config.POSTHORN_DATABASE_URL;
  await migrateWhenPossible({ url, schema: SCHEMA, migrations }, kit);
  const source = await new DataSource(readingOptions(url)).initialize();
  kit.health.addReadiness('database', async () => {
    await source.query('select 1');
    return undefined;
  });
  const { store, relay } = await startStore(url, kit);
  const aggregates = new Aggregates(store, relay, kit.log);
  const tenants = new Tenants(aggregates, new TenantTable(source.getRepository(tenantRows)));
  const subscriptions = new Subscriptions({
    aggregates,
    table: new SubscriptionTable(source.getRepository(subscriptionRows)),
    tenants,
    secrets: config.POSTHORN_ENCRYPTION_KEYS,
    egress: { allowHttp: config.POSTHORN_EGRESS_ALLOW_HTTP, allowedAddresses: parseCidrs(config.POSTHORN_EGRESS_ALLOW_CIDRS) },
  });
  await tenants.ensureDefault(OWN_ACTOR);
  return {
    module: RegistryModule,
    imports: [TypeOrmModule.forRootAsync({ useFactory: () => readingOptions(url), dataSourceFactory: async () => source })],
    controllers: [TenantsController, SubscriptionsController],
    providers: [
      { provide: Tenants, useValue: tenants },
      { provide: Subscriptions, useValue: subscriptions },
    ],
  };
};

@Module({})
class RegistryModule {}

const readingOptions = (url: string): DataSourceOptions => ({
  type: 'postgres',
  url,
  schema: SCHEMA,
  entities: [tenantRows, subscriptionRows],
  applicationName: 'posthorn registry reads',
  connectTimeoutMS: CONNECT_TIMEOUT_MS,
  extra: { statement_timeout: READ_TIMEOUT_MS },
});

/** The event store, and the relay from it to Kafka. The relay has connections of its own: it outlives the REST door at shutdown. */
const startStore = async (url: string, { kafka, log, metrics, health, onShutdown }: Kit) => {
  const pool = new Pool({
    connectionString: url,
    application_name: 'posthorn registry writes',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
  });
  pool.on('error', (err) => log.warn({ err }, 'an idle connection to the database was lost'));
  onShutdown('event store', () => pool.end());
  await kafka.ensureTopics(['registry.log', 'registry.state']);
  const producer = await kafka.producer();
  const relay = new Relay({
    name: 'registry',
    connectionString: url,
    schema: SCHEMA,
    publish: registryPublisher({ kafka, producer, pool, metrics }),
    log,
  });
  onShutdown('relay', () => relay.close());
  health.addReadiness('relay', async () => {
    if (relay.role === 'disconnected') return 'not connected';
    const behindMs = await relay.behindMs();
    return behindMs > RELAY_BEHIND_MS ? `${Math.round(behindMs / 1_000)} s behind` : undefined;
  });
  return { store: new EventStore(pool, SCHEMA), relay };
};
