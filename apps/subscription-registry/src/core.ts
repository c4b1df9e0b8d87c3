import { closedWhenSilent, EventStore, Relay } from '@posthorn/event-store';
import type { Kit } from '@posthorn/service-kit';
import { Pool } from 'pg';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { Aggregates } from './aggregates.js';
import { apiKeyRows } from './api-keys/api-key-table.js';
import type { RegistryConfig } from './config.js';
import { eventTypeRows } from './event-types/event-type-table.js';
import { RememberedAnswers } from './idempotency/remembered-answers.js';
import { SCHEMA } from './migrations/migrations.js';
import { portalKeyRows } from './portal/portal-key-table.js';
import { PUBLISHED, registryPublisher } from './state-relay.js';
import { RELAY } from './streams.js';
import { subscriptionRows } from './subscriptions/subscription-table.js';
import { tenantRows } from './tenants/tenant-table.js';

const CONNECT_TIMEOUT_MS = 5_000;
const READ_TIMEOUT_MS = 10_000;
/** For a database that can be reached and says nothing: longer than it may itself take for anything that is asked here. */
const SILENCE_MS = 30_000;
/** Older than this and not in `registry.state` yet: something is wrong between here and there. */
const RELAY_BEHIND_MS = 30_000;

/** What all features stand on. */
export type Core = {
  readonly config: RegistryConfig;
  /** For plain reads. */
  readonly source: DataSource;
  /** For what is written, and for SQL by hand. */
  readonly pool: Pool;
  readonly store: EventStore;
  readonly aggregates: Aggregates;
};

/** @param silentMs after which the way to the database is taken to be gone: TypeORM would lend the connection out again, to wait as long */
export const readingOptions = (url: string, silentMs = READ_TIMEOUT_MS + CONNECT_TIMEOUT_MS): DataSourceOptions => ({
  type: 'postgres',
  url,
  schema: SCHEMA,
  entities: [tenantRows, eventTypeRows, subscriptionRows, apiKeyRows, portalKeyRows],
  applicationName: 'posthorn registry reads',
  connectTimeoutMS: CONNECT_TIMEOUT_MS,
  extra: { statement_timeout: READ_TIMEOUT_MS, stream: closedWhenSilent(silentMs) },
});

export const startCore = async (config: RegistryConfig, kit: Kit): Promise<Core> => {
  const { health, log, onShutdown } = kit;
  const url = config.POSTHORN_DATABASE_URL;
  const source = await new DataSource(readingOptions(url)).initialize();
  health.addReadiness('database', async () => {
    await source.query('select 1');
    return undefined;
  });
  const pool = new Pool({
    connectionString: url,
    application_name: 'posthorn registry writes',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: SILENCE_MS,
  });
  pool.on('error', (err) => log.warn({ err }, 'an idle connection to the database was lost'));
  onShutdown('event store', () => pool.end());
  const relay = await startRelay(url, pool, kit);
  const store = new EventStore(pool, SCHEMA);
  const answers = new RememberedAnswers(pool, config.POSTHORN_ENCRYPTION_KEYS, log);
  return { config, source, pool, store, aggregates: new Aggregates({ store, relay, answers, log }) };
};

/** From the event store to Kafka. The relay has connections of its own: it outlives the doors at shutdown. */
const startRelay = async (url: string, pool: Pool, { kafka, log, metrics, health, onShutdown }: Kit): Promise<Relay> => {
  await kafka.ensureTopics(PUBLISHED);
  const producer = await kafka.producer();
  const relay = new Relay({
    name: RELAY,
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
  return relay;
};
