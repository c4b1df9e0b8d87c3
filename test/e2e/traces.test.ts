import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually, startOtlpEndpoint, startReceiver, type ExportedSpan, type OtlpEndpoint, type Receiver } from '@posthorn/testkit';
import { Posthorn } from '../support/posthorn.js';
import type { ServiceName } from '../support/service.js';

jest.setTimeout(120_000);

const TENANT = '/v1/tenants/default';
const CANARY = 'canary-4711';

let posthorn: Posthorn;
let receiver: Receiver;
let endpoint: OtlpEndpoint;

beforeAll(async () => {
  [receiver, endpoint] = await Promise.all([startReceiver(), startOtlpEndpoint()]);
  // Of the traces that begin here none: what arrives was asked for by its producer, or failed.
  posthorn = await Posthorn.start('traces', { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint.url, OTEL_TRACES_SAMPLER_ARG: '0', OTEL_EXPORTER_OTLP_HEADERS: 'x-tenant=ours' });
});

afterAll(async () => {
  await posthorn?.close();
  await Promise.all([receiver?.close(), endpoint?.close()]);
});

const SPAN = 'c'.repeat(16);
const traceOf = (digit: string): string => digit.repeat(32);
const publish = (type: string, traceparent?: string): Promise<{ readonly id: string }> =>
  posthorn.api.ask('POST', `${TENANT}/events`, { type, data: { secret: CANARY } }, traceparent === undefined ? {} : { traceparent });

const spansOf = (event: string): readonly ExportedSpan[] => endpoint.spans.filter(({ attributes }) => attributes['cloudevents.event_id'] === event);
const allOf = (event: string, count: number): Promise<readonly ExportedSpan[]> =>
  eventually(() => (spansOf(event).length >= count ? spansOf(event) : undefined), {
    timeoutMs: 30_000,
    describe: () => `${count} spans; there are ${spansOf(event).map(({ name }) => name).join(', ')}`,
  });

/** What the subscriber was told, request by request. */
const toldOf = (event: string): readonly string[] =>
  receiver.requests.filter(({ headers }) => headers['webhook-id'] === event).map(({ headers }) => String(headers['traceparent']));
const idsOf = (traceparent = ''): object => ({ traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52) });
const linkTo = (span: ExportedSpan | undefined): object => ({ traceId: span?.traceId, spanId: span?.spanId });

type Tree = { readonly span: string; readonly under: readonly Tree[] };

const nameOf = ({ name, kind, resource, attributes, hasFailed }: ExportedSpan): string =>
  [
    `${String(resource['service.name'])} ${name} ${kind}`,
    ...(name === 'posthorn.attempt' ? [`${String(attributes['posthorn.round'])}/${String(attributes['posthorn.attempt'])} ${String(attributes['posthorn.outcome'])}`] : []),
    ...(hasFailed ? [String(attributes['error.type'])] : []),
  ].join(' ');

const treesUnder = (spans: readonly ExportedSpan[], parent: string | undefined): readonly Tree[] =>
  spans
    .filter(({ parentSpanId }) => parentSpanId === parent)
    .map((span) => ({ span: nameOf(span), under: treesUnder(spans, span.spanId) }))
    .toSorted((a, b) => (a.span < b.span ? -1 : 1));

/** The traces that stand beside the buckets of a histogram. */
const examplesIn = async (service: ServiceName, metric: string): Promise<readonly string[]> => {
  const page = await (await fetch(`${posthorn.services[service].url}/metrics`, { headers: { accept: 'application/openmetrics-text' } })).text();
  return page.split('\n').flatMap((line) => (line.startsWith(`${metric}_bucket`) ? [...line.matchAll(/# \{trace_id="([\da-f]{32})"\}/g)].map(([, id = '']) => id) : []));
};

const RECORD: Tree = { span: 'delivery-audit posthorn.record consumer', under: [] };

describe('a trace', () => {
  it('goes from the producer through acceptance, routing and each attempt to the audit; one sent again begins another', async () => {
    const path = `/traced?key=${CANARY}`;
    receiver.replyAt(path, { status: 500, body: CANARY }, { status: 200 });
    await posthorn.subscribe({ url: receiver.url + path, event_types: ['traced'], policy: { retry_schedule: ['1s'] }, headers: { 'x-own': CANARY } });
    const { id } = await publish('traced', `00-${traceOf('b')}-${SPAN}-01`);
    const delivery = await posthorn.deliveryOf(id, 'delivered');
    const spans = await allOf(id, 8);

    expect(new Set(spans.map(({ traceId }) => traceId))).toEqual(new Set([traceOf('b')]));
    expect(treesUnder(spans, SPAN)).toEqual([
      {
        span: 'event-ingestion posthorn.accept server',
        under: [
          RECORD,
          {
            span: 'dispatcher posthorn.route consumer',
            under: [
              RECORD,
              { span: 'dispatcher posthorn.attempt client 0/1 retrying bad_status', under: [RECORD] },
              { span: 'dispatcher posthorn.attempt client 0/2 delivered', under: [RECORD] },
            ].toSorted((a, b) => (a.span < b.span ? -1 : 1)),
          },
        ],
      },
    ]);
    const [first, second] = [1, 2].map((number) => spans.find(({ attributes }) => attributes['posthorn.attempt'] === number));
    const told = toldOf(id);
    expect(first?.links).toEqual([idsOf(told[0])]);
    expect(second?.links).toEqual([idsOf(told[1]), linkTo(first)]);
    expect(told.map((traceparent) => traceparent.slice(3, 35))).not.toContain(traceOf('b'));

    await posthorn.api.ask('POST', `${TENANT}/deliveries/${delivery.id}/redeliver`);
    const again = (await allOf(id, 10)).filter(({ traceId }) => traceId !== traceOf('b'));
    expect(treesUnder(again, undefined)).toEqual([{ span: 'dispatcher posthorn.attempt client 1/1 delivered', under: [RECORD] }]);
    expect(again.find(({ name }) => name === 'posthorn.attempt')?.links).toEqual([idsOf(toldOf(id)[2]), linkTo(spans.find(({ name }) => name === 'posthorn.accept'))]);
  });

  it('is shown beside the latencies it was part of', async () => {
    expect(await examplesIn('event-ingestion', 'posthorn_ingestion_duration_seconds')).toContain(traceOf('b'));
    expect(await examplesIn('dispatcher', 'posthorn_delivery_latency_seconds')).toContain(traceOf('b'));
    expect(await examplesIn('dispatcher', 'posthorn_sender_attempt_duration_seconds')).not.toEqual([]);
    expect(await examplesIn('delivery-audit', 'posthorn_audit_batch_duration_seconds')).not.toEqual([]);
  });

  it('that is not recorded shows what fails in it', async () => {
    receiver.replyAt('/failing', { status: 503 }, { status: 200 });
    await posthorn.subscribe({ url: `${receiver.url}/failing`, event_types: ['failing'], policy: { retry_schedule: ['1s'] } });
    const { id } = await publish('failing');
    await posthorn.deliveryOf(id, 'delivered');
    const spans = await allOf(id, 2);
    expect(spans.map(nameOf).toSorted()).toEqual(['delivery-audit posthorn.record consumer', 'dispatcher posthorn.attempt client 0/1 retrying bad_status']);
    expect(new Set(spans.map(({ traceId }) => traceId)).size).toBe(1);
  });

  it('shows a refusal by its code, and nothing of what was refused', async () => {
    const before = endpoint.spans.length;
    const answer = await posthorn.api.call('POST', `${TENANT}/events`, { data: CANARY });
    expect(answer.status).toBeGreaterThanOrEqual(400);
    const refused = await eventually(() => endpoint.spans.slice(before).find(({ attributes }) => attributes['posthorn.outcome'] === 'rejected'), { timeoutMs: 30_000 });
    expect(nameOf(refused)).toBe('event-ingestion posthorn.accept server invalid');
  });

  it('holds no payload, no secret and no whole URL', async () => {
    await eventually(() => endpoint.bodies.length > 0);
    expect(endpoint.bodies.filter((body) => body.includes(CANARY))).toEqual([]);
    expect(new Set(endpoint.headers.map((headers) => headers['x-tenant']))).toEqual(new Set(['ours']));
  });
});
