import { describe, expect, it } from '@jest/globals';
import { type Envelope, unframe } from '@posthorn/contracts';
import { KafkaError, type OutgoingRecord } from '@posthorn/kafka';
import { RecordedSpans } from '@posthorn/testkit';
import { type Gate, Outlet } from './outlet.js';

const ignore = (): void => undefined;
const log = { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore, isLevelEnabled: () => false };

const envelope: Envelope = {
  specversion: '1.0',
  id: 'evt_1',
  tenant: 'acme',
  type: 'invoice.paid',
  source: '/spec',
  time: '2026-01-01T00:00:00.000Z',
  acceptedtime: '2026-01-01T00:00:00.000Z',
};
const parent = (flags: string): string => `00-${'b'.repeat(32)}-${'c'.repeat(16)}-${flags}`;

const outletWith = (tracing: RecordedSpans | undefined, ending: 'accepted' | 'duplicate' | Error = 'accepted') => {
  const sent: OutgoingRecord[] = [];
  const gate: Gate = {
    pendingBytes: 0,
    send: async ({ record }) => {
      sent.push(record);
      if (ending instanceof Error) throw ending;
      return ending;
    },
    write: async () => undefined,
  };
  const outlet = new Outlet({ door: 'rest', gate, topics: { accepted: 'accepted', rejected: 'rejected' }, metrics: { observe: ignore }, log, tracing });
  const accept = (traceparent?: string): Promise<void> =>
    outlet.accept(
      { kind: 'accepted', envelope: { ...envelope, ...(traceparent !== undefined && { traceparent }) }, data: Buffer.from('{"canary":1}'), tenantPath: 'tenant', typePath: 'type', isRepeatable: true },
      performance.now(),
    );
  const written = () => sent.map(({ value, headers }) => [unframe<Envelope>(value as Buffer).head.traceparent, headers?.['traceparent']]);
  return { outlet, accept, written };
};

describe('the span of an acceptance', () => {
  it('is what the event goes on with, when the producer records its trace', async () => {
    const spans = new RecordedSpans();
    const { accept, written } = outletWith(spans);
    await accept(parent('01'));
    const [span] = spans.all;
    expect(spans.all).toMatchObject([
      { start: { name: 'posthorn.accept', kind: 'server', parent: parent('01') }, end: { attributes: { 'cloudevents.event_id': 'evt_1', 'posthorn.tenant': 'acme', 'posthorn.outcome': 'accepted' } } },
    ]);
    expect(span?.traceparent.slice(3, 35)).toBe('b'.repeat(32));
    expect(written()).toEqual([[span?.traceparent, span?.traceparent]]);
  });

  it('is not made when the producer does not', async () => {
    const spans = new RecordedSpans();
    const { accept, written } = outletWith(spans);
    await accept(parent('00'));
    expect([spans.all, written()]).toEqual([[], [[parent('00'), parent('00')]]]);
  });

  it('begins a trace where there is none, so that all failures of the event are found together', async () => {
    const spans = new RecordedSpans('00');
    const { accept, written } = outletWith(spans);
    await accept();
    const own = `00-${'a'.repeat(32)}-${'1'.padStart(16, '0')}-00`;
    expect([spans.all, written()]).toEqual([[], [[own, own]]]);
  });

  it.each([parent('00'), parent('01'), undefined])('is made when Kafka does not take the event: of %s', async (traceparent) => {
    const spans = new RecordedSpans('00');
    const { accept } = outletWith(spans, new KafkaError('unavailable', 'away'));
    await expect(accept(traceparent)).rejects.toThrow('away');
    expect(spans.all).toMatchObject([{ start: { parent: traceparent }, end: { error: 'unavailable' } }]);
  });

  it('says of a refusal its code, and nothing of what was refused', async () => {
    const spans = new RecordedSpans();
    const { outlet } = outletWith(spans);
    const refusal = { kind: 'refused', code: 'invalid', message: 'type must not be "canary"', path: 'type' } as const;
    await outlet.reject(refusal, { tenant: 'acme', headers: { traceparent: parent('00'), authorization: 'canary' }, value: Buffer.from('canary') }, performance.now());
    expect(spans.all).toMatchObject([{ start: { parent: parent('00') }, end: { error: 'invalid', attributes: { 'posthorn.tenant': 'acme', 'posthorn.outcome': 'rejected' } } }]);
    expect(JSON.stringify(spans.all)).not.toContain('canary');
  });

  it('leaves the event as it is where no spans are exported', async () => {
    const { accept, written } = outletWith(undefined);
    await accept();
    await accept(parent('01'));
    expect(written()).toEqual([
      [undefined, undefined],
      [parent('01'), parent('01')],
    ]);
  });
});
