import { delayTiers } from '@posthorn/contracts';
import { delayMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { Delay } from './delay.js';

/** Of the wheel, only what leaves next is held. */
const WINDOW_BYTES = 1024 * 1024;
/** How late a partition is read on whose window was full: what is due at the same time as what was in it waits for that. */
const FETCH_MS = 25;
/** In the longest tier nothing moves for six hours, and rightly so: whether the wheel turns is seen by what is overdue. */
const STALL_MS = 7 * 3_600_000;
const OVERDUE_MS = 30_000;
const DRAIN_MS = 5_000;

export const delayRole = async ({ kit, topic, wheel, partitionOf, consumption, fatal }: RoleParts): Promise<Role> => {
  const producer = await kit.kafka.producer();
  const delay = new Delay({
    topic,
    wheel,
    partitionOf,
    send: (record) => producer.send(record),
    fatal,
    nowMs: () => Date.now(),
    setTimer: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
  });

  kit.health.addReadiness('delay wheel', () => {
    const overdueMs = delay.overdueMs(Date.now());
    return overdueMs > OVERDUE_MS ? `a delivery should have left its tier ${Math.round(overdueMs / 1_000)} s ago` : undefined;
  });
  const topics = delayTiers.map(({ name }) => [name, topic(`deliveries.delayed.${name}`)] as const);
  delayMetrics(kit.metrics, () => topics.map(([tier, name]) => [tier, consumption()?.lag.get(name) ?? 0] as const));

  return {
    consume: {
      topics: topics.map(([, name]) => name),
      onRecord: delay.onRecord,
      onAssigned: delay.onAssigned,
      onRevoked: delay.onRevoked,
      windowBytes: WINDOW_BYTES,
      // What waits in one tier for hours must not keep the others from being read.
      totalBytes: Infinity,
      patience: { minBytes: 1, maxWaitMs: FETCH_MS },
      stallMs: STALL_MS,
      // What waits in the wheel does not get done by waiting for it; what has left it does, unless Kafka is away.
      hold: delay.hold,
      drainMs: DRAIN_MS,
    },
  };
};
