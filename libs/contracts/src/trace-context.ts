/** W3C Trace Context, version 00; an all-zero trace or span id is invalid. */
const TRACEPARENT = /^00-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}$/;

export const validTraceparent = (value: unknown): string | undefined =>
  typeof value === 'string' && TRACEPARENT.test(value) ? value : undefined;

const TRACE_ID_AT = '00-'.length;
const TRACE_ID_END = TRACE_ID_AT + 32;

/** @param traceparent a valid one */
export const traceIdOf = (traceparent: string): string => traceparent.slice(TRACE_ID_AT, TRACE_ID_END);

/** Of the two digits of flags the second; `sampled` is the lowest bit. */
const FLAGS_AT = TRACE_ID_END + 1 + 16 + 2;
const SAMPLED_DIGITS = '13579bdf';

/** Whether who wrote it records the trace. @param traceparent a valid one: it is looked at in one place only, since every event is */
export const isSampled = (traceparent: string): boolean => SAMPLED_DIGITS.includes(traceparent.charAt(FLAGS_AT));
