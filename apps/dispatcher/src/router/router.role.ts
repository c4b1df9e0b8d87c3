import { routerMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { Router } from './router.js';

/** Of a partition, and of all together. What is parsed of a small event takes three times as much besides. */
const WINDOW_BYTES = 512 * 1024;
const TOTAL_BYTES = 2 * 1024 * 1024;

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
    tracing: kit.tracing,
    fatal,
  });
  return { consume: { topics: [topic('events.accepted')], onRecord: router.onRecord, windowBytes: WINDOW_BYTES, totalBytes: TOTAL_BYTES } };
};
