import { HttpSender, makeAttempt, parseCidrs } from '@posthorn/egress';
import { senderMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { OutcomePacker } from './outcome-packer.js';
import { Sender } from './sender.js';

/** What is under way at the end may take this long; the process as a whole has 25 s. What takes longer is attempted again elsewhere. */
const DRAIN_MS = 16_000;

/** Of a partition. */
const WINDOW_BYTES = 16 * 1024 * 1024;

export const senderRole = async ({ config, kit, consumption, ...parts }: RoleParts): Promise<Role> => {
  // Outcomes and retries do not wait for each other's requests.
  const [outcomes, retries] = await Promise.all([kit.kafka.producer(), kit.kafka.producer()]);
  const packer = new OutcomePacker(parts.topic('deliveries.attempted'), (record) => outcomes.send(record));
  const http = new HttpSender({
    policy: {
      allowHttp: config.POSTHORN_EGRESS_ALLOW_HTTP,
      allowedAddresses: parseCidrs(config.POSTHORN_EGRESS_ALLOW_CIDRS),
    },
    nameServers: config.POSTHORN_DNS_SERVERS,
  });
  const metrics = senderMetrics(kit.metrics, {
    inFlight: () => sender.core.inFlight,
    windowBytes: () => consumption()?.inFlightBytes ?? 0,
    lanes: () => sender.core.countLanes(),
  });
  const sender = new Sender({
    ...parts,
    attempt: (request) => makeAttempt(http, request),
    send: (record) => retries.send(record),
    writeOutcome: (partition, outcome) => packer.write(partition, outcome),
    maxInFlight: config.POSTHORN_SENDER_MAX_IN_FLIGHT,
    laneBytes: WINDOW_BYTES / 8,
    nowMs: Date.now,
    random: Math.random,
    setTimer: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    observe: {
      ...metrics,
      breaker: (to, subscription) => {
        metrics.breaker(to);
        kit.log.info({ tenant: parts.subscriptions.get(subscription)?.tenant, subscription, to }, 'breaker');
      },
    },
  });
  return {
    consume: { topics: [parts.topic('deliveries.requested')], onRecord: sender.onRecord, windowBytes: WINDOW_BYTES, drainMs: DRAIN_MS },
    close: () => http.close(),
  };
};
