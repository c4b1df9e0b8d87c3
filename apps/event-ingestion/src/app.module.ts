import { type DynamicModule, Module } from '@nestjs/common';
import { durationMs } from '@posthorn/contracts';
import { lagMetric, oldestMetric, type Kit } from '@posthorn/service-kit';
import { boundReader } from './bindings/bound-record.js';
import type { IngestionConfig } from './config.js';
import { openDeduplication } from './deduplication/deduplication.js';
import { Duplicates } from './duplicates/duplicates.js';
import { Admission } from './catalogue/admission.js';
import { Catalogue } from './catalogue/catalogue.js';
import { inTime, insisting, type ReadFresh } from './catalogue/reading.js';
import { Schemas } from './catalogue/schemas.js';
import { Violations } from './catalogue/violations.js';
import { EventsController } from './events.controller.js';
import { KafkaDoor } from './kafka-door.js';
import { IN_FLIGHT_BYTES, KafkaSource } from './kafka-source.js';
import { ingestionMetrics, type IngestionMetrics } from './metrics.js';
import { Outlet } from './outlet.js';
import { Publishing } from './publishing.js';
import { RateLimits } from './rate-limit.js';
import { RestDoor } from './rest-door.js';

/** Whoever waits is told within two seconds: the rest is for a machine that is busy, and for hundreds who are to be told at once. */
const DEADLINE_MS = 1_500;
const PENDING_BYTES = 64 * 1024 * 1024;
/** What could not be told of duplicates until then is told with the next. */
const TELLING_DEADLINE_MS = 5_000;

@Module({})
export class AppModule {}

/** Puts the parts together. Events are read from Kafka as soon as the tenants are known; until then both doors are shut. */
export const ingestionModule = async (config: IngestionConfig, kit: Kit): Promise<DynamicModule> => {
  const { kafka, log, health, registryState, tracing } = kit;
  const { POSTHORN_INBOUND_BINDINGS: bindings } = config;
  await kafka.ensureTopics(['events.inbound', 'events.accepted', 'events.rejected', 'events.duplicated']);

  const schemas = new Schemas();
  const catalogue = new Catalogue(schemas);
  registryState.fold('tenant', catalogue.tenants);
  registryState.fold('event_type', catalogue.eventTypes);

  const metrics = ingestionMetrics(kit.metrics);
  const violations = new Violations({ count: metrics.countViolation, log });
  const readNow = (): Promise<void> => registryState.readFresh();
  const admission = (readFresh: ReadFresh): Admission =>
    new Admission({ catalogue, schemas, violations, position: () => registryState.position, readFresh });
  const topics = { accepted: kafka.topic('events.accepted'), rejected: kafka.topic('events.rejected') };
  const maxEventBytes = config.POSTHORN_MAX_EVENT_BYTES;
  const gates = await openDeduplication(
    ['kafka', 'rest'],
    {
      databaseUrl: config.POSTHORN_DATABASE_URL,
      windowMs: durationMs(config.POSTHORN_DEDUPLICATION_WINDOW),
      observeClaim: metrics.observeClaim,
    },
    kit,
  );
  const duplicates = await openDuplicates(kit, metrics);
  const onDuplicate = (tenant: string, eventId: string): void => duplicates.note(tenant, eventId);
  const kafkaDoor = new KafkaDoor({
    outlet: new Outlet({ door: 'kafka', gate: gates.kafka, topics, metrics: metrics.door('kafka'), log, onDuplicate, tracing }),
    admission: admission(insisting(readNow, log)),
    maxEventBytes,
    readers: new Map(bindings.flatMap(({ topic, event }) => (event ? [[topic, boundReader(event)] as const] : []))),
  });
  const groupId = `${config.POSTHORN_TOPIC_PREFIX}.event-ingestion`;
  const inbound = kafka.topic('events.inbound');
  // A group for each topic of others: one that is missing, or is bound no longer, must not concern the rest.
  const groups = [{ topic: inbound, groupId }, ...bindings.map(({ topic }) => ({ topic, groupId: `${groupId}.${topic}` }))];
  const sources = groups.map(
    (group) => new KafkaSource({ kafka, log, ...group, onRecord: kafkaDoor.onRecord, totalBytes: IN_FLIGHT_BYTES / groups.length }),
  );

  const limits = new RateLimits({ perKey: config.POSTHORN_RATE_LIMIT_PER_KEY, perTenant: config.POSTHORN_RATE_LIMIT_PER_TENANT });
  const admissionInTime = admission(inTime(readNow, DEADLINE_MS));
  const publishingBy = (door: 'rest' | 'grpc'): Publishing =>
    new Publishing({
      outlet: new Outlet({ door, gate: gates.rest, topics, metrics: metrics.door(door), log, deadlineMs: DEADLINE_MS, onDuplicate, tracing }),
      admission: admissionInTime,
      isOpen: () => registryState.isCaughtUp,
      limits,
      notes: gates.rest,
      log,
      maxEventBytes,
      deadlineMs: DEADLINE_MS,
      maxPendingBytes: PENDING_BYTES,
    });

  const open = async (): Promise<void> => {
    await registryState.caughtUp;
    log.info({ tenants: catalogue.tenantCount, schema_bytes: schemas.packedBytes }, 'tenants and event types are known');
    await Promise.all(sources.map((source) => source.open()));
  };
  let isClosing = false;
  kit.onShutdown('kafka door', async () => {
    isClosing = true;
    await Promise.all(sources.map((source) => source.close()));
  });
  void open().catch((error: unknown) => {
    // Whatever keeps the door from opening at all is for a new start to mend; a rejection that nobody handles brings that about.
    if (!isClosing) throw error;
  });

  for (const source of sources) {
    health.addReadiness(source.topic === inbound ? 'kafka door' : `kafka door ${source.topic}`, () => source.notReady);
  }
  lagMetric(kit.metrics, () => [...sources.flatMap(({ lag }) => [...lag]), [kafka.topic('registry.state'), registryState.lag]]);
  oldestMetric(kit.metrics, () => sources.flatMap(({ oldestMs }) => [...oldestMs]));

  return {
    module: AppModule,
    controllers: [EventsController],
    providers: [
      { provide: RestDoor, useValue: new RestDoor(publishingBy('rest')) },
      { provide: Publishing, useValue: publishingBy('grpc') },
    ],
  };
};

/** Through a producer of its own, which events do not have to wait for. */
const openDuplicates = async ({ kafka, log, onShutdown }: Kit, { countUntoldDuplicates: onDropped }: IngestionMetrics): Promise<Duplicates> => {
  const producer = await kafka.producer();
  const duplicates = new Duplicates({
    topic: kafka.topic('events.duplicated'),
    send: (record) => producer.send(record, { deadlineMs: TELLING_DEADLINE_MS }),
    onDropped,
    log,
  });
  onShutdown('duplicates', () => duplicates.close());
  return duplicates;
};
