/** How a span stands to what it is about, as OpenTelemetry names it. */
export type SpanKind = 'server' | 'client' | 'producer' | 'consumer' | 'internal';

/** Never a payload, a secret or a whole URL: what is in a span is read by more people than the records are. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export type SpanStart = {
  readonly name: string;
  readonly kind: SpanKind;
  /** A valid traceparent; a span without one begins a trace. */
  readonly parent?: string | undefined;
  /** Spans of other traces, or beside it, that it follows from; valid traceparents. */
  readonly links?: readonly string[];
  /** By the wall clock; absent: now. */
  readonly startMs?: number | undefined;
};

export type SpanEnd = {
  readonly attributes: SpanAttributes;
  /** What it failed of, from a closed list: `error.type`. */
  readonly error?: string | undefined;
  /** By the wall clock; absent: now. */
  readonly endMs?: number | undefined;
};

export type OpenSpan = {
  /** The span's own context, to hand on. One that is not sampled says so in its flags, and its end records nothing, unless it fails. */
  readonly traceparent: string;
  readonly end: (end: SpanEnd) => void;
};

/**
 * The spans of a service, made by hand where a unit of work is, so that what is not recorded costs next to nothing. Absent from the kit of a service that
 * exports none. Nothing here throws, and nothing waits for the network.
 *
 * What is recorded: every span of a trace whose `traceparent` is sampled; of those that begin here a share, by their ids; and, of all others, the spans of
 * what failed, each decided on at its end by the service that made it: their ancestors are missing, but all failures of an event have its trace id.
 */
export type Tracing = {
  /** Undefined when the parent's trace is not sampled. One that begins a trace is there in any case: its context goes with the event. */
  readonly open: (start: SpanStart) => OpenSpan | undefined;
  /** Whether a span should be made now that it is known how it ended. Asked once for each: failures have an allowance. */
  readonly wants: (traceparent: string | undefined, hasFailed: boolean) => boolean;
  /** Makes a span afterwards, recorded whatever its parent's flags are. @returns its context */
  readonly record: (start: SpanStart, end: SpanEnd) => string;
};

/** `dropped`: too many waited for the exporter; `failed`: the endpoint did not take them; `left_out`: failures beyond the allowance. */
export const spanOutcomes = ['exported', 'dropped', 'failed', 'left_out'] as const;
export type SpanOutcome = (typeof spanOutcomes)[number];
