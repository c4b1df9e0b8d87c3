import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { pageSchema, rejectedEventView, wholeRejectedEvent, type Page, type RejectedEventView } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { rejected, rejectionOf } from './records.js';
import { World } from './world.js';

const ERRORS = [{ path: 'data.items[0].price', message: 'must be a number' }];
const RECORD = { topic: 'shop.orders', partition: 3, offset: '12' };

const REJECTIONS = [
  rejectionOf('rej_1', {
    reason: { code: 'too_deep', message: 'data is nested deeper than 64', path: 'data', errors: ERRORS },
    event_id: 'e1',
    rejected_at: '2026-11-20T23:59:59.900Z',
    headers: { 'content-type': 'application/json', 'x-a': 'b' },
    value: '{"n": 12345678901234567890,\n"s":"\\ud800"}',
  }),
  rejectionOf('rej_2', { door: 'kafka', record: RECORD, rejected_at: '2026-11-21T00:00:00.100Z', value_base64: '/wAi', truncated: true }),
  rejectionOf('rej_3', { tenant: 'other', rejected_at: '2026-11-21T10:00:00.000Z' }),
  rejectionOf('rej_4', { tenant: undefined, door: 'kafka', record: RECORD, reason: { code: 'malformed', message: 'is not JSON' }, rejected_at: '2026-11-21T11:00:00.000Z' }),
  ...Array.from({ length: 7 }, (_, i) => rejectionOf(`rej_later${i}`, { rejected_at: `2026-11-22T10:00:0${i % 3}.000Z` })),
];

const TENANT = '/v1/tenants/default/rejected-events';
const ALL = '/v1/rejected-events';

describe('rejected events', () => {
  let world: World;
  const get = <Body>(path: string) => world.service.get(path) as Promise<{ status: number; body: Body }>;
  const ids = async (path: string): Promise<string[]> => (await get<Page<RejectedEventView>>(path)).body.data.map(({ id }) => id);

  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
    await world.publish([...REJECTIONS, ...REJECTIONS].map(rejected));
    await eventually(async () => (await world.count('rejected_events')) === REJECTIONS.length);
  }, 60_000);

  afterAll(() => world.close());

  it('are told with their reason and what was refused, as it came', async () => {
    expect(await get(`${TENANT}/rej_1`)).toMatchObject({
      status: 200,
      body: {
        id: 'rej_1',
        tenant: 'default',
        event_id: 'e1',
        door: 'rest',
        rejected_at: '2026-11-20T23:59:59.900Z',
        reason: { code: 'too_deep', message: 'data is nested deeper than 64', path: 'data', errors: ERRORS },
        headers: { 'content-type': 'application/json', 'x-a': 'b' },
        value: '{"n": 12345678901234567890,\n"s":"\\ud800"}',
        value_bytes: 41,
        truncated: false,
      },
    });
    expect((await get(`${TENANT}/rej_2`)).body).toEqual({
      id: 'rej_2',
      tenant: 'default',
      door: 'kafka',
      rejected_at: '2026-11-21T00:00:00.100Z',
      reason: { code: 'invalid', message: 'type is required', path: 'type' },
      record: RECORD,
      headers: { 'content-type': 'application/json' },
      value_base64: '/wAi',
      value_bytes: 3,
      truncated: true,
    });
  });

  it('are told as it is documented, and no more', async () => {
    const { body: list } = await get(ALL);
    expect(pageSchema(rejectedEventView).parse(list)).toEqual(list);
    for (const id of ['rej_1', 'rej_2', 'rej_4']) {
      const { body } = await get(`${ALL}/${id}`);
      expect(wholeRejectedEvent.parse(body)).toEqual(body);
    }
  });

  it('are listed newest first, across midnight, without what was refused', async () => {
    const { body } = await get<Page<object>>(`${TENANT}?to=2026-11-22T00:00:00Z`);
    expect(body.data).toEqual([expect.objectContaining({ id: 'rej_2' }), expect.objectContaining({ id: 'rej_1', value_bytes: 41 })]);
    expect(Object.keys(body.data[1] ?? {})).not.toEqual(expect.arrayContaining([expect.stringMatching(/^value$|value_base64|headers/)]));
  });

  it.each([
    ['code=too_deep', ['rej_1']],
    ['door=kafka', ['rej_2']],
    ['event_id=e1', ['rej_1']],
    ['from=2026-11-21T00:00:00.100Z&to=2026-11-22T00:00:00Z', ['rej_2']],
    ['code=too_large', []],
  ])('are filtered by %s', async (filter, expected) => {
    expect(await ids(`${TENANT}?${filter}`)).toEqual(expected);
  });

  it('are paged, each once, those of one moment too', async () => {
    const seen: string[] = [];
    let token = '';
    do {
      const { body } = await get<Page<RejectedEventView>>(`${TENANT}?from=2026-11-22T00:00:00Z&page_size=2${token}`);
      seen.push(...body.data.map(({ id }) => id));
      token = body.next_page_token === undefined ? '' : `&page_token=${body.next_page_token}`;
    } while (token !== '');
    expect(seen).toEqual(['rej_later5', 'rej_later2', 'rej_later4', 'rej_later1', 'rej_later6', 'rej_later3', 'rej_later0']);
  });

  it('are all there for who sees all tenants, those of nobody too', async () => {
    expect(await ids(`${ALL}?to=2026-11-22T00:00:00Z`)).toEqual(['rej_4', 'rej_3', 'rej_2', 'rej_1']);
    expect(await get(`${ALL}/rej_4`)).toMatchObject({ status: 200, body: { id: 'rej_4', record: RECORD } });
    expect((await get(`${ALL}/rej_4`)).body).not.toHaveProperty('tenant');
    expect((await get(`${ALL}/rej_nobody`)).status).toBe(404);
  });

  it.each(['rej_3', 'rej_4', 'rej_nobody', 'rej%00'])('are not told to another tenant: %s', async (id) => {
    expect(await get(`${TENANT}/${id}`)).toMatchObject({ status: 404, body: { code: 'not_found' } });
  });

  it.each([
    [`${TENANT}?code=wrong`, 'code'],
    [`${TENANT}?door=mail`, 'door'],
    [`${TENANT}?event_type=a`, 'event_type'],
    [`${ALL}?tenant=default`, 'tenant'],
    [`${TENANT}?page_token=nonsense`, 'page_token'],
  ])('refuse %s', async (path, field) => {
    expect(await get(path)).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path: field }] } });
  });

  it('are counted', async () => {
    expect((await world.service.get('/metrics', {})).text).toMatch(
      new RegExp(`posthorn_audit_rows_total\\{kind="rejected_event",service="delivery-audit"\\} ${REJECTIONS.length}\\n`),
    );
  });
});
