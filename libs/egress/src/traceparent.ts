import { randomFillSync } from 'node:crypto';

const TRACE_BYTES = 16;
const SPAN_BYTES = 8;
const pool = Buffer.alloc((TRACE_BYTES + SPAN_BYTES) * 256);
let used = pool.length;

/**
 * A fresh W3C trace context (version 00). Each attempt starts a trace of its own: the producer's trace is not the subscriber's
 * business. The sampled flag is set, because a receiver that follows its caller's choice, as OpenTelemetry's default sampler does, would otherwise
 * record nothing. Randomness is drawn for 256 at a time: a system call for each would cost more than the rest.
 */
export const freshTraceparent = (): string => {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const trace = pool.toString('hex', used, (used += TRACE_BYTES));
  const span = pool.toString('hex', used, (used += SPAN_BYTES));
  return `00-${trace}-${span}-01`;
};
