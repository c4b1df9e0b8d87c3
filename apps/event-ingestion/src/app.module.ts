import { type DynamicModule, Module } from '@nestjs/common';
import type { Consumption } from '@posthorn/kafka';
import { lagMetric, type Kit } from '@posthorn/service-kit';
import type { IngestionConfig } from './config.js';
import { EventsController } from './events.controller.js';
import { KafkaDoor } from './kafka-door.js';
import { ingestionMetrics } from './metrics.js';
import { Outlet } from './outlet.js';
import { Publishing } from './publishing.js';
import { RestDoor } from './rest-door.js';
import { Tenants } from './tenants.js';

const REST_DEADLINE_MS = 5_000;
const REST_PENDING_BYTES = 64 * 1024 * 1024;

@Module({})
export class AppModule {}

/** Puts the parts together. Events are read from Kafka as soon as the tenants are known; until then both doors are shut. */
export const ingestionModule = async (config: IngestionConfig, kit: Kit): Promise<DynamicModule> => {
  const { kafka, log, health, registryState } = kit;
  await kafka.ensureTopics(['events.inbound', 'events.accepted', 'events.rejected']);

  const tenants = new Tenants(() => registryState.readFresh());
  registryState.fold('tenant', tenants);

  const metrics = ingestionMetrics(kit.metrics);
  const topics = { accepted: kafka.topic('events.accepted'), rejected: kafka.topic('events.rejected') };
  const maxEventBytes = config.POSTHORN_MAX_EVENT_BYTES;
  // A producer each: what is caught up on from Kafka must not stand in the way of a client who waits for an answer.
  const kafkaDoor = new KafkaDoor({
    outlet: new Outlet({ door: 'kafka', producer: await kafka.producer(), topics, metrics: metrics.door('kafka'), log }),
    tenants,
    log,
    maxEventBytes,
  });

  let consumption: Consumption | undefined;
  const publishing = new Publishing({
    outlet: new Outlet({
      door: 'rest',
      producer: await kafka.producer(),
      topics,
      metrics: metrics.door('rest'),
      log,
      deadlineMs: REST_DEADLINE_MS,
    }),
    tenants,
    isOpen: () => registryState.isCaughtUp,
    log,
    maxEventBytes,
    deadlineMs: REST_DEADLINE_MS,
    maxPendingBytes: REST_PENDING_BYTES,
  });

  const open = async (): Promise<void> => {
    await registryState.caughtUp;
    log.info({ tenants: tenants.size }, 'tenants are known');
    consumption = await kafka.consume({
      groupId: `${config.POSTHORN_TOPIC_PREFIX}.event-ingestion`,
      topics: [kafka.topic('events.inbound')],
      onRecord: kafkaDoor.onRecord,
    });
  };
  let isClosing = false;
  kit.onShutdown('kafka door', async () => {
    isClosing = true;
    await consumption?.close();
  });
  void open().catch((error: unknown) => {
    // Whatever keeps the door from opening at all is for a new start to mend; a rejection that nobody handles brings that about.
    if (!isClosing) throw error;
  });

  health.addReadiness('kafka door', () =>
    consumption?.assigned ? consumption.stalled : 'not yet, or no longer, a member of its consumer group',
  );
  lagMetric(kit.metrics, () => [...(consumption?.lag ?? []), [kafka.topic('registry.state'), registryState.lag]]);

  return {
    module: AppModule,
    controllers: [EventsController],
    providers: [{ provide: RestDoor, useValue: new RestDoor(publishing) }],
  };
};
