import type { NearMatchReason, Outcome } from '@posthorn/contracts';
import { observingTraced, SECONDS, tracedHistogram } from '@posthorn/service-kit';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BreakerState, PostponeCause } from './sender/sender-core.js';

/** A gauge that is read when it is scraped. */
const gauge = (registers: Registry[], name: string, help: string, read: () => number): Gauge =>
  new Gauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });

/** A gauge with one label whose values are read when it is scraped. */
const gauges = (registers: Registry[], name: string, help: string, label: string, read: () => Iterable<readonly [string, number]>): Gauge =>
  new Gauge({
    name,
    help,
    labelNames: [label],
    registers,
    collect() {
      for (const [value, count] of read()) this.set({ [label]: value }, count);
    },
  });

export const routerMetrics = (registry: Registry, read: { readonly subscriptions: () => number; readonly waiting: () => number }) => {
  const registers = [registry];
  const matched = new Histogram({
    name: 'posthorn_router_matched_subscriptions',
    help: 'Subscriptions that matched an event',
    buckets: [0, 1, 2, 5, 10, 50, 100, 500, 1_000, 10_000],
    registers,
  });
  const nearMatches = new Counter({
    name: 'posthorn_router_near_matches_total',
    help: "Subscriptions that asked for an event's type and did not get it, by why",
    labelNames: ['why'],
    registers,
  });
  gauge(registers, 'posthorn_router_waiting_events', "Events whose tenant's filters take their time", read.waiting);
  gauge(registers, 'posthorn_subscriptions', 'Enabled subscriptions in the routing table', read.subscriptions);
  return {
    decided: (count: number, near: Readonly<Record<NearMatchReason, number>>) => {
      matched.observe(count);
      for (const [why, times] of Object.entries(near)) if (times > 0) nearMatches.inc({ why }, times);
    },
  };
};

export const senderMetrics = (
  registry: Registry,
  read: {
    readonly inFlight: () => number;
    readonly windowBytes: () => number;
    readonly lanes: () => { readonly sending: number; readonly waiting: number };
    readonly blockedKeys: () => number;
    readonly backlogRows: () => number;
    readonly cancellations: () => number;
  },
) => {
  const registers = [registry];
  const attempts = new Counter({
    name: 'posthorn_sender_attempts_total',
    help: 'Attempts, and deliveries cancelled instead of attempted, by what came of them',
    labelNames: ['outcome'],
    registers,
  });
  const attemptDuration = tracedHistogram(registry, {
    name: 'posthorn_sender_attempt_duration_seconds',
    help: 'Duration of an HTTP request to a subscriber',
    buckets: SECONDS,
  });
  const latency = tracedHistogram(registry, {
    name: 'posthorn_delivery_latency_seconds',
    help: "From the acceptance of an event to the end of a delivery's first attempt",
    buckets: SECONDS,
  });
  const startLatency = new Histogram({
    name: 'posthorn_delivery_start_latency_seconds',
    help: "From the acceptance of an event to the start of a delivery's first attempt, by whether its own subscription's limits, order or failures held it",
    labelNames: ['held'],
    buckets: SECONDS,
    registers,
  });
  // Labels are looked up once: prom-client hashes them every time. And a series that is there from the start has a first increase that is seen.
  const ended = {
    delivered: attempts.labels('delivered'),
    retrying: attempts.labels('retrying'),
    failed: attempts.labels('failed'),
    cancelled: attempts.labels('cancelled'),
  } satisfies Record<Outcome['status'], unknown>;
  const took = observingTraced(attemptDuration, {});
  const late = observingTraced(latency, {});
  const started = { held: startLatency.labels('yes'), free: startLatency.labels('no') };
  gauge(registers, 'posthorn_sender_inflight', 'Requests to subscribers under way', read.inFlight);
  gauge(registers, 'posthorn_sender_window_bytes', 'Bytes of records read and not yet done', read.windowBytes);
  gauges(registers, 'posthorn_sender_lanes', 'Subscriptions with deliveries, by state', 'state', () => Object.entries(read.lanes()));
  gauge(registers, 'posthorn_sender_blocked_keys', 'Ordering keys whose deliveries wait in the backlog', read.blockedKeys);
  gauge(registers, 'posthorn_sender_backlog_deliveries', 'Deliveries that wait in the backlog for their turn', read.backlogRows);
  const postponed = new Counter({
    name: 'posthorn_sender_postponed_total',
    help: 'Deliveries that their lane could not take and the delay wheel brings back, by cause',
    labelNames: ['cause'],
    registers,
  });
  gauge(registers, 'posthorn_sender_cancellations', 'Cancelled rounds of deliveries that are remembered', read.cancellations);
  const cancelled = new Counter({
    name: 'posthorn_sender_cancelled_total',
    help: 'Rounds of deliveries that ended because they had been cancelled by a user',
    registers,
  });
  const forgotten = new Counter({
    name: 'posthorn_sender_cancellations_forgotten_total',
    help: 'Cancelled rounds that were forgotten before their time, because there were too many',
    registers,
  });
  const breaker = new Counter({
    name: 'posthorn_breaker_transitions_total',
    help: 'Transitions of circuit breakers, by the state they came to',
    labelNames: ['to'],
    registers,
  });
  for (const one of [...Object.values(ended), ...(['rate_limit', 'breaker', 'slow'] as const).map((cause) => postponed.labels(cause))]) one.inc(0);
  for (const to of ['closed', 'open', 'half_open'] as const) breaker.inc({ to }, 0);
  return {
    postponed: (cause: PostponeCause) => postponed.inc({ cause }),
    cancelled: () => cancelled.inc(),
    forgotten: (count: number) => forgotten.inc(count),
    breaker: (to: BreakerState) => breaker.inc({ to }),
    started: (latencyMs: number, isHeld: boolean) => (isHeld ? started.held : started.free).observe(Math.max(0, latencyMs) / 1_000),
    outcome: ({ status, attempt, trigger, number, traceparent }: Outcome, latencyMs: number) => {
      ended[status].inc();
      if (attempt === undefined) return;
      took(attempt.duration_ms / 1_000, traceparent);
      if (trigger === 'first' && number === 1) late(latencyMs / 1_000, traceparent);
    },
  };
};

export const delayMetrics = (registry: Registry, waiting: () => Iterable<readonly [string, number]>): void => {
  gauges([registry], 'posthorn_delay_waiting', 'Deliveries that wait in a tier of the delay wheel', 'tier', waiting);
};
