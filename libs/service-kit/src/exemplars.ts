import { isSampled, traceIdOf } from '@posthorn/contracts';
import { Counter, Registry, Histogram, type HistogramConfiguration, type Metric, type OpenMetricsContentType } from 'prom-client';

/** @param traceparent a valid one: when its trace is recorded, it becomes the example of its bucket */
export type ObserveTraced = (seconds: number, traceparent?: string) => void;

/** A histogram with exemplars. prom-client makes them for registries that write nothing but OpenMetrics: it is registered when it is made. */
export const tracedHistogram = <Label extends string>(registry: Registry, config: Omit<HistogramConfiguration<Label>, 'registers'>): Histogram<Label> => {
  const histogram = new Histogram({ ...config, enableExemplars: true, registers: [] });
  registry.registerMetric(histogram);
  return histogram;
};

/**
 * One series of a `tracedHistogram`, its labels looked up once. What has no recorded trace costs one comparison more than without
 * exemplars.
 */
export const observingTraced = <Label extends string>(histogram: Histogram<Label>, labels: Readonly<Partial<Record<Label, string>>>): ObserveTraced => {
  const series = histogram.labels(labels);
  return (seconds, traceparent) => {
    if (traceparent === undefined || !isSampled(traceparent)) series.observe(seconds);
    else histogram.observe({ labels, value: seconds, exemplarLabels: { trace_id: traceIdOf(traceparent) } as object });
  };
};

/** Written as OpenMetrics, prom-client takes `_total` off the names of counters, for good: off those of these. */
const standInFor = (metric: Metric): Metric => (metric instanceof Counter ? (Object.create(metric) as Counter) : metric);

/** The metrics of a registry as OpenMetrics, which alone has exemplars; under the same names, with the same labels. */
export const openMetricsOf = async (registry: Registry, service: string): Promise<{ readonly type: string; readonly body: string }> => {
  const type = Registry.OPENMETRICS_CONTENT_TYPE;
  const standIns = new Registry<OpenMetricsContentType>();
  standIns.setContentType(type);
  standIns.setDefaultLabels({ service });
  for (const { name } of registry.getMetricsAsArray()) {
    const metric = registry.getSingleMetric(name);
    if (metric !== undefined) standIns.registerMetric(standInFor(metric));
  }
  return { type, body: await standIns.metrics() };
};
