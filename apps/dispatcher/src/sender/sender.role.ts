import { HttpSender, makeAttempt, parseCidrs } from '@posthorn/egress';
import { migrateWhenPossible } from '@posthorn/event-store';
import { senderMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { migrations, SCHEMA } from './ordering/migrations.js';
import { PgBacklog } from './ordering/pg-backlog.js';
import { OutcomePacker } from './outcome-packer.js';
import { Sender } from './sender.js';

/** What is under way at the end may take this long; the process as a whole has 25 s. What takes longer is attempted again elsewhere. */
const DRAIN_MS = 16_000;

/** For what is still under way of the backlog when everything else has been drained. */
const LAST_MS = 5_000;

/** Of a partition, and of all together. What is parsed of a small record takes twice as much besides. */
const WINDOW_BYTES = 8 * 1024 * 1024;
const TOTAL_BYTES = 32 * 1024 * 1024;

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
  const requested = parts.topic('deliveries.requested');
  const url = config.POSTHORN_DATABASE_URL;
  if (url === undefined) throw new TypeError('the configuration lets no sender be without a database');
  const metrics = senderMetrics(kit.metrics, {
    inFlight: () => sender.core.inFlight,
    windowBytes: () => consumption()?.inFlightBytes ?? 0,
    lanes: () => sender.core.countLanes(),
    blockedKeys: () => sender.ordering.waiting.keys,
    backlogRows: () => sender.ordering.waiting.deliveries,
  });
  const sender = new Sender({
    ...parts,
    attempt: (request) => makeAttempt(http, request),
    send: (record) => retries.send(record),
    writeOutcome: (partition, outcome) => packer.write(partition, outcome),
    backlog: new PgBacklog(url),
    backlogLimit: config.POSTHORN_ORDERING_BACKLOG,
    committed: (partition) => consumption()?.committed(requested, partition),
    isCommitted: (partition, offset) => consumption()?.isCommitted(requested, partition, offset) ?? false,
    maxInFlight: config.POSTHORN_SENDER_MAX_IN_FLIGHT,
    windowBytes: WINDOW_BYTES,
    nowMs: Date.now,
    random: Math.random,
    soon: setImmediate,
    setTimer: (ms, run) => {
      const timer = setTimeout(run, ms);
      return () => clearTimeout(timer);
    },
    observe: {
      ...metrics,
      breaker: (to, subscription) => {
        metrics.breaker(to);
        kit.log.info({ tenant: parts.subscriptions.get(subscription)?.tenant, subscription, to }, 'a circuit breaker has changed');
      },
    },
  });
  const tellOrdering = (id: string): void => sender.ordering.changed(id);
  parts.feed.listen({ changed: ({ kind, id }) => void (kind === 'subscription' && tellOrdering(id)), removed: tellOrdering });
  // Nobody waits for the database but ordered keys that have something in it.
  migrateWhenPossible({ url, schema: SCHEMA, migrations }, kit).then(
    () => kit.health.addReadiness('database', () => sender.ordering.trouble),
    parts.fatal,
  );
  return {
    consume: {
      topics: [requested],
      onRecord: sender.onRecord,
      onAssigned: (_, partition, committed) => sender.ordering.assigned(partition, committed),
      onRevoked: (_, partition) => sender.ordering.revoked(partition),
      windowBytes: WINDOW_BYTES,
      totalBytes: TOTAL_BYTES,
      drainMs: DRAIN_MS,
    },
    close: async () => {
      await sender.ordering.close(LAST_MS);
      await http.close();
    },
  };
};
