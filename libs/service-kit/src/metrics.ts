import { collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** A registry that puts `service` on every metric and holds Node's own. */
export const createMetrics = (service: string): Registry => {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  collectDefaultMetrics({ register: registry });
  return registry;
};

export type ObserveRequest = (method: string, route: string, status: number, seconds: number) => void;

/** `posthorn_http_request_duration_seconds`. The route is its pattern: a URL would make a series per id. */
export const requestDuration = (registry: Registry): ObserveRequest => {
  const histogram = new Histogram({
    name: 'posthorn_http_request_duration_seconds',
    help: 'Time from the head of a request to the end of its response',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
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
    help: 'Time from the request of a gRPC call to its status',
    labelNames: ['method', 'code'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers: [registry],
  });
  return (method, code, seconds) => histogram.labels(method, code).observe(seconds);
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
