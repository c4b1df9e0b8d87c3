import type { Rejection } from '@posthorn/contracts';
import { observingTraced, SECONDS, tracedHistogram } from '@posthorn/service-kit';
import { Counter, Histogram, type Registry } from 'prom-client';

export type IngestionOutcome = 'accepted' | 'rejected' | 'unavailable' | 'duplicate' | 'skipped';

/** What one door counts. */
export type DoorMetrics = { readonly observe: (outcome: IngestionOutcome, seconds: number, traceparent?: string) => void };

export type IngestionMetrics = {
  readonly door: (door: Rejection['door']) => DoorMetrics;
  /** How long a statement that claims events took. */
  readonly observeClaim: (seconds: number) => void;
  readonly countViolation: (policy: 'warn' | 'reject') => void;
  readonly countUntoldDuplicates: (ids: number) => void;
};

export const ingestionMetrics = (registry: Registry): IngestionMetrics => {
  const events = new Counter({
    name: 'posthorn_ingestion_events_total',
    help: 'Events by door and by what became of them',
    labelNames: ['door', 'outcome'],
    registers: [registry],
  });
  const duration = tracedHistogram(registry, {
    name: 'posthorn_ingestion_duration_seconds',
    help: "From an event's arrival at its door to Kafka's acknowledgement of what became of it",
    labelNames: ['door'],
    buckets: [0.0005, ...SECONDS],
  });
  const violations = new Counter({
    name: 'posthorn_ingestion_schema_violations_total',
    help: 'Events whose data does not fit the schema of their type, by what the tenant wants done with them',
    labelNames: ['policy'],
    registers: [registry],
  });
  const claims = new Histogram({
    name: 'posthorn_ingestion_claim_duration_seconds',
    help: 'Statements that claim a batch of event ids in PostgreSQL',
    buckets: [0.0005, ...SECONDS],
    registers: [registry],
  });
  const untold = new Counter({
    name: 'posthorn_ingestion_untold_duplicates_total',
    help: 'Ids of duplicate events whose last counts were forgotten before they could be written to events.duplicated',
    registers: [registry],
  });
  const count = { warn: violations.labels('warn'), reject: violations.labels('reject') };
  return {
    observeClaim: (seconds) => claims.observe(seconds),
    countViolation: (policy) => count[policy].inc(),
    countUntoldDuplicates: (ids) => untold.inc(ids),
    door(door) {
      // Labels are looked up once: prom-client hashes them every time. And a series that is there from the start has a first increase that is seen.
      const time = observingTraced(duration, { door });
      const count = {
        accepted: events.labels(door, 'accepted'),
        rejected: events.labels(door, 'rejected'),
        unavailable: events.labels(door, 'unavailable'),
        duplicate: events.labels(door, 'duplicate'),
        skipped: events.labels(door, 'skipped'),
      };
      for (const series of Object.values(count)) series.inc(0);
      return {
        observe(outcome, seconds, traceparent) {
          count[outcome].inc();
          time(seconds, traceparent);
        },
      };
    },
  };
};
