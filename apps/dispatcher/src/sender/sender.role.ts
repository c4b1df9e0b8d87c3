import { topics } from '@posthorn/contracts';
import { HttpSender, makeAttempt, parseCidrs } from '@posthorn/egress';
import { migrateWhenPossible } from '@posthorn/event-store';
import { FETCH_PARTITION_BYTES } from '@posthorn/kafka';
import { senderMetrics } from '../metrics.js';
import type { Role, RoleParts } from '../role.js';
import { Cancellations } from './cancelling/cancellations.js';
import { migrations, SCHEMA } from './ordering/migrations.js';
import { PgBacklog } from './ordering/pg-backlog.js';
import { OutcomePacker } from './outcome-packer.js';
import { Sender } from './sender.js';

/** What is under way at the end may take this long; the process as a whole has 25 s. What takes longer is attempted again elsewhere. */
const DRAIN_MS = 16_000;

/** For what is still under way of the backlog when everything else has been drained. */
const LAST_MS = 5_000;

/** Of a partition, and of all together. What is parsed of a small record takes three times as much besides. */
const WINDOW_BYTES = 2 * 1024 * 1024;
const TOTAL_BYTES = 6 * 1024 * 1024;

const setTimer = (ms: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};

export const senderRole = async ({ config, kit, consumption, ...parts }: RoleParts): Promise<Role> => {
  // Outcomes and retries do not wait for each other's requests.
  const [outcomes, retries] = await Promise.all([kit.kafka.producer(), kit.kafka.producer()]);
  const packer = new OutcomePacker({ topic: parts.topic('deliveries.attempted'), send: (record) => outcomes.send(record), soon: setImmediate, setTimer });
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
    cancellations: () => cancellations.size,
  });
  const cancellations = new Cancellations({
    readToEnd: () => following.readToEnd(),
    keepMs: topics.find(({ name }) => name === 'deliveries.cancelled')?.retentionMs ?? Infinity,
    nowMs: Date.now,
    setTimer,
    onForgotten: (count) => {
      metrics.forgotten(count);
      kit.log.warn({ count, remembered: cancellations.size }, 'cancelled deliveries were forgotten, because there are too many: they may be attempted');
    },
    fatal: parts.fatal,
  });
  const sender = new Sender({
    ...parts,
    cancellations,
    attempt: (request) => makeAttempt(http, request),
    tracing: kit.tracing,
    send: (record) => retries.send(record),
    writeOutcome: packer.write.bind(packer),
    writePostponement: packer.writePostponement.bind(packer),
    backlog: new PgBacklog(url),
    backlogLimit: config.POSTHORN_ORDERING_BACKLOG,
    committed: (partition) => consumption()?.committed(requested, partition),
    isCommitted: (partition, offset) => consumption()?.isCommitted(requested, partition, offset) ?? false,
    isMember: async () => (await consumption()?.isMember()) ?? false,
    recordsInFlight: () => consumption()?.inFlight ?? 0,
    maxInFlight: config.POSTHORN_SENDER_MAX_IN_FLIGHT,
    windowBytes: WINDOW_BYTES,
    nowMs: Date.now,
    random: Math.random,
    soon: setImmediate,
    setTimer,
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
  cancellations.listen((subscription, round) => sender.ordering.cancelled(subscription, round));
  const following = await kit.kafka.follow({ topic: parts.topic('deliveries.cancelled'), onRecord: cancellations.onRecord });
  // Nobody waits for the database but ordered keys that have something in it.
  migrateWhenPossible({ url, schema: SCHEMA, migrations }, kit).then(
    () => kit.health.addReadiness('database', () => sender.ordering.trouble),
    parts.fatal,
  );
  return {
    consume: {
      topics: [requested],
      onRecord: sender.onRecord,
      onAssigned: (_, partition, committed) => {
        cancellations.assigned(partition);
        sender.ordering.assigned(partition, committed);
      },
      onRevoked: (_, partition) => {
        sender.ordering.revoked(partition);
        cancellations.revoked(partition);
      },
      // What a fetch brings beyond that still has room in its lane.
      windowBytes: WINDOW_BYTES - FETCH_PARTITION_BYTES,
      totalBytes: TOTAL_BYTES,
      hold: sender.hold,
      drainMs: DRAIN_MS,
    },
    close: async () => {
      await sender.ordering.close(LAST_MS);
      await http.close();
    },
  };
};
