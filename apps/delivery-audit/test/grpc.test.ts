import { status, type Client } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AuditServiceDefinition,
  DeliveryStatus,
  ExportServiceDefinition,
  RejectedEventServiceDefinition,
  ReplayServiceDefinition,
  ReplayStatus,
  StatisticsServiceDefinition,
  TailServiceDefinition,
} from '@posthorn/contracts/grpc/audit';
import { deliveryId } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { callRaw, clientOf, connect, detailsOf, feedOf, refusalOf, requestBytes, type TestClient } from '../../../test/support/grpc-client.js';
import { accepted, attempted, envelopeOf, outcomeOf, registryEvent, rejected, rejectionOf, routed } from './records.js';
import { KEY } from './service.js';
import { World } from './world.js';

const services = [
  AuditServiceDefinition,
  ExportServiceDefinition,
  RejectedEventServiceDefinition,
  ReplayServiceDefinition,
  StatisticsServiceDefinition,
  TailServiceDefinition,
];
const allMethods = services.flatMap(({ fullName, methods }) => Object.values(methods).map((method) => ({ path: `/${fullName}/${method.name}`, method })));

const AT = new Date(Date.now() - 60_000).toISOString();
const envelope = envelopeOf('evt_1', AT, { tenant: 'acme', subject: 'inv-1', headers: { 'x-a': 'b' }, context: { a: 1 }, extensions: { lane: 3 } });
const DELIVERY = deliveryId('acme', 'evt_1', 'sub_1');

let world: World;
let client: Client;
let audit: TestClient<typeof AuditServiceDefinition>;
let refused: TestClient<typeof RejectedEventServiceDefinition>;
let replays: TestClient<typeof ReplayServiceDefinition>;
let statistics: TestClient<typeof StatisticsServiceDefinition>;
beforeAll(async () => {
  world = await World.create();
  await world.startIngestion();
  client = connect(await world.service.grpcAddress);
  const admin = { key: KEY };
  audit = clientOf(client, AuditServiceDefinition, admin);
  refused = clientOf(client, RejectedEventServiceDefinition, admin);
  replays = clientOf(client, ReplayServiceDefinition, admin);
  statistics = clientOf(client, StatisticsServiceDefinition, admin);
  await world.publishTenant('acme');
  await world.publish([
    registryEvent('sub_1', 1, 'SubscriptionCreated', { id: 'sub_1', tenant: 'acme', name: 'one', event_types: ['*'], enabled: true }),
    accepted(envelope, '{"amount":1.50}'),
    routed(envelope, ['sub_1', 'sub_2']),
    attempted(
      outcomeOf(envelope, 'sub_1', { status: 'retrying', next_attempt_at: AT, attempt: { started_at: AT, duration_ms: 3, request: { url: 'https://x', headers: {} }, error: { code: 'timeout', message: 'late' } } }),
      outcomeOf(envelope, 'sub_1', { number: 2, trigger: 'retry', subscription_version: 7 }),
    ),
    rejected(rejectionOf('rej_1', { tenant: 'acme', rejected_at: AT })),
  ]);
  await eventually(async () => (await world.count('attempts')) === 2 && (await world.count('rejected_events')) === 1 && (await world.count('deliveries')) === 2 && (await world.count('events')) === 1, { timeoutMs: 20_000 });
}, 60_000);
afterAll(async () => {
  client.close();
  await world.close();
}, 30_000);

describe('events', () => {
  it('are listed, and shown with their data byte for byte', async () => {
    const { events, next_page_token } = (await audit.listEvents({ tenant: 'acme', subject: 'inv-1', accepted: { from: new Date(AT), to: undefined } })).message;
    expect([events.length, next_page_token]).toEqual([1, '']);
    const { event, data, duplicates } = (await audit.getEvent({ tenant: 'acme', id: 'evt_1' })).message;
    expect(event).toEqual(events[0]);
    expect(event).toMatchObject({ id: 'evt_1', tenant: 'acme', subject: 'inv-1', headers: { 'x-a': 'b' }, context_json: '{"a":1}', extensions: { lane: 3 }, accepted_at: new Date(AT) });
    expect([Buffer.from(data).toString(), duplicates]).toEqual(['{"amount":1.50}', undefined]);
    expect(await refusalOf(audit.getEvent({ tenant: 'acme', id: 'none' }))).toMatchObject({ code: status.NOT_FOUND });
  });

  it('tell their deliveries, and why they did or did not reach a subscription', async () => {
    const { deliveries } = (await audit.listEventDeliveries({ tenant: 'acme', event_id: 'evt_1' })).message;
    expect(deliveries.map(({ subscription_id }) => subscription_id).toSorted()).toEqual(['sub_1', 'sub_2']);
    const { explanation } = (await audit.explainEvent({ tenant: 'acme', id: 'evt_1', subscription: 'sub_1' })).message;
    expect(explanation).toMatchObject({ event_id: 'evt_1', subscription_id: 'sub_1', result: 'delivered', summary: expect.stringMatching(/\.$/), facts: { delivery: { status: 'delivered' } } });
  });
});

describe('deliveries', () => {
  it('are found, page by page, by what REST finds them by', async () => {
    const first = (await audit.listDeliveries({ tenant: 'acme', page_size: 1 })).message;
    const rest = (await audit.listDeliveries({ tenant: 'acme', page_size: 1, page_token: first.next_page_token })).message;
    expect([...first.deliveries, ...rest.deliveries].map(({ subscription_id }) => subscription_id).toSorted()).toEqual(['sub_1', 'sub_2']);
    expect(rest.next_page_token).toBe('');
    const { deliveries } = (await audit.listDeliveries({ tenant: 'acme', statuses: [DeliveryStatus.DELIVERY_STATUS_PENDING] })).message;
    expect(deliveries.map(({ subscription_id }) => subscription_id)).toEqual(['sub_2']);
    const either = [DeliveryStatus.DELIVERY_STATUS_PENDING, DeliveryStatus.DELIVERY_STATUS_DELIVERED];
    expect((await audit.listDeliveries({ tenant: 'acme', statuses: either })).message.deliveries).toHaveLength(2);
    const refusal = await refusalOf(audit.listDeliveries({ tenant: 'acme', statuses: [DeliveryStatus.DELIVERY_STATUS_UNSPECIFIED] }));
    expect([refusal.code, detailsOf(refusal).violations.map(([field]) => field)]).toEqual([status.INVALID_ARGUMENT, ['status']]);
  });

  it('are shown with all that happened to them', async () => {
    const { delivery, rounds } = (await audit.getDelivery({ tenant: 'acme', id: DELIVERY })).message;
    expect(delivery).toMatchObject({ id: DELIVERY, status: DeliveryStatus.DELIVERY_STATUS_DELIVERED, attempts: 2, round: 0, last_status_code: 200, finished_at: expect.any(Date), waiting: undefined });
    expect(rounds).toEqual([]);
    const { attempts } = (await audit.listAttempts({ tenant: 'acme', delivery_id: DELIVERY })).message;
    expect(attempts).toMatchObject([
      { number: 1, trigger: 'first', error: { code: 'timeout' }, response: undefined },
      { number: 2, trigger: 'retry', subscription_version: 7, response: { status: 200, body: 'ok' } },
    ]);
    const { entries } = (await audit.getDeliveryTimeline({ tenant: 'acme', id: DELIVERY })).message;
    expect(entries.map(({ kind }) => kind)).toEqual(['accepted', 'routed', 'attempt', 'attempt', 'ended']);
    expect(entries.at(-1)).toMatchObject({ status: DeliveryStatus.DELIVERY_STATUS_DELIVERED, at: expect.any(Date) });
  });
});

describe('refused events', () => {
  it('are listed and shown, of a tenant and of all', async () => {
    const { rejected_events } = (await refused.listRejectedEvents({ tenant: 'acme' })).message;
    expect(rejected_events).toMatchObject([{ id: 'rej_1', tenant: 'acme', reason: { code: 'invalid', path: 'type', errors: [] }, door: 'rest' }]);
    const { rejected_event } = (await refused.getRejectedEvent({ tenant: 'acme', id: 'rej_1' })).message;
    expect([rejected_event?.rejected_event, Buffer.from(rejected_event?.value ?? '').toString()]).toEqual([rejected_events[0], '{"data":1.10}']);
    expect((await refused.listAllRejectedEvents({})).message.rejected_events).toEqual(rejected_events);
    expect((await refused.getAnyRejectedEvent({ id: 'rej_1' })).message.rejected_event).toEqual(rejected_event);
    expect(await refusalOf(refused.getRejectedEvent({ tenant: 'acme', id: 'none' }))).toMatchObject({ code: status.NOT_FOUND });
  });

  it.each([['authorization', '1'], ['content-length', '1'], ['x-own', '1'], ['CE-id', '1'], ['ce-id', 'a\nb']])('are corrected with the headers of an event, and not with %s: %j', async (name, value) => {
    const refusal = await refusalOf(refused.publishRejectedEvent({ tenant: 'acme', id: 'rej_1', corrected: { headers: { 'content-type': 'application/json', [name]: value }, body: Buffer.from('{}') } }));
    expect([refusal.code, detailsOf(refusal).violations.map(([field]) => field)]).toEqual([status.INVALID_ARGUMENT, [`corrected.headers.${name}`]]);
  });

  it('are published after all, corrected; what is refused again is so with every reason', async () => {
    const publish = (body: string) => refused.publishRejectedEvent({ tenant: 'acme', id: 'rej_1', corrected: { headers: { 'content-type': 'application/json' }, body: Buffer.from(body) } });
    const refusal = await refusalOf(publish('{"type":"Not a type","data":1}'));
    expect([refusal.code, detailsOf(refusal).violations.map(([field]) => field)]).toEqual([status.INVALID_ARGUMENT, ['type']]);
    expect((await publish('{"id":"mended","type":"invoice.paid","data":1}')).message).toEqual({ id: 'mended', warnings: [] });
    expect((await refused.getRejectedEvent({ tenant: 'acme', id: 'rej_1' })).message.rejected_event?.rejected_event?.published_as).toBe('mended');
    expect((await refusalOf(publish('{"type":"invoice.paid","data":2}'))).code).toBe(status.FAILED_PRECONDITION);
  });
});

describe('replays', () => {
  const wish = { from: new Date(Date.parse(AT) - 1_000), to: new Date(Date.parse(AT) + 1_000), event_types: [], statuses: [], subscription: undefined, to_subscription: undefined, rate: undefined, force: false };

  it('are tried, begun, shown, listed and ended; once for a key', async () => {
    const { outcome: tried } = (await replays.createReplay({ tenant: 'acme', wish, dry_run: true })).message;
    expect(tried).toMatchObject({ $case: 'dry_run', value: { counts: { matched: 2 }, at_least: false } });
    const metadata = { 'idempotency-key': 'once' };
    const paused = { ...wish, to: new Date(Date.now() + 3_600_000) };
    const { outcome } = (await replays.createReplay({ tenant: 'acme', wish: paused }, { metadata })).message;
    if (outcome?.$case !== 'replay') throw new Error('no replay was begun');
    const { id } = outcome.value;
    const again = await replays.createReplay({ tenant: 'acme', wish: paused }, { metadata });
    expect([again.message.outcome?.value, again.trailers.get('idempotency-replayed')]).toEqual([outcome.value, ['true']]);
    const { replay, history } = (await replays.getReplay({ tenant: 'acme', id })).message;
    expect(replay).toMatchObject({ id, tenant: 'acme', wish: { from: wish.from, rate: undefined }, actor: 'admin' });
    expect(history[0]).toMatchObject({ at: expect.any(Date), actor: 'admin' });
    expect((await replays.listReplays({ tenant: 'acme' })).message.replays.map((each) => each.id)).toEqual([id]);
    const ended = (await replays.cancelReplay({ tenant: 'acme', id }).catch(() => replays.getReplay({ tenant: 'acme', id }))).message.replay;
    expect([ReplayStatus.REPLAY_STATUS_CANCELLED, ReplayStatus.REPLAY_STATUS_DONE]).toContain(ended?.status);
    for (const call of [replays.pauseReplay, replays.resumeReplay]) expect(await refusalOf(call({ tenant: 'acme', id }))).toMatchObject({ code: status.FAILED_PRECONDITION });
  });

  it('that make no sense are refused at the paths of REST', async () => {
    const refusal = await refusalOf(replays.createReplay({ tenant: 'acme', wish: { ...wish, to: wish.from, rate: 0 } }));
    expect(refusal.code).toBe(status.INVALID_ARGUMENT);
    expect(detailsOf(refusal)).toMatchObject({ reason: 'INVALID', violations: expect.arrayContaining([['rate', expect.any(String)]]) });
  });
});

describe('statistics', () => {
  it('are those of REST', async () => {
    const counted = async () => (await statistics.getStatistics({ tenant: 'acme' })).message.statistics;
    await eventually(async () => (await counted())?.totals?.attempts?.total === 2, { timeoutMs: 10_000 });
    expect((await counted())?.totals).toMatchObject({ attempts: { total: 2, succeeded: 1, failed: 1, errors: { timeout: 1 } }, duration_ms: { p50: expect.any(Number) } });
    const hours = (await statistics.getStatistics({ tenant: 'acme', span: { from: undefined, to: undefined, step: '6h' } })).message.statistics;
    expect([hours?.step, (hours?.series.length ?? 0) < 7]).toEqual(['6h', true]);
    expect(detailsOf(await refusalOf(statistics.getStatistics({ tenant: 'acme', span: { from: undefined, to: undefined, step: '2h' } }))).violations.map(([field]) => field)).toEqual(['step']);
    expect(await refusalOf(statistics.getSubscriptionStatistics({ tenant: 'acme', id: 'sub_unknown' }))).toMatchObject({ code: status.NOT_FOUND });
    const missed = { tenant: 'acme', from: new Date(Date.parse(AT) - 1_000), to: new Date(Date.parse(AT) + 1_000), event_types: ['invoice.*'] };
    expect((await statistics.countMissed(missed)).message).toEqual({ deliveries: 1, at_least: false });
  });
});

const all = async <T>({ messages }: { readonly messages: AsyncIterable<T> }): Promise<readonly T[]> => Array.fromAsync(messages);

describe('exports', () => {
  const { methods } = ExportServiceDefinition;

  it('tell everything that a search finds', async () => {
    const admin = { key: KEY };
    const events = await all(feedOf(client, ExportServiceDefinition, methods.exportEvents, { tenant: 'acme', subject: 'inv-1' }, admin));
    expect(events.map(({ event, data }) => [event?.id, Buffer.from(data).toString()])).toEqual([['evt_1', '{"amount":1.50}']]);
    const deliveries = await all(feedOf(client, ExportServiceDefinition, methods.exportDeliveries, { tenant: 'acme' }, admin));
    expect(deliveries.map(({ delivery }) => delivery?.subscription_id).toSorted()).toEqual(['sub_1', 'sub_2']);
    const attempts = await all(feedOf(client, ExportServiceDefinition, methods.exportAttempts, { tenant: 'acme' }, admin));
    expect(attempts.map(({ delivery_id, attempt }) => [delivery_id, attempt?.number])).toEqual([[DELIVERY, 1], [DELIVERY, 2]]);
  });
});

describe('deliveries that have ended', () => {
  it('are sent again and called off, once for a key, and refused as over REST', async () => {
    const metadata = { 'idempotency-key': 'again' };
    const request = { tenant: 'acme', id: DELIVERY };
    const first = await audit.redeliverDelivery(request, { metadata });
    expect(first.message.delivery).toMatchObject({ id: DELIVERY, status: DeliveryStatus.DELIVERY_STATUS_PENDING, round: 1 });
    const repeated = await audit.redeliverDelivery(request, { metadata });
    expect([repeated.message, repeated.trailers.get('idempotency-replayed')]).toEqual([first.message, ['true']]);
    expect((await audit.getDelivery(request)).message.rounds).toMatchObject([{ round: 1, trigger: 'redeliver', actor: 'admin', at: expect.any(Date), forced: false }]);
    const underWay = await refusalOf(audit.redeliverDelivery(request));
    const overRest = await world.service.ask(`/v1/tenants/acme/deliveries/${DELIVERY}/redeliver`, { method: 'POST' });
    expect([underWay.code, underWay.details]).toEqual([status.FAILED_PRECONDITION, (overRest.body as { detail: string }).detail]);
    expect((await audit.cancelDelivery(request)).message.delivery).toMatchObject({ status: DeliveryStatus.DELIVERY_STATUS_CANCELLED, round: 1 });
    expect(await refusalOf(audit.cancelDelivery(request))).toMatchObject({ code: status.FAILED_PRECONDITION });
  });
});

describe('every operation of REST', () => {
  it('has a method of its name, and every method an operation', async () => {
    const { paths } = (await world.service.get('/docs/openapi.json')).body as { readonly paths: Record<string, Record<string, { readonly operationId: string }>> };
    const operations = Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
    expect(services.flatMap(({ methods }) => Object.keys(methods)).toSorted()).toEqual(operations.toSorted());
  });
});

/** What a call is refused with: method, code, words. */
const codeOf = async ({ path, method }: (typeof allMethods)[number], request: object, key: string | undefined) => {
  const options = key === undefined ? {} : { key };
  const refusal = await refusalOf(callRaw(client, path, requestBytes(method, request), options));
  return [method.name, refusal.code, refusal.details];
};

describe('every method', () => {
  const OF_NO_TENANT = new Set(['ListAllRejectedEvents', 'GetAnyRejectedEvent']);
  it('demands a key', async () => {
    for (const one of allMethods) expect((await codeOf(one, {}, undefined)).slice(0, 2)).toEqual([one.method.name, status.UNAUTHENTICATED]);
  });

  it("about a tenant is NOT_FOUND to another tenant's key, whatever it may do there; about all it is refused", async () => {
    const { key } = await world.publishKey({ tenant: 'other', scopes: ['admin'] });
    const about = allMethods.filter(({ method }) => !OF_NO_TENANT.has(method.name));
    for (const one of about) expect(await codeOf(one, { tenant: 'acme' }, key)).toEqual([one.method.name, status.NOT_FOUND, 'There is no such tenant.']);
    for (const one of allMethods.filter(({ method }) => OF_NO_TENANT.has(method.name))) expect((await codeOf(one, {}, key)).slice(0, 2)).toEqual([one.method.name, status.PERMISSION_DENIED]);
    expect(about.length).toBeGreaterThan(20);
  });

  it('wants its own scope', async () => {
    const { key } = await world.publishKey({ tenant: 'acme', scopes: ['registry:read', 'registry:write'] });
    for (const one of allMethods.filter(({ method }) => !OF_NO_TENANT.has(method.name))) expect((await codeOf(one, { tenant: 'acme' }, key)).slice(0, 2)).toEqual([one.method.name, status.PERMISSION_DENIED]);
    const { key: reader } = await world.publishKey({ tenant: 'acme' });
    for (const name of ['RedeliverDelivery', 'CancelDelivery', 'CreateReplay', 'PauseReplay', 'ResumeReplay', 'CancelReplay', 'PublishRejectedEvent']) {
      const one = allMethods.find(({ method }) => method.name === name);
      expect(one && (await codeOf(one, { tenant: 'acme' }, reader)).slice(0, 2)).toEqual([name, status.PERMISSION_DENIED]);
    }
  });
});

describe('a client without our proto files', () => {
  it('asks for the health of every service', async () => {
    for (const { fullName } of services) {
      const { message } = await callRaw(client, '/grpc.health.v1.Health/Check', Buffer.from([10, fullName.length, ...Buffer.from(fullName)]), {});
      expect([...message]).toEqual([8, 1]); // SERVING
    }
  });
});
