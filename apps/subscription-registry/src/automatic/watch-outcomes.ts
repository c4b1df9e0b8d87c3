import type { Consumption } from '@posthorn/kafka';
import { Problem, type Kit } from '@posthorn/service-kit';
import type { Pool } from 'pg';
import type { Aggregates } from '../aggregates.js';
import { subscriptionAggregate } from '../subscriptions/subscription-table.js';
import { AutomaticChanges, type Disabling } from './automatic-changes.js';
import { FailureTable } from './failure-table.js';

export type WatchOutcomesParts = {
  readonly kit: Pick<Kit, 'kafka' | 'log' | 'health' | 'onShutdown'>;
  readonly topicPrefix: string;
  readonly pool: Pool;
  readonly aggregates: Aggregates;
  /** Who is told to have done it. */
  readonly actor: string;
};

/** Nobody waits for it: a subscription that is gone is disabled a second later all the same, of which an attempt may take thirty. */
const PATIENCE = { minBytes: 1024 * 1024, maxWaitMs: 1_000 };
/** Two batches or so: what is read ahead of the database is only held in memory. */
const WINDOW_BYTES = 2 * 1024 * 1024;
const TOTAL_BYTES = 8 * 1024 * 1024;

/** Reads what became of the deliveries, and disables what is gone or does nothing but fail. Resolves to what says how far it is behind. */
export const watchOutcomes = async ({ kit, topicPrefix, pool, aggregates, actor }: WatchOutcomesParts): Promise<Consumption> => {
  const { kafka, log, health, onShutdown } = kit;
  const changes = new AutomaticChanges({ table: new FailureTable(pool), disable: disabler(aggregates, actor), log });
  await kafka.ensureTopics(['deliveries.attempted']);
  onShutdown('automatic changes', async () => changes.close());
  const consumption = await kafka.consume({
    groupId: `${topicPrefix}.subscription-registry`,
    topics: [kafka.topic('deliveries.attempted')],
    onRecord: (record) => changes.add(record),
    windowBytes: WINDOW_BYTES,
    totalBytes: TOTAL_BYTES,
    patience: PATIENCE,
  });
  onShutdown('outcomes', () => consumption.close());
  health.addInformation('automatic_changes', async () => changes.trouble ?? consumption.stalled ?? 'ok');
  return consumption;
};

const disabler =
  (aggregates: Aggregates, actor: string) =>
  async ({ subscription, reason, observedAt, delivery }: Disabling): Promise<void> => {
    const command = () => ({ kind: 'disable', reason, observed_at: observedAt, at: new Date().toISOString() }) as const;
    const by = { actor, cause: `delivery ${delivery}` };
    try {
      await aggregates.change(subscriptionAggregate, subscription, command, { by }, { answer: () => undefined });
    } catch (error) {
      // Deleted meanwhile.
      if (!(error instanceof Problem) || error.code !== 'not_found') throw error;
    }
  };
