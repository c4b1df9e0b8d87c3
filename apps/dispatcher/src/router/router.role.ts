import { routerMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { Router } from './router.js';

export const routerRole = async ({ kit, table, feed, topic, fatal }: RoleParts): Promise<Role> => {
  const producer = await kit.kafka.producer();
  const router = new Router({
    table,
    feed,
    send: (record) => producer.send(record),
    topics: { routed: topic('deliveries.routed'), requested: topic('deliveries.requested') },
    matched: routerMetrics(kit.metrics, () => table.size).matched,
    fatal,
  });
  return { consume: { topics: [topic('events.accepted')], onRecord: router.onRecord } };
};
