import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { HttpSender, parseCidrs, type EgressPolicy } from '@posthorn/egress';
import { migrateWhenPossible } from '@posthorn/event-store';
import { ADMIN_ACTOR, lagMetric, oldestMetric, type Kit } from '@posthorn/service-kit';
import { changeOf } from './aggregates.js';
import { apiKeyAggregate, apiKeyRows, ApiKeyTable } from './api-keys/api-key-table.js';
import { ApiKeysController } from './api-keys/api-keys.controller.js';
import { ApiKeys } from './api-keys/api-keys.js';
import { followLastUses } from './api-keys/last-uses.js';
import { watchOutcomes } from './automatic/watch-outcomes.js';
import type { RegistryConfig } from './config.js';
import { readingOptions, startCore, type Core } from './core.js';
import { eventTypeAggregate, eventTypeRows, EventTypeTable } from './event-types/event-type-table.js';
import { EventTypesController } from './event-types/event-types.controller.js';
import { EventTypes } from './event-types/event-types.js';
import { FilterCheckController } from './trials/filter-check.controller.js';
import { FilterCheck } from './trials/filter-check.js';
import { migrations, SCHEMA } from './migrations/migrations.js';
import { portalKeyRows, PortalKeyTable } from './portal/portal-key-table.js';
import { PortalTokensController } from './portal/portal-tokens.controller.js';
import { PortalTokens } from './portal/portal-tokens.js';
import { BatchCreation } from './subscriptions/batch-creation.js';
import { MissedDeliveries } from './subscriptions/missed-deliveries.js';
import { SubscriptionHistory } from './subscriptions/subscription-history.js';
import { subscriptionAggregate, subscriptionRows, SubscriptionTable } from './subscriptions/subscription-table.js';
import { SubscriptionsController } from './subscriptions/subscriptions.controller.js';
import { Subscriptions } from './subscriptions/subscriptions.js';
import { TenantDeletion, type Belonging } from './tenants/tenant-deletion.js';
import { tenantRows, TenantTable } from './tenants/tenant-table.js';
import { TenantsController } from './tenants/tenants.controller.js';
import { Tenants } from './tenants/tenants.js';
import { exampleIn } from './trials/examples.js';
import { TestSendController } from './trials/test-send.controller.js';
import { TestSending } from './trials/test-sending.js';

/** Of what nobody asked for but the service itself. */
const OWN_ACTOR = 'subscription-registry';

/** Puts the parts together: doors → aggregates → event store → relay → Kafka, and read model → doors. */
export const registryModule = async (config: RegistryConfig, kit: Kit): Promise<DynamicModule> => {
  const url = config.POSTHORN_DATABASE_URL;
  await migrateWhenPossible({ url, schema: SCHEMA, migrations }, kit);
  const core = await startCore(config, kit);
  const tenants = tenantParts(core);
  await tenants.tenants.ensureDefault(OWN_ACTOR);
  const access = await accessParts(core, tenants.tenants, kit);
  const subscriptions = subscriptionParts(core, tenants.tenants, missedDeliveries(config, access.portalTokens, kit));
  const catalogue = catalogueParts(core, tenants.tenants);
  const trials = trialParts(core, tenants.tenants, subscriptions.subscriptions, kit);
  const outcomes = await watchOutcomes({
    kit,
    topicPrefix: config.POSTHORN_TOPIC_PREFIX,
    pool: core.pool,
    aggregates: core.aggregates,
    actor: OWN_ACTOR,
  });
  lagMetric(kit.metrics, () => [...outcomes.lag]);
  oldestMetric(kit.metrics, () => outcomes.oldestMs);
  return {
    module: RegistryModule,
    imports: [TypeOrmModule.forRootAsync({ useFactory: () => readingOptions(url), dataSourceFactory: async () => core.source })],
    controllers: [
      TenantsController,
      EventTypesController,
      SubscriptionsController,
      FilterCheckController,
      TestSendController,
      ApiKeysController,
      PortalTokensController,
    ],
    providers: [tenants, catalogue, subscriptions, trials, access].flatMap((parts) =>
      Object.values(parts).map((part: object) => ({ provide: part.constructor, useValue: part })),
    ),
  };
};

@Module({})
class RegistryModule {}

const tenantParts = ({ aggregates, pool, source }: Core) => {
  const table = new TenantTable(source.getRepository(tenantRows));
  return {
    tenants: new Tenants(aggregates, table),
    deletion: new TenantDeletion({ aggregates, tenants: table, pool, belongings }),
  };
};

const catalogueParts = ({ aggregates, source, store }: Core, tenants: Tenants) => ({
  eventTypes: new EventTypes({ aggregates, store, table: new EventTypeTable(source.getRepository(eventTypeRows)), tenants }),
});

const subscriptionParts = ({ aggregates, config, source, store }: Core, tenants: Tenants, missed: MissedDeliveries) => {
  const subscriptions = new Subscriptions({
    aggregates,
    table: new SubscriptionTable(source.getRepository(subscriptionRows)),
    tenants,
    secrets: config.POSTHORN_ENCRYPTION_KEYS,
    egress: egressPolicy(config),
    missed,
  });
  return {
    subscriptions,
    batches: new BatchCreation({ aggregates, tenants, subscriptions }),
    history: new SubscriptionHistory(store, tenants),
  };
};

/** The registry asks the audit with a portal token of its own making. */
const missedDeliveries = (config: RegistryConfig, portalTokens: PortalTokens, { log }: Kit): MissedDeliveries =>
  new MissedDeliveries({
    auditUrl: config.POSTHORN_DELIVERY_AUDIT_URL,
    tokenFor: async (tenant) => (await portalTokens.create({ actor: ADMIN_ACTOR }, tenant, { scopes: ['audit:read'] })).token,
    log,
  });

const egressPolicy = (config: RegistryConfig): EgressPolicy => ({
  allowHttp: config.POSTHORN_EGRESS_ALLOW_HTTP,
  allowedAddresses: parseCidrs(config.POSTHORN_EGRESS_ALLOW_CIDRS),
});

/** What can be tried before it is relied on. */
const trialParts = ({ config, pool }: Core, tenants: Tenants, subscriptions: Subscriptions, { onShutdown }: Kit) => {
  const http = new HttpSender({ policy: egressPolicy(config), nameServers: config.POSTHORN_DNS_SERVERS });
  onShutdown('test sends', () => http.close());
  return {
    filterCheck: new FilterCheck((id) => tenants.get(id)),
    testSending: new TestSending({
      find: (target) => subscriptions.find(target),
      exampleOf: exampleIn(pool),
      decrypt: (secret) => config.POSTHORN_ENCRYPTION_KEYS.decrypt(secret),
      http,
    }),
  };
};

const accessParts = async ({ aggregates, config, pool, source }: Core, tenants: Tenants, kit: Kit) => {
  const portalTokens = new PortalTokens({
    aggregates,
    table: new PortalKeyTable(source.getRepository(portalKeyRows)),
    requireTenant: (id) => tenants.get(id),
    secrets: config.POSTHORN_ENCRYPTION_KEYS,
  });
  await portalTokens.ensureKey({ by: { actor: OWN_ACTOR } });
  const lastUses = await followLastUses(kit.kafka, pool, kit.log);
  kit.onShutdown('last uses', async () => lastUses.close());
  return { apiKeys: new ApiKeys(aggregates, new ApiKeyTable(source.getRepository(apiKeyRows))), portalTokens };
};

/** What goes with its tenant. */
const belongings: readonly Belonging[] = [
  {
    table: subscriptionAggregate.table,
    deletion: (id, at) =>
      changeOf(subscriptionAggregate, id, ({ kind }) => (kind === 'subscription' ? ({ kind: 'delete', at } as const) : undefined)),
  },
  {
    table: eventTypeAggregate.table,
    deletion: (id, at) =>
      changeOf(eventTypeAggregate, id, ({ kind }) => (kind === 'event_type' ? ({ kind: 'delete', at } as const) : undefined)),
  },
  {
    table: apiKeyAggregate.table,
    deletion: (id, at) => changeOf(apiKeyAggregate, id, ({ kind }) => (kind === 'api_key' ? ({ kind: 'revoke', at } as const) : undefined)),
  },
];
