import { routerMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { Router } from './router.js';

export const routerRole = async ({ kit, table, feed, topic, fatal }: RoleParts): Promise<Role> => {
  const producer = await kit.kafka.producer();
  const topics = { routed: topic('deliveries.routed'), requested: topic('deliveries.requested') };
  const router: Router = new Router({
    table,
    feed,
    send: (record) => producer.send(record),
    topics,
    partitions: await kit.kafka.partitions(topics.requested),
    turns: { nowMs: () => performance.now(), later: (run) => void setImmediate(run) },
    decided: routerMetrics(kit.metrics, { subscriptions: () => table.size, waiting: () => router.waiting }).decided,
    fatal,
  });
  return { consume: { topics: [topic('events.accepted')], onRecord: router.onRecord } };
};
