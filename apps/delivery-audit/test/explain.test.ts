import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  deliveryId,
  explanation,
  pageSchema,
  timelineEntry,
  wholeDelivery,
  wholeEvent,
  type Explanation,
  type Page,
  type TimelineEntry,
  type WholeDeliveryView,
} from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { accepted, askedRound, attempted, cancelled, duplicated, envelopeOf, outcomeOf, postponed, registryEvent, rejected, rejectionOf, routed } from './records.js';
import { World } from './world.js';

const TENANT = '/v1/tenants/default';
const AT = '2026-11-20T10:00:00.000Z';

/** Sent, failed, asked for again, put off, called off. */
const stormy = envelopeOf('stormy', AT);
const filtered = envelopeOf('filtered', AT);
const ordered = envelopeOf('ordered', AT, { partitionkey: 'k' });
/** Decided about by a registry that the audit reads only later. */
const early = envelopeOf('early', AT);
const undecided = envelopeOf('undecided', AT);

const failed = outcomeOf(stormy, 'sub_1', {
  status: 'failed',
  at: '2026-11-20T10:00:01.000Z',
  subscription_version: 1,
  attempt: {
    started_at: '2026-11-20T10:00:00.500Z',
    duration_ms: 500,
    request: { url: 'https://example.com/hook', headers: {} },
    error: { code: 'timeout', message: 'no answer' },
  },
});

const created = (subscription: string, position: number, tenant = 'default') =>
  registryEvent(subscription, position, 'SubscriptionCreated', {
    id: subscription,
    tenant,
    name: subscription,
    event_types: ['invoice.*'],
    filter: 'data.amount > 100',
    enabled: true,
    signing_secrets: [{ scheme: 'v1', key_id: 'k1', ciphertext: 'c2VjcmV0' }],
  });

describe('a delivery and its event', () => {
  let world: World;
  const get = async <Body>(path: string): Promise<{ readonly status: number; readonly body: Body }> => world.service.get(TENANT + path);
  const explained = async (event: string, subscription: string): Promise<Explanation> => {
    const { status, body } = await get<Explanation>(`/events/${event}/explain?subscription=${subscription}`);
    expect(status).toBe(200);
    expect(explanation.parse(body)).toEqual(body);
    return body;
  };
  const delivery = deliveryId('default', 'stormy', 'sub_1');

  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
    await world.publish([
      created('sub_1', 1),
      created('sub_theirs', 2, 'other'),
      registryEvent('sub_1', 3, 'SubscriptionSecretRotated', { signing_secrets: [{ scheme: 'v1', key_id: 'k1', ciphertext: 'c2VjcmV0' }] }),
      ...[stormy, filtered, ordered, early, undecided].map((envelope) => accepted(envelope, '{"amount":50}')),
      routed(stormy, ['sub_1'], { position: 3 }),
      routed(filtered, [], { position: 3, near: [{ subscription: 'sub_1', why: 'filter_false' }] }),
      routed(ordered, ['sub_1'], { position: 3 }),
      routed(early, [], { position: 9 }),
      attempted(failed),
      askedRound(stormy, 'sub_1', 1, '2026-11-20T11:00:00.000Z', { forced: true }),
      postponed(stormy, 'sub_1', '2026-11-20T11:00:01.000Z', { round: 1, until: '2026-11-20T11:05:00.000Z', cause: 'breaker' }),
      postponed(ordered, 'sub_1', '2026-11-20T10:00:01.000Z', { until: undefined, cause: 'ordered', behind: delivery }),
      duplicated('w1', { tenant: 'default', event_id: 'stormy', count: 2, first_at: '2026-11-20T10:30:00.000Z', last_at: '2026-11-20T10:31:00.000Z' }),
      duplicated('w1', { tenant: 'default', event_id: 'stormy', count: 1, first_at: '2026-11-20T10:30:00.000Z', last_at: '2026-11-20T10:30:00.000Z' }),
      duplicated('w2', { tenant: 'default', event_id: 'stormy', count: 3, first_at: '2026-11-20T10:20:00.000Z', last_at: '2026-11-20T10:25:00.000Z' }),
      duplicated('w2', { tenant: 'default', event_id: 'forgotten', count: 1, first_at: AT, last_at: AT }),
      rejected(rejectionOf('rej_1', { event_id: 'refused' })),
    ]);
    await eventually(async () => !/posthorn_consumer_lag\{.*\} [1-9]/.test((await world.service.get('/metrics')).text) && (await world.count('rejected_events')) === 1 && (await world.count('events')) === 5);
    await eventually(async () => (await get<WholeDeliveryView>(`/deliveries/${delivery}`)).body.waiting !== undefined);
  }, 60_000);

  afterAll(() => world.close());

  it('tells of a delivery what it waits for, and who asked for it again', async () => {
    const { body } = await get<WholeDeliveryView>(`/deliveries/${delivery}`);
    expect(wholeDelivery.parse(body)).toEqual(body);
    expect(body).toMatchObject({
      status: 'pending',
      round: 1,
      attempts: 1,
      next_attempt_at: '2026-11-20T11:05:00.000Z',
      waiting: { cause: 'breaker', since: '2026-11-20T11:00:01.000Z', until: '2026-11-20T11:05:00.000Z' },
      rounds: [{ round: 1, trigger: 'redeliver', at: '2026-11-20T11:00:00.000Z', actor: expect.any(String), forced: true }],
    });
  });

  it('tells its whole timeline, in pages too', async () => {
    const { body } = await get<Page<TimelineEntry>>(`/deliveries/${delivery}/timeline`);
    expect(pageSchema(timelineEntry).parse(body)).toEqual(body);
    expect(body.data.map(({ kind, at }) => `${kind} ${at.slice(11, 19)}`)).toEqual([
      'accepted 10:00:00',
      'routed 10:00:00',
      'attempt 10:00:00',
      'asked_for 11:00:00',
      'postponed 11:00:01',
    ]);
    expect(body.data[2]).toMatchObject({ trigger: 'first', status: 'failed', error_code: 'timeout', subscription_version: 1 });
    const first = (await get<Page<TimelineEntry>>(`/deliveries/${delivery}/timeline?page_size=3`)).body;
    const second = (await get<Page<TimelineEntry>>(`/deliveries/${delivery}/timeline?page_size=3&page_token=${first.next_page_token}`)).body;
    expect([[...first.data, ...second.data], second.next_page_token]).toEqual([body.data, undefined]);
  });

  it('tells how often an event came again, by all who saw it', async () => {
    const duplicates = { count: 5, first_at: '2026-11-20T10:20:00.000Z', last_at: '2026-11-20T10:31:00.000Z' };
    const { body } = await get('/events/stormy');
    expect(wholeEvent.parse(body)).toEqual(body);
    expect(body).toMatchObject({ duplicates });
    expect((await explained('stormy', 'sub_1')).duplicates).toEqual(duplicates);
    expect((await get('/events/filtered')).body).not.toHaveProperty('duplicates');
  });

  it('explains by the registry at the position of the decision, with what the filter saw', async () => {
    expect(await explained('filtered', 'sub_1')).toMatchObject({
      result: 'filter_false',
      position: 3,
      subscription: { version: 3, filter: 'data.amount > 100' },
      filter: { expression: 'data.amount > 100', saw: [{ expression: 'data.amount', value: 50 }] },
    });
  });

  it('explains what waits, and behind what', async () => {
    expect(await explained('stormy', 'sub_1')).toMatchObject({ result: 'waiting', waiting: { cause: 'breaker', until: '2026-11-20T11:05:00.000Z' } });
    expect(await explained('ordered', 'sub_1')).toMatchObject({ result: 'waiting', waiting: { cause: 'ordered', behind: delivery } });
  });

  it('explains what was not accepted, or not decided about', async () => {
    expect(await explained('refused', 'sub_1')).toMatchObject({ result: 'rejected', rejection: { id: 'rej_1', code: 'invalid', path: 'type' } });
    expect(await explained('forgotten', 'sub_1')).toMatchObject({ result: 'deduplicated', duplicates: { count: 1 } });
    expect(await explained('undecided', 'sub_1')).toMatchObject({ result: 'not_routed' });
  });

  it('waits for what the router had read of the registry, and says when it does not come', async () => {
    expect(await get('/events/early/explain?subscription=sub_1')).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    await world.publish([registryEvent('sub_2', 8, 'SubscriptionCreated', { id: 'sub_2', tenant: 'default', name: 'x', event_types: ['order.*'], enabled: true }, { version: 1 }), registryEvent('sub_1', 10, 'SubscriptionDeleted')]);
    expect(await explained('early', 'sub_2')).toMatchObject({ result: 'type_mismatch', subscription: { version: 1, event_types: ['order.*'] } });
  });

  it.each([
    ['/events/stormy/explain?subscription=sub_theirs', 404],
    ['/events/stormy/explain?subscription=sub_nobody', 404],
    ['/events/nothing/explain?subscription=sub_1', 404],
    ['/events/stormy/explain', 422],
    ['/deliveries/dlv_0123456789abcdef0123456789abcdef/timeline', 404],
  ])('answers %s with %i', async (path, status) => {
    expect((await get(path)).status).toBe(status);
  });

  it("explains nothing of another tenant's", async () => {
    expect((await world.service.get('/v1/tenants/other/events/stormy/explain?subscription=sub_theirs')).status).toBe(404);
    expect((await world.service.get('/v1/tenants/other/events/stormy/explain?subscription=sub_1')).status).toBe(404);
    expect((await world.service.get(`/v1/tenants/other/deliveries/${delivery}/timeline`)).status).toBe(404);
  });

  it('keeps no secret of the registry, encrypted or not', async () => {
    const [row] = await world.database.query<{ readonly kept: string }>(`select string_agg(data::text, ' ') as kept from audit.configuration`);
    expect(row?.kept).toContain('invoice.*');
    expect(row?.kept).not.toMatch(/c2VjcmV0|signing|ciphertext/);
  });

  it('tells who called it off, once that is so', async () => {
    await world.publish([cancelled(stormy, 'sub_1', 1, '2026-11-20T11:01:00.000Z')]);
    await eventually(async () => (await get<WholeDeliveryView>(`/deliveries/${delivery}`)).body.status === 'cancelled');
    const told = await explained('stormy', 'sub_1');
    expect(told).toMatchObject({ result: 'cancelled', cancelled: { at: '2026-11-20T11:01:00.000Z', by: expect.stringMatching(/^key_/) } });
    expect(told).not.toHaveProperty('waiting');
    const { body } = await get<Page<TimelineEntry>>(`/deliveries/${delivery}/timeline`);
    expect(body.data.slice(-2)).toMatchObject([{ kind: 'cancellation_asked_for', round: 1 }, { kind: 'ended', round: 1, status: 'cancelled' }]);
  });
});
