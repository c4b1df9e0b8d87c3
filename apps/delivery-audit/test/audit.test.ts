import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  attemptView,
  deliveryId,
  deliveryView,
  eventView,
  pageSchema,
  statisticsView,
  timelineEntry,
  wholeDelivery,
  wholeEvent,
  type AttemptView,
  type DeliveryView,
  type EventView,
  type Page,
  type StatisticsView,
} from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { accepted, attempted, envelopeOf, outcomeOf, routed } from './records.js';
import { World } from './world.js';

const DATA = '{"b": 1.10,  "a": 12345678901234567890}';
const OUTSIDE_TENANT = '/v1/tenants/other';
const TENANT = '/v1/tenants/default';

const paid = envelopeOf('e1', '2026-11-20T23:59:59.900Z', {
  subject: 'inv/1',
  partitionkey: 'k',
  headers: { 'x-a': 'b' },
  context: { region: 'eu' },
  extensions: { comexample: 'x', sequence: 7 },
});
const placed = envelopeOf('e2', '2026-11-21T00:00:00.100Z', { type: 'order.placed' });
const picture = envelopeOf('e3', '2026-11-21T08:00:00.000Z', { datacontenttype: 'image/png' });
const later = Array.from({ length: 7 }, (_, i) => envelopeOf(`later${i}`, `2026-11-22T10:00:0${i % 3}.000Z`));

const first = outcomeOf(paid, 'sub_1', {
  status: 'retrying',
  next_attempt_at: '2026-11-21T00:00:05.000Z',
  attempt: {
    started_at: '2026-11-20T23:59:59.950Z',
    duration_ms: 12.5,
    request: { url: 'https://example.com/hook', headers: { 'webhook-id': 'e1' } },
    error: { code: 'connection_refused', message: 'connect ECONNREFUSED' },
  },
});
const second = outcomeOf(paid, 'sub_1', { number: 2, trigger: 'retry', at: '2026-11-21T00:00:05.100Z' });

describe('the audit', () => {
  let world: World;
  const get = <Body>(path: string) => world.service.get(path) as Promise<{ status: number; text: string; body: Body }>;
  const stats = (path: string) => get<StatisticsView>(`${path}?from=2026-11-20T22:00:00Z&to=2026-11-21T01:00:00Z`);
  const ids = async (path: string): Promise<string[]> => (await get<Page<{ id: string }>>(path)).body.data.map(({ id }) => id);

  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
    await world.publish([
      attempted(second, outcomeOf(placed, 'sub_1')),
      attempted(first),
      routed(paid, ['sub_1', 'sub_2']),
      routed(placed, ['sub_1']),
      routed(picture, []),
      accepted(paid, DATA),
      accepted(placed),
      accepted(picture, Buffer.from([0x89, 0x50])),
      ...later.map((envelope) => accepted(envelope)),
      ...later.map((envelope) => routed(envelope, ['sub_3'])),
    ]);
    await eventually(async () => (await world.count('events')) === 10 && (await world.count('deliveries')) === 10 && (await world.count('attempts')) === 3);
  }, 60_000);

  afterAll(() => world.close());

  it('tells an event with its data as the producer wrote it', async () => {
    const { status, text } = await get(`${TENANT}/events/e1`);
    expect(status).toBe(200);
    expect(text).toBe(
      `{"id":"e1","tenant":"default","type":"invoice.paid","source":"/billing","subject":"inv/1","time":"${paid.time}",` +
        `"accepted_at":"${paid.acceptedtime}","key":"k","headers":{"x-a":"b"},"context":{"region":"eu"},"extensions":{"comexample":"x","sequence":7},"data":${DATA}}`,
    );
  });

  it('tells data that is not JSON in base64', async () => {
    expect((await get<{ data_base64: string }>(`${TENANT}/events/e3`)).body).toMatchObject({ content_type: 'image/png', data_base64: 'iVA=' });
  });

  it.each([
    ['events', pageSchema(eventView)],
    ['events/e1', wholeEvent],
    ['events/e3', wholeEvent],
    ['events/e1/deliveries', pageSchema(deliveryView)],
    ['deliveries', pageSchema(deliveryView)],
    [`deliveries/${deliveryId('default', 'e1', 'sub_1')}`, wholeDelivery],
    [`deliveries/${deliveryId('default', 'e1', 'sub_1')}/timeline`, pageSchema(timelineEntry)],
    [`deliveries/${deliveryId('default', 'e1', 'sub_1')}/attempts`, pageSchema(attemptView)],
  ])('answers %s as it is documented, and no more', async (path, schema) => {
    const { body } = await get(`${TENANT}/${path}`);
    expect(schema.parse(body)).toEqual(body);
  });

  it('lists events newest first, across midnight, without their data', async () => {
    const { body } = await get<Page<EventView>>(`${TENANT}/events?to=2026-11-22T00:00:00Z`);
    expect(body.data.map(({ id }) => id)).toEqual(['e3', 'e2', 'e1']);
    expect(body.data[2]).not.toHaveProperty('data');
  });

  it.each([
    ['event_type=order.placed', ['e2']],
    ['subject=inv/1', ['e1']],
    ['from=2026-11-21T00:00:00.100Z&to=2026-11-21T08:00:00Z', ['e2']],
    ['from=2026-11-21T00:30:00%2B01:00&to=2026-11-21T01:00:00%2B01:00', ['e1']],
    ['subject=nobody%00', []],
  ])('filters events by %s', async (filter, expected) => {
    expect(await ids(`${TENANT}/events?${filter}`)).toEqual(expected);
  });

  it('pages through events of the same moment, each once', async () => {
    const seen: string[] = [];
    let token: string | undefined;
    do {
      const page = (await get<Page<EventView>>(`${TENANT}/events?from=2026-11-22T00:00:00Z&page_size=2${token ? `&page_token=${token}` : ''}`)).body;
      seen.push(...page.data.map(({ id }) => id));
      token = page.next_page_token;
    } while (token !== undefined);
    expect(seen).toEqual(['later5', 'later2', 'later4', 'later1', 'later6', 'later3', 'later0']);
  });

  it('tells where a delivery stands', async () => {
    const id = deliveryId('default', 'e1', 'sub_1');
    expect((await get(`${TENANT}/deliveries/${id}`)).body).toEqual({
      id,
      tenant: 'default',
      event_id: 'e1',
      event_type: 'invoice.paid',
      subscription_id: 'sub_1',
      status: 'delivered',
      round: 0,
      attempts: 2,
      rounds: [],
      last_status_code: 200,
      created_at: paid.acceptedtime,
      finished_at: '2026-11-21T00:00:05.100Z',
    });
  });

  it("tells a delivery's attempts in the order in which they were made", async () => {
    const { body } = await get<Page<AttemptView>>(`${TENANT}/deliveries/${deliveryId('default', 'e1', 'sub_1')}/attempts`);
    expect(body).toEqual({
      data: [
        { round: 0, number: 1, trigger: 'first', ...first.attempt },
        { round: 0, number: 2, trigger: 'retry', ...second.attempt },
      ],
    });
  });

  it('tells them page by page', async () => {
    const path = `${TENANT}/deliveries/${deliveryId('default', 'e1', 'sub_1')}/attempts?page_size=1`;
    const { body: one } = await get<Page<AttemptView>>(path);
    const { body: two } = await get<Page<AttemptView>>(`${path}&page_token=${one.next_page_token}`);
    expect([one, two].map(({ data }) => data.map(({ number }) => number))).toEqual([[1], [2]]);
    expect(two.next_page_token).toBeUndefined();
  });

  it('lists the deliveries of an event', async () => {
    const { body } = await get<Page<DeliveryView>>(`${TENANT}/events/e1/deliveries`);
    expect(body.data.map(({ subscription_id, status }) => `${subscription_id} ${status}`).toSorted()).toEqual(['sub_1 delivered', 'sub_2 pending']);
    expect((await get(`${TENANT}/events/e3/deliveries`)).body).toEqual({ data: [] });
  });

  it.each([
    ['subscription=sub_1', ['e2 sub_1', 'e1 sub_1']],
    ['event_type=invoice.paid&to=2026-11-21T00:00:00Z&status=pending', ['e1 sub_2']],
    ['status=delivered', ['e2 sub_1', 'e1 sub_1']],
    ['event_id=e2', ['e2 sub_1']],
    ['subject=inv/1&subscription=sub_2', ['e1 sub_2']],
    ['status=cancelled', []],
  ])('filters deliveries by %s', async (filter, expected) => {
    const { body } = await get<Page<DeliveryView>>(`${TENANT}/deliveries?${filter}`);
    expect(body.data.map((delivery) => `${delivery.event_id} ${delivery.subscription_id}`)).toEqual(expected);
  });

  it.each(['/events/e1', '/events/e1/deliveries', `/deliveries/${deliveryId('default', 'e1', 'sub_1')}`, '/deliveries/x/attempts'])(
    "answers 404 for another tenant's %s",
    async (path) => {
      expect(await get(OUTSIDE_TENANT + path)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    },
  );

  it('has nothing of a tenant that nobody knows', async () => {
    expect((await get(`${OUTSIDE_TENANT}/deliveries`)).body).toEqual({ data: [] });
  });

  it.each([
    ['/events?from=yesterday', 'from'],
    ['/events?from=0000-01-01T00:00:00Z', 'from'],
    ['/events?page_size=0', 'page_size'],
    ['/events?page_token=nonsense', 'page_token'],
    ['/events?status=failed', 'status'],
    ['/deliveries?status=done', 'status'],
    ['/deliveries?subscription=a&subscription=b', 'subscription'],
    ['/stats?step=2h', 'step'],
    ['/stats?from=2026-11-20T00:00:00Z&to=2026-11-19T00:00:00Z', 'from'],
    ['/subscriptions/sub_1/stats?page_size=1', 'page_size'],
    ['/events/e1/deliveries?status=failed', 'status'],
    [`/deliveries/${deliveryId('default', 'e1', 'sub_1')}/attempts?page_size=0`, 'page_size'],
  ])('refuses %s', async (path, field) => {
    expect(await get(TENANT + path)).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path: field }] } });
  });

  it('counts the events that a subscription would have got in a time', async () => {
    const missed = (query: string) => get(`${TENANT}/stats/missed?from=2026-11-20T23:59:59.900Z&to=2026-11-22T10:00:01Z&event_types=${query}`);
    expect(await missed('*')).toMatchObject({ status: 200, body: { deliveries: 6, at_least: false } });
    expect((await missed('order.placed,invoice.*')).body).toMatchObject({ deliveries: 6 });
    expect((await missed('order.*')).body).toMatchObject({ deliveries: 1 });
    expect((await missed('invoice,order')).body).toMatchObject({ deliveries: 0 });
    expect((await get(`${OUTSIDE_TENANT}/stats/missed?from=2026-11-20T00:00:00Z&to=2026-11-23T00:00:00Z&event_types=*`)).body).toMatchObject({ deliveries: 0 });
    expect(await missed('a..b')).toMatchObject({ status: 422, body: { errors: [{ path: 'event_types[0]' }] } });
  });

  it("tells statistics of the tenant and of a subscription, and none of a subscription that is not the tenant's", async () => {
    const { status, body } = await stats(`${TENANT}/stats`);
    expect([status, statisticsView.parse(body)]).toEqual([200, body]);
    expect(body.series.map(({ at, attempts, deliveries }) => [at, attempts.total, deliveries.delivered])).toEqual([
      ['2026-11-20T22:00:00.000Z', 0, 0],
      ['2026-11-20T23:00:00.000Z', 1, 0],
      ['2026-11-21T00:00:00.000Z', 2, 2],
    ]);
    expect(body.totals.attempts).toEqual({ total: 3, succeeded: 2, failed: 1, success_rate: 2 / 3, errors: { connection_refused: 1 } });
    expect((await stats(`${TENANT}/subscriptions/sub_1/stats`)).body).toEqual(body);
    expect((await stats(`${OUTSIDE_TENANT}/stats`)).body).toMatchObject({ totals: { attempts: { total: 0 } } });
    expect(await stats(`${OUTSIDE_TENANT}/subscriptions/sub_1/stats`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    expect(await stats(`${TENANT}/subscriptions/sub_nobody/stats`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it('answers nobody without a key', async () => {
    expect((await world.service.get(`${TENANT}/events`, {})).status).toBe(401);
  });

  it('counts what it wrote, and how far behind it is', async () => {
    const { text } = await world.service.get('/metrics', {});
    expect(text).toMatch(/posthorn_audit_rows_total\{kind="event",service="delivery-audit"\} 10\n/);
    expect(text).toMatch(/posthorn_audit_rows_total\{kind="attempt",service="delivery-audit"\} 3\n/);
    expect(text).toMatch(/posthorn_audit_batch_duration_seconds_count\{service="delivery-audit"\} [1-9]/);
    expect(text).toMatch(/posthorn_consumer_lag\{topic="[^"]+deliveries.attempted.v1",service="delivery-audit"\} 0\n/);
  });
});

describe('when something breaks', () => {
  const events = Array.from({ length: 300 }, (_, i) => envelopeOf(`e${i}`, '2026-11-21T12:00:00.000Z'));
  const records = events.flatMap((one) => [accepted(one), routed(one, ['sub_1']), attempted(outcomeOf(one, 'sub_1'))]);
  let world: World;

  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
  }, 60_000);

  afterAll(() => world.close());

  it('writes no row twice when it is killed between the commit in PostgreSQL and that in Kafka, and the records come again', async () => {
    await world.publish(records);
    await eventually(async () => (await world.count('attempts')) > 0);
    await world.service.stop('SIGKILL');
    // Whatever Kafka has been told by then: every record once more.
    await world.publish(records);
    await world.start().ready();
    await eventually(
      async () => !/posthorn_consumer_lag\{.*\} [1-9]/.test((await world.service.get('/metrics')).text) && (await world.count('attempts')) === 300,
    );
    expect(await world.database.query('select status::text, attempts, count(*)::integer from audit.deliveries group by 1, 2')).toEqual([
      { status: 'delivered', attempts: 1, count: 300 },
    ]);
  }, 60_000);

  it('loses nothing while PostgreSQL is away, and says that it is', async () => {
    const late = envelopeOf('late', '2026-11-22T12:00:00.000Z');
    await world.database.allowConnections(false);
    await world.publish([accepted(late)]);
    await eventually(async () => (await world.service.get('/readyz')).text.includes('"database"'));
    expect(await world.service.get('/v1/tenants/default/events')).toMatchObject({ status: 503, body: { code: 'unavailable' } });
    await world.database.allowConnections(true);
    await eventually(async () => (await world.service.get('/v1/tenants/default/events/late')).status === 200);
    await world.service.ready();
  }, 60_000);

  it('goes on past what cannot be true of a delivery, tells where it stood, and records the rest of the record', async () => {
    const before = await world.count('attempts');
    const [one, other] = [envelopeOf('e0', '2026-11-21T12:00:00.000Z'), envelopeOf('true', '2026-11-21T12:00:00.000Z')];
    await world.publish([
      attempted(outcomeOf(one, 'sub_1', { tenant: 'other' }), outcomeOf(one, 'sub_1', { number: 1_000 }), outcomeOf(other, 'sub_1')),
    ]);
    await eventually(async () => (await world.count('attempts')) === before + 1);
    const { text } = await world.service.get('/metrics');
    expect(text).toMatch(/posthorn_audit_refused_total\{reason="foreign_delivery",service="delivery-audit"\} 1\n/);
    expect(text).toMatch(/posthorn_audit_refused_total\{reason="impossible_number",service="delivery-audit"\} 1\n/);
    const line = world.service.log.find((text) => text.includes('refused what a record says'));
    expect(JSON.parse(line ?? '')).toMatchObject({ topic: world.kafka.topic('deliveries.attempted'), partition: expect.any(Number), offset: expect.any(String), refused: 2 });
    expect(await world.database.query(`select tenant from audit.deliveries where tenant <> 'default'`)).toEqual([]);
  }, 60_000);

  it('is drained and gone soon after SIGTERM', async () => {
    expect(await world.service.stop()).toBe(0);
    await world.start().ready();
  }, 60_000);

  it('stops at a record of a version that it does not know, and names it', async () => {
    await world.publish([accepted(envelopeOf('new', '2026-11-22T12:00:00.000Z'))], '2');
    expect(await world.service.exit).toBe(1);
    expect(world.service.log.at(-1)).toMatch(/events\.accepted\.v1\[\d\]@\d+: schema version 2 is not known/);
  }, 60_000);
});
