import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deliveryView, exportedAttempt, wholeEvent, type AttemptView, type DeliveryView, type Page } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { accepted, attempted, envelopeOf, outcomeOf, routed } from './records.js';
import { KEY } from './service.js';
import { World } from './world.js';

const TENANT = '/v1/tenants/default';
/** Of a tenant whose history is made by SQL. */
const LARGE = '/v1/tenants/large';
const LARGE_DAY = '2026-11-19';
const [DELIVERIES, EVENTS, EVENT_BYTES] = [30_000, 1_500, 100_000];

const paid = envelopeOf('e1', '2026-11-20T10:00:00.000Z', { subject: '=cmd()', headers: { 'x-a': 'b' }, extensions: { comexample: 'x' } });
const picture = envelopeOf('e2', '2026-11-20T10:00:01.000Z', { type: 'user.pictured', datacontenttype: 'image/png' });
const PRETTY = '{\r\n  "text": "line\\nend, \\"quoted\\"",\n  "price": 1.10\n}';

/** More than fits into a page, or into what a socket takes at once. */
const makeLarge = async ({ database }: World): Promise<void> => {
  for (const table of ['events', 'deliveries', 'attempts']) {
    await database.query(`create table if not exists audit.${table}_large partition of audit.${table} for values from ('${LARGE_DAY}') to ('2026-11-20')`);
  }
  await database.query(
    `insert into audit.deliveries (day, id, tenant, event_id, event_type, subscription_id, created_at, round, number, status, updated_at, finished_at, attempts)
     select '${LARGE_DAY}', md5(n::text)::uuid, 'large', 'e' || n, 'invoice.paid', 'sub_1', at, 0, 1, 'delivered', at, at, 1
       from (select n, timestamptz '${LARGE_DAY}T00:00:00Z' + make_interval(secs => n / 3) as at from generate_series(1, ${DELIVERIES}) n) numbered`,
  );
  await database.query(
    `insert into audit.events (day, tenant, id, type, source, time, accepted_at, data)
     select '${LARGE_DAY}', 'large', 'e' || n, 'invoice.paid', '/x', '${LARGE_DAY}T00:00:00Z', timestamptz '${LARGE_DAY}T00:00:00Z' + make_interval(secs => n),
            convert_to('"' || repeat('x', ${EVENT_BYTES}) || '"', 'UTF8')
       from generate_series(1, ${EVENTS}) n`,
  );
};

describe('an export', () => {
  let world: World;

  beforeAll(async () => {
    world = await World.create();
    await world.service.ready();
    const failed = outcomeOf(paid, 'sub_1', {
      status: 'retrying',
      attempt: { ...outcomeOf(paid, 'sub_1').attempt, started_at: '2026-11-20T10:00:00.020Z', duration_ms: 7, request: { url: 'https://example.com/', headers: {} }, error: { code: 'timeout', message: '-late' } },
    });
    const delivered = outcomeOf(paid, 'sub_1', { number: 2, trigger: 'retry' });
    await world.publish([
      accepted(paid, PRETTY),
      accepted(picture, Buffer.from([0x89, 0x50])),
      routed(paid, ['sub_1', 'sub_2']),
      routed(picture, []),
      attempted(failed, delivered),
    ]);
    await eventually(async () => (await world.count('events')) === 2 && (await world.count('deliveries')) === 2 && (await world.count('attempts')) === 2);
    await makeLarge(world);
  }, 60_000);

  afterAll(() => world.close());

  const ask = async (path: string, headers: Readonly<Record<string, string>> = {}) =>
    fetch((await world.service.url) + path, { headers: { authorization: `Bearer ${KEY}`, ...headers } });
  const lines = async (path: string): Promise<readonly unknown[]> => (await (await ask(path)).text()).split('\n').slice(0, -1).map((line) => JSON.parse(line));
  const list = async <Item>(path: string): Promise<readonly Item[]> => ((await (await ask(path)).json()) as Page<Item>).data;
  /** The answer, unread, on a connection of its own. */
  const open = async (path: string, key = KEY): Promise<IncomingMessage> => {
    const request = get((await world.service.url) + path, { headers: { authorization: `Bearer ${key}` }, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    return response;
  };
  const metric = async (name: string): Promise<number> => Number(new RegExp(`^${name}(?:\\{.*\\})? (.+)$`, 'm').exec((await world.service.get('/metrics')).text)?.[1]);

  it('of events has each whole, on a line of its own, as its producer wrote it', async () => {
    const response = await ask(`${TENANT}/events/export`);
    const text = await response.text();
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/x-ndjson',
      'content-disposition': 'attachment; filename="events-default.ndjson"',
      'transfer-encoding': 'chunked',
    });
    expect(text.split('\n')).toEqual([
      expect.stringContaining('"data_base64":"iVA="}'),
      expect.stringContaining('"data":{    "text": "line\\nend, \\"quoted\\"",   "price": 1.10 }}'),
      '',
    ]);
    const events = text.split('\n').slice(0, -1).map((line) => wholeEvent.parse(JSON.parse(line)));
    expect(events[1]).toEqual((await world.service.get(`${TENANT}/events/e1`)).body);
  });

  it('of deliveries has what the list has, by the same filters', async () => {
    const all = await lines(`${TENANT}/deliveries/export`);
    expect(all).toEqual(await list<DeliveryView>(`${TENANT}/deliveries`));
    expect(all.map((line) => deliveryView.parse(line))).toEqual(all);
    expect(await lines(`${TENANT}/deliveries/export?status=delivered`)).toEqual(await list<DeliveryView>(`${TENANT}/deliveries?status=delivered`));
    expect(await lines(`${TENANT}/deliveries/export?from=2026-11-21T00:00:00Z`)).toEqual([]);
  });

  it('of attempts has those of the deliveries that are found, with whose they are', async () => {
    const attempts = await lines(`${TENANT}/deliveries/export/attempts?event_id=e1`);
    const [delivery] = await list<DeliveryView>(`${TENANT}/deliveries?subscription=sub_1`);
    const of = { delivery_id: delivery?.id, event_id: 'e1', event_type: 'invoice.paid', subscription_id: 'sub_1' };
    const known = await list<AttemptView>(`${TENANT}/deliveries/${delivery?.id}/attempts`);
    expect(known).toHaveLength(2);
    expect(attempts).toEqual(known.map((attempt) => ({ ...of, ...attempt })));
    expect(attempts.map((line) => exportedAttempt.parse(line))).toEqual(attempts);
    expect(await lines(`${TENANT}/deliveries/export/attempts?subscription=sub_2`)).toEqual([]);
  });

  it('is CSV for who asks for it, safe to open', async () => {
    const byName = await ask(`${TENANT}/events/export?format=csv&event_type=invoice.paid`);
    expect(byName.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present');
    expect(byName.headers.get('content-disposition')).toBe('attachment; filename="events-default.csv"');
    expect(await byName.text()).toBe(
      'id,tenant,type,source,subject,time,accepted_at,key,content_type,headers,context,extensions,data,data_base64\r\n' +
        `e1,default,invoice.paid,/billing,'=cmd(),${paid.time},${paid.acceptedtime},,,"{""x-a"":""b""}",,"{""comexample"":""x""}","${PRETTY.replaceAll('"', '""')}",\r\n`,
    );
    const byAccept = await (await ask(`${TENANT}/deliveries/export/attempts`, { accept: 'text/csv, */*;q=0.1' })).text();
    expect(byAccept.split('\r\n').map((line) => line.split(',').slice(5, 14).join())).toEqual([
      'round,number,trigger,started_at,duration_ms,url,status_code,error_code,error_message',
      "0,1,first,2026-11-20T10:00:00.020Z,7,https://example.com/,200,timeout,'-late",
      '0,2,retry,2026-11-20T10:00:00.020Z,4.25,https://example.com/hook,200,,',
      '',
    ]);
    expect(await (await ask(`${TENANT}/deliveries/export?format=csv&status=failed`)).text()).toMatch(/^id,tenant,event_id,[\w,]+\r\n$/);
  });

  it.each([
    ['events/export?format=xml', 422],
    ['events/export?page_size=10', 422],
    ['deliveries/export?status=done', 422],
    ['deliveries/export/attempts?page_token=x', 422],
  ])('refuses %s', async (path, status) => {
    expect((await ask(`${TENANT}/${path}`)).status).toBe(status);
  });

  it('has every row once, however many pages they are', async () => {
    const ids = new Set<unknown>();
    for await (const line of createInterface({ input: await open(`${LARGE}/deliveries/export`) })) ids.add((JSON.parse(line) as DeliveryView).id);
    expect(ids.size).toBe(DELIVERIES);
  }, 30_000);

  it('holds no more of what is large than its reader is about to read', async () => {
    const before = await metric('process_resident_memory_bytes');
    let [bytes, most] = [0, 0];
    for await (const chunk of await open(`${LARGE}/events/export`)) {
      const tenth = Math.floor(bytes / (EVENTS * EVENT_BYTES * 0.1));
      bytes += (chunk as Buffer).length;
      if (Math.floor(bytes / (EVENTS * EVENT_BYTES * 0.1)) > tenth) most = Math.max(most, await metric('process_resident_memory_bytes'));
    }
    expect(bytes).toBeGreaterThan(EVENTS * EVENT_BYTES);
    expect(most - before).toBeLessThan(140 * 1024 * 1024);
  }, 30_000);

  it('waits for a reader that stops, asks PostgreSQL nothing meanwhile, and is over when it goes', async () => {
    const [one, two] = await Promise.all([open(`${LARGE}/events/export`), open(`${LARGE}/deliveries/export`)]);
    const refused = await ask(`${LARGE}/events/export`);
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([429, '5', expect.objectContaining({ code: 'rate_limited' })]);
    expect(await lines(`${TENANT}/deliveries/export`)).toHaveLength(2);
    await eventually(async () => (await world.database.query("select 1 from pg_stat_activity where application_name like '%queries' and state <> 'idle' and datname = current_database()")).length === 0);
    one.destroy();
    two.destroy();
    await eventually(async () => (await metric('posthorn_audit_exports')) === 0);
    const again = await open(`${LARGE}/events/export`);
    expect(again.statusCode).toBe(200);
    again.destroy();
  }, 30_000);

  it('breaks off when its key is revoked', async () => {
    const { id, key } = await world.publishKey({});
    const response = await open(`${LARGE}/events/export`, key);
    const broken = once(response, 'error');
    await world.publishState('api_key', id, null);
    await eventually(async () => (await metric('posthorn_audit_exports')) === 0);
    response.resume();
    expect(await broken).toEqual([expect.objectContaining({ code: 'ECONNRESET' })]);
  }, 30_000);

  it('breaks off when PostgreSQL goes away in the middle, rather than ending as if it were whole', async () => {
    const response = await open(`${LARGE}/events/export`);
    await world.database.allowConnections(false);
    const ended = once(response, 'end').then(() => 'ended', (error: NodeJS.ErrnoException) => error.code);
    response.resume();
    expect([await ended, response.complete]).toEqual(['ECONNRESET', false]);
    await world.database.allowConnections(true);
    await eventually(async () => (await ask(`${TENANT}/deliveries/export`)).status === 200);
  }, 30_000);
});
