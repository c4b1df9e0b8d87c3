import { Module, type DynamicModule } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { closedWhenSilent, migrateWhenPossible } from '@posthorn/event-store';
import type { Consumption } from '@posthorn/kafka';
import { lagMetric, oldestMetric, type Kit } from '@posthorn/service-kit';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { AuditConfig } from './config.js';
import { groupOf } from './group.js';
import { ExportController } from './export/export.controller.js';
import { Exporter } from './export/exporter.js';
import { foldedTopics, foldsOf } from './loading/folds.js';
import { ExplainController } from './explain/explain.controller.js';
import { Intake } from './loading/intake.js';
import { Loader } from './loading/loader.js';
import { tracingRecords } from './loading/record-span.js';
import { WrittenLines } from './loading/written-lines.js';
import { auditMetrics, databaseMetrics, exportMetrics, retentionMetrics, statisticsMetrics } from './metrics.js';
import { migrations, SCHEMA } from './migrations/migrations.js';
import { EventIngestion } from './publishing/event-ingestion.js';
import { PublishAgainController } from './publishing/publish-again.controller.js';
import { PublishAgain } from './publishing/publish-again.js';
import { Database, READ_SETTINGS } from './query/database.js';
import { DeliveriesController } from './query/deliveries.controller.js';
import { EventsController } from './query/events.controller.js';
import { MissedController } from './query/missed.controller.js';
import { AllRejectedEventsController, RejectedEventsController } from './query/rejected-events.controller.js';
import { Patience } from './registry/patience.js';
import { startSendingAgain } from './sending-again.js';
import { Folder } from './statistics/folder.js';
import { Retention } from './retention/retention.js';
import { RetentionPolicy } from './retention/retention-policy.js';
import { withinRetention } from './retention/within-retention.js';
import { Tail } from './tail/tail.js';
import { TailController } from './tail/tail.controller.js';
import { tailMetrics } from './tail/tail-metrics.js';
import { StatisticsController } from './statistics/statistics.controller.js';

/** A read that takes longer is given up, so that a careless search cannot hold the connections of all others. */
const READ_TIMEOUT_MS = 10_000;
/** Who does not even say that it gives up. */
const SILENT_MS = READ_TIMEOUT_MS + 2_000;
const READ_CONNECTIONS = 8;
const CONNECT_TIMEOUT_MS = 5_000;
/** The history may be a moment behind; in return it is read and written in batches also when little happens, for a fraction of the CPU. */
const PATIENCE = { minBytes: 512 * 1024, maxWaitMs: 100 };

/** Records that are read and not yet written: several batches, and of each partition what two fetches bring. In memory one of 350 bytes takes three times that. */
const WINDOWS = { windowBytes: 512 * 1024, totalBytes: 4 * 1024 * 1024 };

/** Puts the parts together: Kafka → intake → loader → PostgreSQL, and PostgreSQL → queries → REST. */
export const appModule = async (config: AuditConfig, kit: Kit): Promise<DynamicModule> => {
  const url = config.POSTHORN_DATABASE_URL;
  await migrateWhenPossible({ url, schema: SCHEMA, migrations }, kit);
  const source = await new DataSource(readingOptions(url)).initialize();
  databaseMetrics(kit.metrics, async () => (await source.query<{ bytes: string }[]>('select pg_database_size(current_database()) as bytes'))[0]?.bytes);
  await startLoading(url, groupOf(config), source, startFolding(url, source, kit), kit);
  const sendingAgain = await startSendingAgain(url, groupOf(config), kit);
  return {
    module: AppModule,
    imports: [TypeOrmModule.forRootAsync({ useFactory: () => readingOptions(url), dataSourceFactory: async () => source })],
    controllers: [
      EventsController,
      ExplainController,
      DeliveriesController,
      MissedController,
      RejectedEventsController,
      AllRejectedEventsController,
      PublishAgainController,
      ...sendingAgain.controllers,
      StatisticsController,
      ExportController,
      TailController,
    ],
    providers: [
      { provide: Tail, useValue: tailOf(config, kit) },
      Database,
      { provide: Patience, inject: [Database], useFactory: (database: Database) => new Patience(database, kit.registryState) },
      { provide: Exporter, useFactory: () => observedExporter(kit) },
      ...sendingAgain.providers,
      {
        provide: PublishAgain,
        inject: [Database],
        useFactory: (database: Database) =>
          new PublishAgain({
            database,
            ingestion: new EventIngestion(config.POSTHORN_EVENT_INGESTION_URL),
            inboundTopic: kit.kafka.topic('events.inbound'),
            log: kit.log,
          }),
      },
    ],
  };
};

@Module({})
class AppModule {}

const readingOptions = (url: string): DataSourceOptions => ({
  type: 'postgres',
  url,
  schema: SCHEMA,
  applicationName: 'posthorn delivery-audit queries',
  connectTimeoutMS: CONNECT_TIMEOUT_MS,
  extra: { max: READ_CONNECTIONS, statement_timeout: READ_TIMEOUT_MS, stream: closedWhenSilent(SILENT_MS), options: READ_SETTINGS.map((setting) => `-c ${setting}`).join(' ') },
});

const observedExporter = ({ metrics }: Kit): Exporter => {
  const exporter = new Exporter();
  exportMetrics(metrics, () => exporter.running);
  return exporter;
};

const tailOf = (config: AuditConfig, { kafka, metrics, log, stopping }: Kit): Tail => {
  const topic = kafka.topic('deliveries.attempted');
  return new Tail({
    source: { extents: () => kafka.extents(topic), follow: (options) => kafka.follow({ topic, ...options }) },
    limits: { watchers: config.POSTHORN_TAIL_WATCHERS, perKey: config.POSTHORN_TAIL_WATCHERS_PER_KEY },
    metrics: tailMetrics(metrics),
    log,
    stopping,
  });
};

const startFolding = (databaseUrl: string, source: DataSource, { log, metrics, onShutdown }: Kit): Folder => {
  const waiting = async (): Promise<number> =>
    (await source.query<{ deltas: number }[]>('select count(*)::integer as deltas from audit.statistics_deltas'))[0]?.deltas ?? 0;
  const folder = new Folder({ databaseUrl, log, onFolded: statisticsMetrics(metrics, waiting) });
  onShutdown('statistics', () => folder.close());
  folder.wake();
  return folder;
};

const startRetention = (databaseUrl: string, { log, metrics, registryState, onShutdown }: Kit) => {
  const policy = new RetentionPolicy(() => registryState.isCaughtUp);
  registryState.fold('tenant', policy.tenants);
  const { onSwept, onTooOld } = retentionMetrics(metrics);
  const retention = new Retention({ databaseUrl, policy, log, onSwept });
  onShutdown('retention', () => retention.close());
  // A day must not wait for the registry to have its partitions; what is over can.
  retention.wake();
  registryState.caughtUp.then(() => retention.wake()).catch(() => undefined);
  return { policy, onTooOld };
};

const startLoading = async (url: string, groupId: string, source: DataSource, folder: Folder, kit: Kit): Promise<void> => {
  const { kafka, log, health, metrics, registryState, onShutdown } = kit;
  const loader = new Loader(url);
  const { policy, onTooOld } = startRetention(url, kit);
  const measured = auditMetrics(metrics);
  const lines = new WrittenLines(log);
  let consumption: Consumption | undefined;
  const intake = new Intake({
    folds: foldsOf(kafka),
    load: async (read) => {
      const { rows, tooOld } = withinRetention(read, policy, Date.now());
      const written = await loader.load(rows);
      onTooOld(tooOld);
      folder.wake();
      return written;
    },
    log,
    onWritten: (written, seconds, traceparent) => {
      measured.onWritten(written, seconds, traceparent);
      lines.add(written, seconds);
    },
    onRefused: measured.onRefused,
    ...tracingRecords(kit.tracing),
    onUnfoldable: (err) => {
      log.fatal({ err }, 'a record cannot be recorded, and going on would leave a hole in the history');
      process.exit(1);
    },
  });
  health.addReadiness('database', async () => {
    await source.query('select 1');
    return intake.trouble;
  });
  lagMetric(metrics, () => [...(consumption?.lag ?? []), [kafka.topic('registry.state'), registryState.lag]]);
  oldestMetric(metrics, () => consumption?.oldestMs ?? []);
  health.addReadiness('consumer', () => (consumption?.assigned === true ? consumption.stalled : 'not yet a member of its group'));

  await kafka.ensureTopics(foldedTopics);
  // Closed last to first: the consumer waits for what is in flight, which takes the intake and the loader.
  onShutdown('loader', async () => {
    intake.close();
    lines.close();
    await loader.close();
  });
  const joined = await kafka.consume({
    groupId,
    topics: foldedTopics.map((name) => kafka.topic(name)),
    onRecord: (record) => intake.add(record),
    patience: PATIENCE,
    ...WINDOWS,
  });
  consumption = joined;
  onShutdown('consumer', () => joined.close());
};
