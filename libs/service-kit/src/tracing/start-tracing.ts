import { Counter, type Registry } from 'prom-client';
import type { ProcessConfig } from '../config.js';
import type { Log } from '../log.js';
import { spanOutcomes, type Tracing } from './tracing.js';

type Parts = {
  readonly service: string;
  readonly version: string;
  readonly log: Log;
  readonly metrics: Registry;
  readonly onShutdown: (what: string, close: () => Promise<void>) => void;
};

/** Undefined, and OpenTelemetry is not loaded, when there is nowhere to export spans to. */
export const startTracing = async (config: ProcessConfig, { service, version, log, metrics, onShutdown }: Parts): Promise<Tracing | undefined> => {
  const spans = new Counter({
    name: 'posthorn_trace_spans_total',
    help: 'Spans by what became of them: exported, dropped because too many waited, failed at the endpoint, or left out because too much failed at once',
    labelNames: ['outcome'],
    registers: [metrics],
  });
  const of = new Map(spanOutcomes.map((outcome) => [outcome, spans.labels(outcome)]));
  for (const one of of.values()) one.inc(0);
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: ratio } = config;
  if (endpoint === undefined) return undefined;
  const { openTelemetry } = await import('./open-telemetry.js');
  const { tracing, close } = openTelemetry({
    endpoint,
    ratio,
    service,
    version,
    count: (outcome, count) => of.get(outcome)?.inc(count),
    onTrouble: (err) => {
      if (err === undefined) log.info({}, 'spans are exported again');
      else log.warn({ reason: err.message }, 'spans cannot be exported: they are dropped and counted until they can');
    },
  });
  onShutdown('tracing', close);
  return tracing;
};
