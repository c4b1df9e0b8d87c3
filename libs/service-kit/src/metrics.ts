import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Health, Readiness } from './health.js';

/** Upper bounds of every histogram of durations, in seconds: from a millisecond to the minute after which nobody waits any more. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60];

/**
 * How often the delay of the event loop is sampled. Each sample wakes the process up: prom-client's own 10 ms cost an idle process half a per cent of
 * a core, more than all else that it does then. `nodejs_eventloop_lag_*_seconds` contain this interval.
 */
const EVENT_LOOP_SAMPLE_MS = 100;

/** A registry that puts `service` on every metric and holds Node's own. */
export const createMetrics = (service: string): Registry => {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_SAMPLE_MS });
  return registry;
};

export type ObserveRequest = (method: string, route: string, status: number, seconds: number) => void;

/** `posthorn_http_request_duration_seconds`. The route is its pattern: a URL would make a series per id. */
export const requestDuration = (registry: Registry): ObserveRequest => {
  const histogram = new Histogram({
    name: 'posthorn_http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its response',
    labelNames: ['method', 'route', 'status'],
    buckets: SECONDS,
    registers: [registry],
  });
  // Looking labels up in prom-client hashes them each time; a map of the few series costs a tenth of it.
  const series = new Map<string, Histogram.Internal<string>>();
  return (method, route, status, seconds) => {
    const key = `${method} ${status} ${route}`;
    let one = series.get(key);
    if (one === undefined) series.set(key, (one = histogram.labels(method, route, String(status))));
    one.observe(seconds);
  };
};

export type ObserveCall = (method: string, code: string, seconds: number) => void;

/** `posthorn_grpc_request_duration_seconds`; the method is one of ours, as in `posthorn.registry.v1.TenantService/GetTenant`. */
export const grpcDuration = (registry: Registry): ObserveCall => {
  const histogram = new Histogram({
    name: 'posthorn_grpc_request_duration_seconds',
    help: 'Time from the head of a gRPC call to its status',
    labelNames: ['method', 'code'],
    buckets: SECONDS,
    registers: [registry],
  });
  return (method, code, seconds) => histogram.labels(method, code).observe(seconds);
};

/** `posthorn_build_info`: which version runs, and on what; its value says nothing. */
export const buildInfo = (registry: Registry, version: string): void => {
  const gauge = new Gauge({
    name: 'posthorn_build_info',
    help: 'Always 1, with the version of Posthorn and of Node',
    labelNames: ['version', 'node'],
    registers: [registry],
  });
  gauge.set({ version, node: process.versions.node }, 1);
};

/**
 * `posthorn_ready` and `posthorn_ready_check`: what `/readyz` would say at the moment of the scrape, because who is paged at night looks at a graph
 * of the last hour, in which an endpoint has no past.
 */
export const readinessMetrics = (registry: Registry, health: Pick<Health, 'checks' | 'readiness'>): void => {
  let asking: Promise<Readiness> | undefined;
  /** A registry collects everything at once: both tell of one asking. */
  const ask = (): Promise<Readiness> => (asking ??= health.readiness().finally(() => (asking = undefined)));
  const ready = new Gauge({
    name: 'posthorn_ready',
    help: '1 when the process is ready for work, else 0',
    registers: [],
    async collect() {
      this.set((await ask()).status === 'ready' ? 1 : 0);
    },
  });
  const checks = new Gauge({
    name: 'posthorn_ready_check',
    help: '1 for each part of the readiness that is fine, 0 for each that is not',
    labelNames: ['check'],
    registers: [],
    async collect() {
      const { reasons = [] } = await ask();
      const failing = new Set(reasons.map(({ name }) => name));
      this.reset();
      for (const check of health.checks) this.set({ check }, failing.has(check) ? 0 : 1);
    },
  });
  registry.registerMetric(ready);
  registry.registerMetric(checks);
};

/** `posthorn_consumer_lag`. @param read how far the readers of each topic are behind, asked at every scrape */
export const lagMetric = (registry: Registry, read: () => Iterable<readonly [topic: string, records: number]>): void => {
  const gauge = new Gauge({
    name: 'posthorn_consumer_lag',
    help: 'Records between the end of the topic and what is done, over the partitions read here',
    labelNames: ['topic'],
    registers: [],
    collect() {
      this.reset();
      for (const [topic, records] of read()) this.set({ topic }, records);
    },
  });
  registry.registerMetric(gauge);
};

/**
 * `posthorn_consumer_oldest_age_seconds`: how long what somebody was promised has been waiting here. Lag counts records, which says little where one
 * of them takes a minute.
 * @param read when the oldest record of each topic that is read and not done was written (ms since the epoch); undefined when none waits
 */
export const oldestMetric = (registry: Registry, read: () => Iterable<readonly [topic: string, oldestMs: number | undefined]>, nowMs: () => number = Date.now): void => {
  const gauge = new Gauge({
    name: 'posthorn_consumer_oldest_age_seconds',
    help: 'Age of the oldest record that was read and is not done, over the partitions read here; 0 when there is none',
    labelNames: ['topic'],
    registers: [],
    collect() {
      this.reset();
      for (const [topic, oldestMs] of read()) this.set({ topic }, oldestMs === undefined ? 0 : Math.max(0, nowMs() - oldestMs) / 1_000);
    },
  });
  registry.registerMetric(gauge);
};
