import type { AskedRound } from '@posthorn/contracts';
import { observingTraced, SECONDS, tracedHistogram } from '@posthorn/service-kit';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Written } from './loading/loader.js';
import { refusalReasons, type Refused } from './loading/rows.js';
import type { Swept } from './retention/retention.js';

export type AuditMetrics = {
  onWritten(written: Written, seconds: number, traceparent?: string): void;
  onRefused(refused: readonly Refused[]): void;
};

/** The audit's own metrics; their names are part of the public surface. */
export const auditMetrics = (registry: Registry): AuditMetrics => {
  const rows = new Counter({
    name: 'posthorn_audit_rows_total',
    help: 'Rows inserted or changed; what was there already does not count',
    labelNames: ['kind'],
    registers: [registry],
  });
  const duration = tracedHistogram(registry, {
    name: 'posthorn_audit_batch_duration_seconds',
    help: 'Time from the start of a transaction to its commit, for a batch that was committed',
    buckets: SECONDS,
  });
  const refusals = new Counter({
    name: 'posthorn_audit_refused_total',
    help: 'What records said of deliveries and was not recorded, because it cannot be true',
    labelNames: ['reason'],
    registers: [registry],
  });
  const took = observingTraced(duration, {});
  for (const reason of refusalReasons) refusals.inc({ reason }, 0);
  return {
    onWritten: (written, seconds, traceparent) => {
      rows.inc({ kind: 'event' }, written.events);
      rows.inc({ kind: 'decision' }, written.decisions);
      rows.inc({ kind: 'delivery' }, written.deliveries);
      rows.inc({ kind: 'attempt' }, written.attempts);
      rows.inc({ kind: 'round' }, written.rounds);
      rows.inc({ kind: 'cancellation' }, written.cancellations);
      rows.inc({ kind: 'rejected_event' }, written.rejected_events);
      rows.inc({ kind: 'duplicate' }, written.duplicates);
      rows.inc({ kind: 'configuration' }, written.configuration);
      took(seconds, traceparent);
    },
    onRefused: (refused) => {
      for (const { reason } of refused) refusals.inc({ reason });
    },
  };
};

export type RetentionMetrics = {
  onTooOld(rows: number): void;
  onSwept(swept: Swept): void;
};

export const retentionMetrics = (registry: Registry): RetentionMetrics => {
  const expired = new Counter({
    name: 'posthorn_audit_expired_rows_total',
    help: 'Rows whose time was over: not recorded, because their record was read too late, or deleted because their tenant keeps less than others',
    labelNames: ['how'],
    registers: [registry],
  });
  const partitions = new Counter({
    name: 'posthorn_audit_dropped_partitions_total',
    help: 'Partitions that were dropped because nobody keeps their day',
    registers: [registry],
  });
  for (const how of ['not_recorded', 'deleted']) expired.inc({ how }, 0);
  return {
    onTooOld: (rows) => expired.inc({ how: 'not_recorded' }, rows),
    onSwept: ({ dropped, deleted }) => {
      partitions.inc(dropped);
      expired.inc({ how: 'deleted' }, deleted);
    },
  };
};

/**
 * Of the statistics' background work: what waits for it, and what it takes.
 * @param waiting counts the deltas that are not folded; when it cannot, the metric says nothing
 */
export const statisticsMetrics = (registry: Registry, waiting: () => Promise<number>): ((seconds: number) => void) => {
  void new Gauge({
    name: 'posthorn_audit_statistics_deltas',
    help: 'Deltas that are not folded into the statistics yet: readers add them up each time',
    registers: [registry],
    async collect() {
      // Not reset: that would say 0.
      this.remove();
      await waiting().then(
        (deltas) => this.set(deltas),
        () => undefined,
      );
    },
  });
  const duration = new Histogram({
    name: 'posthorn_audit_statistics_fold_duration_seconds',
    help: 'Time from the start of a transaction that folds deltas into the statistics to its commit',
    buckets: SECONDS,
    registers: [registry],
  });
  return (seconds) => duration.observe(seconds);
};

export type SendingAgainMetrics = {
  requested(rounds: readonly { readonly trigger: AskedRound['trigger'] }[]): void;
  dropped(rounds: readonly object[]): void;
};

/** Of what is sent again. What waits is told by the one of all replicas that works on it; the others say nothing. */
export const sendingAgainMetrics = (
  registry: Registry,
  { query, isLeader }: { readonly query: <Row>(sql: string) => Promise<readonly Row[]>; readonly isLeader: () => boolean },
): SendingAgainMetrics => {
  void new Gauge({
    name: 'posthorn_audit_replays',
    help: 'Replays that have not ended',
    labelNames: ['status'],
    registers: [registry],
    async collect() {
      this.reset();
      if (!isLeader()) return;
      const open = await query<{ status: string; count: number }>(
        `select status, count(*)::integer as count from replays.replays where finished_at is null group by status`,
      ).catch(() => undefined);
      if (open === undefined) return;
      for (const status of ['running', 'paused']) this.set({ status }, open.find((one) => one.status === status)?.count ?? 0);
    },
  });
  void new Gauge({
    name: 'posthorn_audit_rounds_waiting',
    help: 'Rounds that were asked for and are not in Kafka yet',
    registers: [registry],
    async collect() {
      this.remove();
      if (!isLeader()) return;
      const [waiting] = await query<{ count: number }>(`select count(*)::integer as count from replays.outbox`).catch(() => []);
      if (waiting !== undefined) this.set(waiting.count);
    },
  });
  const asked = new Counter({
    name: 'posthorn_audit_rounds_asked_total',
    help: 'Rounds that the sender was asked for, by redelivering or by replaying',
    labelNames: ['trigger'],
    registers: [registry],
  });
  for (const trigger of ['redeliver', 'replay']) asked.inc({ trigger }, 0);
  const gone = new Counter({
    name: 'posthorn_audit_rounds_dropped_total',
    help: 'Rounds that were not asked for because retention dropped their event while they waited',
    registers: [registry],
  });
  return {
    requested: (rounds) => {
      for (const { trigger } of rounds) asked.inc({ trigger });
    },
    dropped: (rounds) => gone.inc(rounds.length),
  };
};

/**
 * Of the database that the services share: each replica tells the same.
 * @param size in bytes, as PostgreSQL's bigint; when it cannot be asked, the metric says nothing
 */
export const databaseMetrics = (registry: Registry, size: () => Promise<string | undefined>): void => {
  void new Gauge({
    name: 'posthorn_database_bytes',
    help: 'Size of the database on the disk of PostgreSQL, all schemas together',
    registers: [registry],
    async collect() {
      const bytes = await size().catch(() => undefined);
      if (bytes === undefined) this.remove();
      else this.set(Number(bytes));
    },
  });
};

/** @param running exports at this moment */
export const exportMetrics = (registry: Registry, running: () => number): void => {
  void new Gauge({
    name: 'posthorn_audit_exports',
    help: 'Exports under way',
    registers: [registry],
    collect() {
      this.set(running());
    },
  });
};
