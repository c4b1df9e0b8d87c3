import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

const prefix = `t${randomBytes(6).toString('hex')}`;
const invoice = {
  type: 'object',
  required: ['number'],
  properties: { number: { type: 'string' }, items: { type: 'array', items: { properties: { price: { type: 'number' } } } } },
};
const FITS = '{"number":"A-1","items":[{"price":12345678901234567890},{"price":1.0}]}';
const BAD = '{"number":"A-1","items":[{"price":1},{"price":"2"}]}';
const fault = { path: 'data.items[1].price', message: 'must be number' };
const POSITION = 'posthorn-registry-position';

let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;

beforeAll(async () => {
  kafka = await openKafka(prefix);
  for (const schema_policy of ['off', 'warn', 'reject'] as const) {
    await kafka.createTenant(schema_policy, { schema_policy });
    await kafka.createEventType(schema_policy, 'invoice.paid', invoice);
  }
  await kafka.createTenant('strict', { schema_policy: 'reject', unknown_event_types: 'reject' });
  service = await startService(prefix);
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await kafka?.close();
});

const acceptedWith = (id: string) => kafka.accepted.first(({ envelope }) => envelope.id === id);
const rejectedWith = (id: string) => kafka.rejected.first(({ event_id }) => event_id === id);

const post = async (tenant: string, path: string, body: string | Buffer, headers: Record<string, string> = {}) => {
  const response = await fetch(`${service.url}/v1/tenants/${tenant}/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, body: (await response.json()) as unknown };
};
const eventOf = (id: string, data: string, more: { type?: string; tenant?: string } = {}): string =>
  `{"id":"${id}","type":"${more.type ?? 'invoice.paid'}"${more.tenant === undefined ? '' : `,"tenant":"${more.tenant}"`},"data":${data}}`;
const batchOf = (mark: string): string => `{"events":[${eventOf(`${mark}-0`, FITS)},${eventOf(`${mark}-1`, BAD)}]}`;
const orderedId = (n: number): string => `ordered-${String(n).padStart(3, '0')}`;
const produce = (id: string, data: string, tenant: string, type?: string, headers: Record<string, string> = {}) =>
  kafka.send('events.inbound', eventOf(id, data, { tenant, ...(type !== undefined && { type }) }), { headers });

describe('data that fits its schema', () => {
  it('leaves as it was written, by either door', async () => {
    expect(await post('reject', 'events', eventOf('f-rest', FITS))).toEqual({ status: 202, body: { id: 'f-rest' } });
    await produce('f-kafka', FITS, 'reject');
    for (const id of ['f-rest', 'f-kafka']) expect((await acceptedWith(id)).data.toString()).toBe(FITS);
  });
});

describe('data that does not', () => {
  it('is refused where the tenant wants that, with each place', async () => {
    const reason = { code: 'schema_violation', path: fault.path, errors: [fault] };
    const answer = await post('reject', 'events', eventOf('b-rest', BAD));
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid', errors: [fault] } });
    expect(await rejectedWith('b-rest')).toMatchObject({ reason, door: 'rest', tenant: 'reject' });

    await produce('b-kafka', BAD, 'reject');
    expect(await rejectedWith('b-kafka')).toMatchObject({ reason, door: 'kafka', tenant: 'reject', value: eventOf('b-kafka', BAD, { tenant: 'reject' }) });
  });

  it('is let in with a warning where the tenant wants that', async () => {
    expect(await post('warn', 'events', eventOf('w-rest', BAD))).toEqual({ status: 202, body: { id: 'w-rest', warnings: [fault] } });
    await produce('w-kafka', BAD, 'warn');
    for (const id of ['w-rest', 'w-kafka']) expect((await acceptedWith(id)).data.toString()).toBe(BAD);
  });

  it('is nobody\'s business where the tenant wants that', async () => {
    expect(await post('off', 'events', eventOf('o-rest', BAD))).toEqual({ status: 202, body: { id: 'o-rest' } });
  });

  it('is told in a batch by its place there', async () => {
    const within = { ...fault, path: `events[1].${fault.path}` };
    expect((await post('warn', 'events/batch', batchOf('bw'))).body).toEqual({ results: [{ id: 'bw-0' }, { id: 'bw-1', warnings: [within] }] });
    expect((await post('reject', 'events/batch', batchOf('br'))).body).toEqual({
      results: [{ id: 'br-0' }, { error: { code: 'schema_violation', message: expect.stringContaining('must be number'), path: within.path, errors: [within] } }],
    });
  });

  it('is what is not JSON at all', async () => {
    const image = { 'content-type': 'image/png', 'ce-id': 'n-1', 'ce-type': 'invoice.paid' };
    expect(await post('reject', 'events', Buffer.from([0, 255]), image)).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'data', message: expect.stringContaining('is not JSON') }] },
    });
    expect((await post('reject', 'events', Buffer.from([0, 255]), { ...image, 'ce-id': 'n-2', 'ce-type': 'picture.taken' })).status).toBe(202);
  });

  it('is counted', async () => {
    const metrics = await (await fetch(`${service.url}/metrics`)).text();
    for (const policy of ['warn', 'reject']) {
      expect(metrics).toMatch(new RegExp(`posthorn_ingestion_schema_violations_total\\{policy="${policy}".*\\} [1-9]`));
    }
  });
});

describe('a type that nobody knows', () => {
  it('is refused where the tenant wants types to be known', async () => {
    const answer = await post('strict', 'events', eventOf('u-rest', '1', { type: 'not.there' }));
    expect(answer).toMatchObject({ status: 422, body: { code: 'invalid', errors: [{ path: 'type' }] } });
    expect(await rejectedWith('u-rest')).toMatchObject({ reason: { code: 'unknown_event_type', path: 'type' } });
    await produce('u-kafka', '1', 'strict', 'not.there');
    expect(await rejectedWith('u-kafka')).toMatchObject({ reason: { code: 'unknown_event_type', path: 'type' }, tenant: 'strict' });
  });

  it('is known from the moment it is in registry.state until its end is', async () => {
    await kafka.createEventType('strict', 'made.now');
    expect((await post('strict', 'events', eventOf('m-rest', '1', { type: 'made.now' }))).status).toBe(202);
    await kafka.createEventType('strict', 'made.then');
    await produce('m-kafka', '1', 'strict', 'made.then');
    await acceptedWith('m-kafka');
    await kafka.publishEnd('event_type', 'strict/made.now');
    // A stranger is refused only after everything published so far has been read.
    await post('strict', 'events', eventOf('m-stranger', '1', { type: 'not.there' }));
    expect((await post('strict', 'events', eventOf('m-late', '1', { type: 'made.now' }))).status).toBe(422);
  });
});

describe('who changes a schema and publishes with its position', () => {
  it('is judged by it, every time', async () => {
    for (let round = 1; round <= 30; round++) {
      const position = 100 + round;
      const name = round % 2 ? 'left' : 'right';
      const headers = { [POSITION]: String(position) };
      await kafka.createEventType('strict', 'changed', { required: [name] }, position);
      const [rest, other] = await Promise.all([
        post('strict', 'events', eventOf(`c-${round}`, `{"${name}":1}`, { type: 'changed' }), headers),
        post('strict', 'events', eventOf(`x-${round}`, '{}', { type: 'changed' }), headers),
        produce(`k-${round}`, `{"${name}":1}`, 'strict', 'changed', headers),
      ]);
      expect([rest.status, other.status, other.body]).toEqual([202, 422, expect.objectContaining({ errors: [expect.objectContaining({ path: `data.${name}` })] })]);
      await acceptedWith(`k-${round}`);
    }
  });

  it('keeps the order of events, also where some wait for what others do not', async () => {
    const count = 200;
    const mine = () => kafka.accepted.all.filter(({ key }) => key === 'one-key').map(({ envelope }) => envelope.id);
    await Promise.all(
      Array.from({ length: count }, (_, n) =>
        kafka.send('events.inbound', `{"id":"${orderedId(n)}","type":"a","tenant":"reject","key":"one-key","data":1}`, {
          partition: 2,
          // Of a position that is never reached: only a reading to the end lets it pass.
          ...(n % 7 === 0 && { headers: { [POSITION]: '999999' } }),
        }),
      ),
    );
    await kafka.accepted.until(() => mine().length === count);
    expect(mine()).toEqual(Array.from({ length: count }, (_, n) => orderedId(n)));
  });
});
