import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { isSampled, validTraceparent } from '@posthorn/contracts';
import { eventually, startOtlpEndpoint, type OtlpEndpoint } from '@posthorn/testkit';
import { openTelemetry } from './open-telemetry.js';
import type { SpanOutcome, Tracing } from './tracing.js';

const PARENT = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const parent = (flags: string): string => `00-${PARENT.traceId}-${PARENT.spanId}-${flags}`;
const LINK = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16) };
const link = `00-${LINK.traceId}-${LINK.spanId}-01`;

let endpoint: OtlpEndpoint;
let closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  endpoint = await startOtlpEndpoint();
});
afterEach(async () => {
  for (const close of closing) await close();
  closing = [];
  await endpoint.close();
});

const started = (ratio: number) => {
  const counted = new Map<SpanOutcome, number>();
  const troubles: (string | undefined)[] = [];
  const { tracing, close } = openTelemetry({
    endpoint: endpoint.url,
    ratio,
    service: 'dispatcher',
    version: '1.2.3',
    exportEveryMs: 10,
    count: (outcome, spans) => void counted.set(outcome, (counted.get(outcome) ?? 0) + spans),
    onTrouble: (error) => void troubles.push(error?.message),
  });
  closing.push(close);
  return { tracing, close, counted, troubles };
};

const attempt = (tracing: Tracing, rest: object = {}) => tracing.record({ name: 'posthorn.attempt', kind: 'client', ...rest }, { attributes: {} });

describe('tracing', () => {
  it('exports a span with all that it is, when the process ends at the latest', async () => {
    const { tracing, close, counted } = started(0);
    const open = tracing.open({ name: 'posthorn.attempt', kind: 'client', parent: parent('01'), links: [link], startMs: 1_700_000_000_000 });
    open?.end({ attributes: { 'posthorn.tenant': 'acme', 'http.response.status_code': 500, absent: undefined }, error: 'bad_status', endMs: 1_700_000_000_250 });
    await close();
    expect(endpoint.spans).toEqual([
      {
        resource: expect.objectContaining({ 'service.namespace': 'posthorn', 'service.name': 'dispatcher', 'service.version': '1.2.3' }),
        traceId: PARENT.traceId,
        parentSpanId: PARENT.spanId,
        spanId: open?.traceparent.slice(36, 52),
        name: 'posthorn.attempt',
        kind: 'client',
        startNs: 1_700_000_000_000_000_000n,
        endNs: 1_700_000_000_250_000_000n,
        attributes: { 'posthorn.tenant': 'acme', 'http.response.status_code': 500, 'error.type': 'bad_status' },
        links: [LINK],
        hasFailed: true,
      },
    ]);
    expect(counted).toEqual(new Map([['exported', 1]]));
  });

  it('keeps to the decision of the parent', () => {
    const { tracing } = started(1);
    expect(tracing.open({ name: 'a', kind: 'internal', parent: parent('00') })).toBeUndefined();
    expect(tracing.wants(parent('00'), false)).toBe(false);
    expect(tracing.wants(parent('01'), false)).toBe(true);
  });

  it('gives what begins here a context, whether or not it is recorded', async () => {
    for (const [ratio, sampled] of [[0, false], [1, true]] as const) {
      const { tracing, close } = started(ratio);
      const { traceparent = '', end } = tracing.open({ name: 'posthorn.accept', kind: 'server' }) ?? {};
      end?.({ attributes: {} });
      await close();
      expect([validTraceparent(traceparent), isSampled(traceparent)]).toEqual([traceparent, sampled]);
    }
    expect(endpoint.spans.map(({ parentSpanId }) => parentSpanId)).toEqual([undefined]);
  });

  it('records what fails although its trace is not sampled, in that trace', async () => {
    const { tracing, close } = started(0);
    const open = tracing.open({ name: 'posthorn.accept', kind: 'server', startMs: 1_700_000_000_000 });
    open?.end({ attributes: {}, error: 'unavailable', endMs: 1_700_000_000_250 });
    expect(tracing.wants(parent('00'), true)).toBe(true);
    const failed = attempt(tracing, { parent: parent('00') });
    await close();
    expect(isSampled(failed)).toBe(true);
    expect(endpoint.spans.map(({ name, traceId, parentSpanId, startNs }) => ({ name, traceId, parentSpanId, startNs }))).toEqual([
      { name: 'posthorn.accept', traceId: open?.traceparent.slice(3, 35), parentSpanId: open?.traceparent.slice(36, 52), startNs: 1_700_000_000_000_000_000n },
      { name: 'posthorn.attempt', traceId: PARENT.traceId, parentSpanId: PARENT.spanId, startNs: expect.any(BigInt) },
    ]);
  });

  it('leaves out failures when there are too many, and counts them', () => {
    const { tracing, counted } = started(0);
    const wanted = Array.from({ length: 1_000 }, () => tracing.wants(undefined, true)).filter(Boolean).length;
    expect(wanted).toBeLessThan(200);
    expect(counted.get('left_out')).toBe(1_000 - wanted);
  });

  it('drops what the endpoint does not take, tells of it once, and of its return', async () => {
    const { tracing, counted, troubles } = started(0);
    endpoint.answer = 400;
    for (let batch = 1; batch <= 2; batch += 1) {
      attempt(tracing);
      await eventually(() => counted.get('failed') === batch);
    }
    expect(troubles).toEqual([expect.any(String)]);
    endpoint.answer = 200;
    attempt(tracing);
    await eventually(() => counted.get('exported') === 1);
    expect(troubles).toEqual([expect.any(String), undefined]);
  });

  it('waits at the end for every batch, also when one of them is not taken', async () => {
    const { tracing, close, counted } = started(0);
    for (let spans = 0; spans < 2_000; spans += 1) attempt(tracing);
    endpoint.answer = 400;
    await close();
    expect(counted).toEqual(new Map([['failed', 2_000]]));
  });

  it('holds no more than so many while the endpoint does not answer', () => {
    const { tracing, counted } = started(0);
    endpoint.answer = 400;
    for (let spans = 0; spans < 10_000; spans += 1) attempt(tracing);
    expect(counted.get('dropped')).toBeGreaterThan(5_000);
  });
});
