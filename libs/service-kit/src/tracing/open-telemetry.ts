import { isSampled } from '@posthorn/contracts';
import { createContextKey, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags, type Context, type Span, type SpanContext } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, SamplingDecision, TracerProvider, type ReadableSpan, type Sampler, type SpanExporter, type SpanProcessor } from '@opentelemetry/sdk-trace';
import { byRatio, FailureAllowance } from './sampling.js';
import type { OpenSpan, SpanEnd, SpanOutcome, SpanStart, Tracing } from './tracing.js';

export type OpenTelemetryOptions = {
  /** OTLP over HTTP; `/v1/traces` is put behind it. */
  readonly endpoint: string;
  /** Share of the traces that begin here, 0 to 1. */
  readonly ratio: number;
  readonly service: string;
  readonly version: string;
  /** What has ended meanwhile is sent together. Default a second. */
  readonly exportEveryMs?: number;
  readonly count: (outcome: SpanOutcome, spans: number) => void;
  /** The exporter's state has changed: undefined when it gets through again. */
  readonly onTrouble: (error: Error | undefined) => void;
};

/** A span has about a kilobyte. */
const MOST_WAITING = 4_096;
const BATCH = 512;
/** What producers call their tenants and events, in what is refused, may be anything. */
const LONGEST_TEXT = 256;
const EXPORT_EVERY_MS = 1_000;
const EXPORT_TIMEOUT_MS = 5_000;
const FAILURES_PER_SECOND = 100;
/** Spans are not worth holding a process for. */
const CLOSE_MS = 3_000;

const KINDS: Readonly<Record<SpanStart['kind'], SpanKind>> = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
  internal: SpanKind.INTERNAL,
};

/** In the context of a span that is to be recorded whatever its parent's flags are. */
const WANTED = createContextKey('posthorn: recorded in any case');

/** The parent's decision, else that of the trace's id. */
class OursOrParents implements Sampler {
  constructor(private readonly isOurs: (traceId: string) => boolean) {}

  shouldSample(context: Context, traceId: string) {
    const parent = trace.getSpanContext(context);
    const isRecorded = context.getValue(WANTED) === true || (parent === undefined ? this.isOurs(traceId) : (parent.traceFlags & TraceFlags.SAMPLED) !== 0);
    return { decision: isRecorded ? SamplingDecision.RECORD_AND_SAMPLED : SamplingDecision.NOT_RECORD };
  }

  toString(): string {
    return 'OursOrParents';
  }
}

const TRACE_ID_AT = '00-'.length;
const SPAN_ID_AT = TRACE_ID_AT + 32 + 1;
const SPAN_ID_END = SPAN_ID_AT + 16;

const spanContextOf = (traceparent: string): SpanContext => ({
  traceId: traceparent.slice(TRACE_ID_AT, SPAN_ID_AT - 1),
  spanId: traceparent.slice(SPAN_ID_AT, SPAN_ID_END),
  traceFlags: isSampled(traceparent) ? TraceFlags.SAMPLED : TraceFlags.NONE,
  isRemote: true,
});

const traceparentOf = (span: Span): string => {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-0${traceFlags & TraceFlags.SAMPLED}`;
};

const contextOf = (parent: string | undefined): Context =>
  parent === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent));

const finish = (span: Span, { attributes, error, endMs }: SpanEnd): void => {
  span.setAttributes(attributes);
  if (error !== undefined) {
    span.setAttribute('error.type', error);
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end(endMs ?? Date.now());
};

type OutletOptions = Pick<OpenTelemetryOptions, 'count' | 'onTrouble' | 'exportEveryMs'>;

/** What waits for the exporter, bounded and counted: the SDK's own processor tells nobody what it drops. */
class Outlet implements SpanProcessor, SpanExporter {
  readonly #options: OutletOptions;
  readonly #exporter: SpanExporter;
  readonly #batches: BatchSpanProcessor;
  #waiting = 0;
  #isInTrouble = false;

  constructor(exporter: SpanExporter, options: OutletOptions) {
    this.#options = options;
    this.#exporter = exporter;
    this.#batches = new BatchSpanProcessor({
      exporter: { export: (spans, tell) => this.export(spans, tell), shutdown: () => exporter.shutdown() },
      maxQueueSize: MOST_WAITING,
      maxExportBatchSize: BATCH,
      scheduledDelayMillis: options.exportEveryMs ?? EXPORT_EVERY_MS,
      exportTimeoutMillis: EXPORT_TIMEOUT_MS,
    });
  }

  onStart(): void {
    // Nothing is known of a span before its end.
  }

  onEnd(span: ReadableSpan): void {
    if (this.#waiting >= MOST_WAITING) {
      this.#options.count('dropped', 1);
      return;
    }
    this.#waiting += 1;
    this.#batches.onEnd(span);
  }

  readonly export: SpanExporter['export'] = (spans, tell) => {
    this.#exporter.export(spans, (result) => {
      this.#waiting -= spans.length;
      const hasFailed = result.code !== 0;
      this.#options.count(hasFailed ? 'failed' : 'exported', spans.length);
      if (hasFailed !== this.#isInTrouble) this.#options.onTrouble(hasFailed ? (result.error ?? new Error('the endpoint did not take the spans')) : undefined);
      this.#isInTrouble = hasFailed;
      // Of a batch that has failed the SDK would say no more than we do; and at the end it would not wait for the others.
      tell({ code: 0 });
    });
  };

  forceFlush(): Promise<void> {
    return this.#batches.forceFlush();
  }

  shutdown(): Promise<void> {
    return this.#batches.shutdown();
  }
}

/** Loaded only where spans are exported. The exporter takes its headers, and what else it can be told, from the standard variables. */
export const openTelemetry = ({ endpoint, ratio, service, version, ...rest }: OpenTelemetryOptions): { readonly tracing: Tracing; readonly close: () => Promise<void> } => {
  const named = resourceFromAttributes({ 'service.namespace': 'posthorn', 'service.name': service, 'service.version': version });
  const provider = new TracerProvider({
    resource: named.merge(detectResources({ detectors: [envDetector] })),
    sampler: new OursOrParents(byRatio(ratio)),
    spanLimits: { attributeValueLengthLimit: LONGEST_TEXT },
    spanProcessors: [new Outlet(new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, '')}/v1/traces`, timeoutMillis: EXPORT_TIMEOUT_MS }), rest)],
  });
  const tracer = provider.getTracer('posthorn', version);
  const failures = new FailureAllowance(FAILURES_PER_SECOND);

  const begin = ({ name, kind, links = [], startMs }: SpanStart, context: Context): Span =>
    tracer.startSpan(name, { kind: KINDS[kind], links: links.map((link) => ({ context: spanContextOf(link) })), startTime: startMs ?? Date.now() }, context);
  const wants: Tracing['wants'] = (traceparent, hasFailed) => {
    if (traceparent !== undefined && isSampled(traceparent)) return true;
    if (!hasFailed) return false;
    const isAllowed = failures.take();
    if (!isAllowed) rest.count('left_out', 1);
    return isAllowed;
  };
  const record: Tracing['record'] = (start, end) => {
    const span = begin(start, contextOf(start.parent).setValue(WANTED, true));
    finish(span, end);
    return traceparentOf(span);
  };
  const open = (given: SpanStart): OpenSpan | undefined => {
    if (given.parent !== undefined && !isSampled(given.parent)) return undefined;
    const start = { ...given, startMs: given.startMs ?? Date.now() };
    const span = begin(start, contextOf(start.parent));
    const traceparent = traceparentOf(span);
    return {
      traceparent,
      end: (end) => {
        if (span.isRecording()) finish(span, end);
        else if (end.error !== undefined && wants(undefined, true)) record({ ...start, parent: traceparent }, end);
      },
    };
  };
  const close = async (): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_MS);
    });
    // What the endpoint does not take has been counted and told of.
    await Promise.race([provider.shutdown().catch(() => undefined), late]);
    clearTimeout(timer);
  };
  return { tracing: { open, wants, record }, close };
};
