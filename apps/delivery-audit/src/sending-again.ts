import type { Provider, Type } from '@nestjs/common';
import { EventStore, Leader } from '@posthorn/event-store';
import type { OutgoingRecord } from '@posthorn/kafka';
import type { Kit } from '@posthorn/service-kit';
import { Pool } from 'pg';
import { RememberedAnswers } from './asking/answers.js';
import { RedeliveryController } from './asking/redelivery.controller.js';
import { Redelivery } from './asking/redelivery.js';
import { ASKED_CHANNEL, ASKED_SCHEMA } from './asking/schema.js';
import { queryable } from './asking/transactions.js';
import { sendingAgainMetrics } from './metrics.js';
import { Loaded } from './replaying/loaded.js';
import { Looking } from './replaying/looking.js';
import { Pages } from './replaying/pages.js';
import { ReplaysController } from './replaying/replays.controller.js';
import { Replays } from './replaying/replays.js';
import { Sweeping } from './replaying/sweeping.js';
import { Requester } from './requesting/requester.js';

const CONNECTIONS = 4;
const STATEMENT_TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** Whoever cancels waits for it. */
const CANCEL_DEADLINE_MS = 5_000;
/** Of a tenant that is gone, or not known yet. */
const RETENTION_MS = 3_650 * 86_400_000;
/** Who ends a replay when there is no more of it. */
const SERVICE = 'delivery-audit';
/** What replays select from is folded from these. */
const SELECTED_FROM = ['events.accepted', 'deliveries.routed', 'deliveries.attempted', 'deliveries.cancelled'] as const;

/** What the module offers, and how much it has to do. */
export type SendingAgain = { readonly controllers: readonly Type[]; readonly providers: readonly Provider[] };

/** Puts together what sends again: requests → outbox, replays → outbox, outbox → Kafka. The last two are done by one of all replicas. */
export const startSendingAgain = async (url: string, groupId: string, { kafka, registryState, log, metrics, onShutdown }: Kit): Promise<SendingAgain> => {
  const topic = kafka.topic.bind(kafka);
  await kafka.ensureTopics(['deliveries.requested', 'deliveries.rounds', 'deliveries.cancelled']);
  const topicOf = async (name: 'deliveries.requested' | 'deliveries.rounds') => ({ name: topic(name), partitions: await kafka.partitions(topic(name)) });
  const [requested, rounds, producer] = await Promise.all([topicOf('deliveries.requested'), topicOf('deliveries.rounds'), kafka.producer()]);

  const pool = new Pool({ connectionString: url, application_name: 'posthorn delivery-audit asking', max: CONNECTIONS, statement_timeout: STATEMENT_TIMEOUT_MS, connectionTimeoutMillis: CONNECT_TIMEOUT_MS });
  pool.on('error', (err) => log.warn({ err }, 'an idle connection to PostgreSQL was lost'));
  onShutdown('asking', () => pool.end());

  const answers = new RememberedAnswers(pool);
  const looking = new Looking();
  const replays = new Replays({ pool, store: new EventStore(pool, ASKED_SCHEMA), answers, registry: registryState, looking });
  const cancel = (record: OutgoingRecord) => producer.send(record, { deadlineMs: CANCEL_DEADLINE_MS });
  const redelivery = new Redelivery({ pool, answers, registry: registryState, send: cancel, topic, partitions: requested.partitions });

  const observe = sendingAgainMetrics(metrics, { query: (sql) => queryable(pool).query(sql), isLeader: () => leader.role === 'leader' });
  const requester = new Requester({ send: (record) => producer.send(record), topics: { rounds, requested }, requested: observe.requested, dropped: observe.dropped });
  const pages = new Pages({
    looking,
    loaded: new Loaded({ topics: SELECTED_FROM.map(topic), ends: (name) => kafka.ends(name), progress: (name) => kafka.progress(groupId, name) }),
    conclude: (tenant, id, conclusion) => replays.conclude(tenant, id, conclusion, SERVICE),
    log,
    now: () => new Date(),
    nowMs: () => performance.now(),
  });
  const retentions = new Map<string, number>();
  registryState.fold('tenant', {
    changed: ({ id, settings }) => void retentions.set(id, settings.retention_ms),
    removed: (id) => void retentions.delete(id),
  });
  const sweeping = new Sweeping({ retentionMsOf: (tenant) => retentions.get(tenant) ?? RETENTION_MS, now: () => Date.now() });
  const leader: Leader = new Leader({
    name: 'delivery-audit sending again',
    connectionString: url,
    wakenBy: [ASKED_CHANNEL, `${ASKED_SCHEMA}_appended`],
    log,
    work: async (client, signal) => {
      const database = queryable(client);
      // In turn: so the outbox never holds more than a page and what was asked for meanwhile, and a single delivery never waits for more than a page.
      for (;;) {
        const sent = await requester.sendOldest(database);
        if (signal.aborted) return 0;
        const made = await pages.makeNext(client);
        if (made.kind === 'made' || sent > 0) continue;
        await sweeping.sweep(database);
        return made.ms;
      }
    },
  });
  onShutdown('sending again', () => leader.close());

  return {
    controllers: [RedeliveryController, ReplaysController],
    providers: [
      { provide: Redelivery, useValue: redelivery },
      { provide: Replays, useValue: replays },
    ],
  };
};
