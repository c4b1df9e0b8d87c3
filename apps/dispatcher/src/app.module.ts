import { type DynamicModule, Module } from '@nestjs/common';
import { partitionOf, topics } from '@posthorn/contracts';
import { partitionFor } from '@posthorn/domain';
import type { Consumption } from '@posthorn/kafka';
import { lagMetric, oldestMetric, type Kit } from '@posthorn/service-kit';
import type { DispatcherConfig, RoleName } from './config.js';
import { delayRole } from './delay/delay.role.js';
import { Wheel } from './delay/wheel.js';
import { RegistryFeed } from './registry/registry-feed.js';
import type { Role, RoleParts } from './role.js';
import { routerRole } from './router/router.role.js';
import { SubscriptionTable } from './router/subscription-table.js';
import { senderRole } from './sender/sender.role.js';
import { Subscriptions } from './sender/subscriptions.js';

const buildRole: Record<RoleName, (parts: RoleParts) => Promise<Role>> = { router: routerRole, sender: senderRole, delay: delayRole };

@Module({})
export class AppModule {}

/** Puts the parts together. The roles begin to consume when the subscription table has been read. */
export const dispatcherModule = async (config: DispatcherConfig, kit: Kit): Promise<DynamicModule> => {
  const { kafka, log, health } = kit;
  const topic = kafka.topic.bind(kafka);
  await kafka.ensureTopics(topics.filter(({ writers, readers }) => isOurs(writers) || isOurs(readers)).map(({ name }) => name));

  const partitions = await kafka.partitions(topic('deliveries.requested'));
  const table = new SubscriptionTable((subscription) => partitionOf(subscription, partitions));
  const subscriptions = new Subscriptions((secret) => config.POSTHORN_ENCRYPTION_KEYS.decrypt(secret), partitions);
  const partitionOfDelivery = (subscription: string, eventId: string): number =>
    partitionFor(subscription, subscriptions.get(subscription)?.spread ?? 1, eventId, partitions);
  const roles = config.POSTHORN_DISPATCHER_ROLES;
  // Each role's view of the registry takes room, and the sender's holds secrets.
  const views = [...(roles.includes('router') ? [table] : []), ...(roles.some((role) => role !== 'router') ? [subscriptions] : [])];
  const feed: RegistryFeed = new RegistryFeed(views, () => following.readToEnd());
  const following = await kafka.follow({ topic: topic('registry.state'), onRecord: feed.apply });
  const isRead = following.caughtUp.then(() => log.info({ position: feed.position }, 'the registry has been read'));

  const wheel = new Wheel(topic, await kafka.partitions(topic('deliveries.delayed.1s')));

  const fatal = (err: unknown): never => {
    log.fatal({ err }, 'cannot go on without losing a delivery');
    process.exit(1);
  };
  const consumptions = new Map<RoleName, Consumption>();
  const running: Role[] = [];
  let isClosing = false;

  const start = async (name: RoleName): Promise<void> => {
    const consumption = (): Consumption | undefined => consumptions.get(name);
    const parts = { config, kit, feed, table, subscriptions, wheel, topic, consumption, fatal };
    const role = await buildRole[name]({ ...parts, partitionOf: partitionOfDelivery });
    running.push(role);
    await isRead;
    if (!isClosing) consumptions.set(name, await kafka.consume({ groupId: `${config.POSTHORN_TOPIC_PREFIX}.${name}`, ...role.consume }));
  };

  for (const name of roles) {
    health.addReadiness(name, () => reasonNotReady(consumptions.get(name), following.lag));
    start(name).catch((error: unknown) => isClosing || fatal(error));
  }
  kit.onShutdown('roles', async () => {
    isClosing = true;
    await Promise.all([...consumptions.values()].map((consumption) => consumption.close()));
    await Promise.all(running.map((role) => role.close?.()));
  });
  lagMetric(kit.metrics, () => [
    [topic('registry.state'), following.lag],
    ...[...consumptions.values()].flatMap(({ lag }) => [...lag]),
  ]);
  oldestMetric(kit.metrics, () => [...consumptions.values()].flatMap(({ oldestMs }) => [...oldestMs]));

  return { module: AppModule };
};

const isOurs = (services: readonly string[]): boolean => services.some((service) => service.startsWith('dispatcher'));

const reasonNotReady = (consumption: Consumption | undefined, tableLag: number): string | undefined => {
  if (consumption === undefined) return `waits for the subscription table, ${tableLag} records behind`;
  return consumption.assigned ? consumption.stalled : 'not a member of its consumer group at the moment';
};
