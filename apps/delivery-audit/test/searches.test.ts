import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { deliveryId, type DeliveryView, type EventView, type Page } from '@posthorn/contracts';
import { Client } from 'pg';
import { gatherEvidence } from '../src/explain/evidence.js';
import { createPartitions, partitionName } from '../src/loading/partitions.js';
import { listAttempts } from '../src/query/attempts.js';
import { deliveriesOfEventQuery, deliveriesQuery, findDelivery, listDeliveries, listDeliveriesOfEvent, type FoundDelivery } from '../src/query/deliveries.js';
import { READ_SETTINGS } from '../src/query/database.js';
import { dayOfEvent, eventsQuery, listEvents, readEvent } from '../src/query/events.js';
import { wholeViewOf } from '../src/query/rounds.js';
import { listTimeline } from '../src/query/timeline.js';
import { createDatabase, type TestDatabase } from './database.js';
import { Observed, type Course } from './plans.js';

/** Ten days of one event every twenty seconds for two subscriptions each; the last day is as it is loaded: nobody has gathered statistics of it. */
const DAYS = Array.from({ length: 10 }, (_, i) => `2026-11-${String(12 + i)}`);
const TODAY = '2026-11-21';
const EVENTS_A_DAY = 4_320;
const TENANT = 'default';
/** Gets every event, and one delivery of a hundred fails. */
const BUSY = 'sub_0';
/** Gets one event of five hundred. */
const QUIET = 'sub_17';

/** Pages of 50, sorted out of as many partitions as there are: far below what there is of anything that has to be sought. */
const MOST_ROWS = 400;

let database: TestDatabase;
let observed: Observed;

beforeAll(async () => {
  database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  await client.connect();
  for (const day of DAYS) await createPartitions(client, 'audit', day);
  for (const table of ['events', 'deliveries'] as const) await client.query(`alter table audit.${partitionName(table, TODAY)} set (autovacuum_enabled = off)`);
  await client.end();
  // Event n of a day: 'e<day>-<n>'. A subject is a customer's, of 3,000, and one event of three has none. Of a hundred types of events one is nearly all.
  await database.query(
    `insert into audit.events (day, tenant, id, type, source, subject, time, accepted_at, data)
     select d::date, case when n % 10 = 0 then 'other' else $3 end, 'e' || d || '-' || n,
       case when n % 997 = 0 then 'order.refunded' when n % 20 = 0 then 'order.' || n % 100 else 'invoice.paid' end,
       '/', case when n % 3 > 0 then 'customer/' || n * 7919 % 3000 end, '', d::timestamptz + n * interval '20 seconds', '{}'
     from unnest($1::text[]) d, generate_series(1, $2) n`,
    [DAYS, EVENTS_A_DAY, TENANT],
  );
  await database.query(
    `insert into audit.deliveries (day, id, tenant, event_id, event_type, subject, subscription_id, created_at, round, number, status, updated_at, last_error, finished_at, attempts)
     select day, substr(encode(sha256(tenant::bytea || '\\x00' || id::bytea || '\\x00' || subscription::bytea), 'hex'), 1, 32)::uuid,
       tenant, id, type, subject, subscription, accepted_at, 0, 1, status::audit.delivery_status, accepted_at,
       case when status = 'failed' then 'timeout' end, case when status <> 'retrying' then accepted_at end, 1
     from (
       select *, case when nth % 100 = 53 then 'failed' when nth % 333 = 0 then 'retrying' when nth % 500 = 1 then 'cancelled' else 'delivered' end as status
       from (
         select *, extract(epoch from accepted_at)::integer / 20 as nth, tenant <> 'other' as ours from audit.events
       ) numbered
     ) e, lateral (values (case when ours then '${BUSY}' else 'sub_other' end), (case when nth % 500 = 7 then '${QUIET}' else 'sub_' || 1 + nth % 16 end)) s (subscription)`,
  );
  for (const day of DAYS.filter((day) => day !== TODAY)) {
    for (const table of ['events', 'deliveries'] as const) await database.query(`analyze audit.${partitionName(table, day)}`);
  }
  for (const setting of READ_SETTINGS) await database.query(`set ${setting}`);
}, 120_000);

afterAll(() => database.drop());
beforeEach(() => {
  observed = new Observed(database);
});

const search = (query: Record<string, string>): Promise<Page<DeliveryView>> => listDeliveries(observed, TENANT, deliveriesQuery.parse(query));
const searchEvents = (query: Record<string, string>): Promise<Page<EventView>> => listEvents(observed, TENANT, eventsQuery.parse(query));

/** Of partitions, as `deliveries_20261121` is one of `deliveries`. */
const daysOf = (tables: Iterable<string>): readonly string[] => [...new Set([...tables].map((name) => name.replace(/^\w+_/, '')))].toSorted();

/** The statements that read a table from one end to the other, or more rows than a page needs. */
const wasteful = (mostRows = MOST_ROWS): readonly Course[] => observed.courses.filter(({ readWhole, rows }) => readWhole.size > 0 || rows > mostRows);

type Filters = Record<string, string>;
const from = `${TODAY}T00:00:00Z`;

describe('a search of deliveries', () => {
  it.each<[string, Filters, number]>([
    ['the newest', {}, 50],
    ['in a time', { from: '2026-11-14T06:00:00Z', to: '2026-11-15T00:00:00Z' }, 50],
    ['of a subscription', { subscription: BUSY }, 50],
    ['of a subscription that has few', { subscription: QUIET }, 50],
    ['of a subscription, failed today', { subscription: BUSY, status: 'failed', from }, 40],
    ['of a subscription, not delivered today', { subscription: BUSY, status: 'failed,retrying,cancelled,pending', from }, 50],
    ['of a subscription, delivered or failed', { subscription: BUSY, status: 'delivered,failed' }, 50],
    ['of a subscription, failed of one error', { subscription: BUSY, status: 'failed', last_error: 'timeout' }, 50],
    ['that failed', { status: 'failed' }, 50],
    ['that failed today', { status: 'failed', from }, 50],
    ['that wait for a retry', { status: 'retrying' }, 50],
    ['of an event', { event_id: 'e2026-11-14-4001' }, 2],
    ['of an event, that failed', { event_id: 'e2026-11-14-4001', status: 'failed' }, 0],
    ['of a subject', { subject: 'customer/77' }, 40],
    ['of a subject, for a subscription', { subject: 'customer/77', subscription: BUSY }, 20],
    ['of a subject in a time', { subject: 'customer/77', from: '2026-11-18T00:00:00Z', to: '2026-11-20T00:00:00Z' }, 8],
    ['of a subject, delivered', { subject: 'customer/77', status: 'delivered' }, 38],
    ['of a type', { event_type: 'invoice.paid' }, 50],
    ['of a type that is rare', { event_type: 'order.refunded' }, 50],
    ['of a type for a subscription', { event_type: 'invoice.paid', subscription: BUSY }, 50],
    ['of a type, failed', { event_type: 'invoice.paid', status: 'failed' }, 50],
  ])('%s reads little more than it answers', async (_, filters, atLeast) => {
    const { data } = await search(filters);
    expect(data.length).toBeGreaterThanOrEqual(atLeast);
    const wanted = filters['status']?.split(',') ?? [];
    expect(data.every(({ status }) => wanted.length === 0 || wanted.includes(status))).toBe(true);
    expect(data.map(({ created_at }) => created_at)).toEqual(data.map(({ created_at }) => created_at).toSorted().toReversed());
    expect(wasteful()).toEqual([]);
  });

  it.each<[string, Filters]>([
    ['of a subscription', { subscription: BUSY }],
    ['of several statuses', { status: 'failed,retrying' }],
    ['of a type, by its events', { event_type: 'invoice.paid' }],
    ['of a subject, by its events', { subject: 'customer/77', page_size: '7' }],
  ])('%s goes on where the page before ended, and reads no more for it', async (_, filters) => {
    const seen: string[] = [];
    let page: Page<DeliveryView> | undefined;
    for (let pages = 0; pages < 5 && (page === undefined || page.next_page_token !== undefined); pages += 1) {
      page = await search({ ...filters, ...(page?.next_page_token !== undefined && { page_token: page.next_page_token }) });
      seen.push(...page.data.map(({ id }) => id));
    }
    const whole = await listDeliveries(new Observed(database), TENANT, deliveriesQuery.parse({ ...filters, page_size: '250' }));
    expect(seen).toEqual(whole.data.map(({ id }) => id).slice(0, seen.length));
    expect(seen.length).toBeGreaterThan(30);
    expect(wasteful()).toEqual([]);
  });

  it.each<[string, Filters]>([
    ['today', { subscription: BUSY, status: 'failed', from }],
    ['by events', { subject: 'customer/77', from }],
  ])('%s touches no other day', async (_, filters) => {
    await search(filters);
    expect(daysOf(observed.courses.flatMap(({ tables }) => [...tables]))).toEqual(['20261121']);
  });

  it('of one event asks its day alone', async () => {
    const id = 'e2026-11-14-4001';
    const day = (await dayOfEvent(observed, TENANT, id)) ?? '';
    expect(wasteful()).toEqual([]);
    observed = new Observed(database);
    const { data } = await listDeliveriesOfEvent(observed, { tenant: TENANT, id, day }, deliveriesOfEventQuery.parse({}));
    expect(data).toHaveLength(2);
    expect(daysOf(observed.courses[0]?.tables ?? [])).toEqual(['20261114']);
    expect(wasteful()).toEqual([]);
  });
});

describe('a search of events', () => {
  it.each<[string, Filters, number]>([
    ['the newest', {}, 50],
    ['in a time', { from: '2026-11-14T06:00:00Z', to: '2026-11-15T00:00:00Z' }, 50],
    ['of a type', { event_type: 'invoice.paid' }, 50],
    ['of a type that is rare', { event_type: 'order.refunded' }, 35],
    ['of a subject', { subject: 'customer/77' }, 20],
    ['of a subject and a type that it has none of', { subject: 'customer/77', event_type: 'order.refunded' }, 0],
  ])('%s reads little more than it answers', async (_, filters, atLeast) => {
    expect((await searchEvents(filters)).data.length).toBeGreaterThanOrEqual(atLeast);
    expect(wasteful()).toEqual([]);
  });
});

describe('by id', () => {
  const eventId = 'e2026-11-14-4001';
  let found: FoundDelivery;

  beforeAll(async () => {
    const known = await findDelivery(new Observed(database), TENANT, deliveryId(TENANT, eventId, BUSY));
    if (known === undefined) throw new Error('there is none');
    found = known;
  });

  it.each<[string, () => Promise<unknown>]>([
    ['a delivery', () => findDelivery(observed, TENANT, deliveryId(TENANT, eventId, BUSY))],
    ['its rounds', () => wholeViewOf(observed, found)],
    ['its attempts', () => listAttempts(observed, found, { page_size: 50 })],
    ['its timeline', () => listTimeline(observed, found, { page_size: 50 })],
    ['an event', () => readEvent(observed, TENANT, eventId)],
    ['all that explains', () => gatherEvidence(observed, { tenant: TENANT, eventId, subscriptionId: BUSY }).catch(() => undefined)],
  ])('%s is found by a probe of a key', async (_, ask) => {
    await ask();
    expect(observed.courses).not.toEqual([]);
    expect(wasteful(20)).toEqual([]);
  });
});
