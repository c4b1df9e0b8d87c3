import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { idOf, createWorld, positionOf, type Answer, type Service, type World } from './world.js';

const subscriptions = '/tenants/default/subscriptions';
const wanted = { name: 'Once', url: 'https://example.com/in', event_types: ['*'] };

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

const post = (path: string, key: string, body?: unknown): Promise<Answer> => service.call('POST', path, body, { 'idempotency-key': key });
const countOf = async (name: string): Promise<number> => {
  const { rows } = await world.pool.query('select count(*)::int as count from registry.subscriptions where name = $1', [name]);
  return rows[0].count;
};

describe('a request with an idempotency key', () => {
  it('is answered as it was the first time, secret and all', async () => {
    const first = await post(subscriptions, 'same', wanted);
    const again = await post(subscriptions, 'same', wanted);
    expect(first.headers.get('idempotency-replayed')).toBeNull();
    expect(again.headers.get('idempotency-replayed')).toBe('true');
    expect(again).toMatchObject({ status: 201, body: first.body });
    expect(again.headers.get('etag')).toBe('"1"');
    expect(positionOf(again)).toBe(positionOf(first));
    expect(await countOf('Once')).toBe(1);
  });

  it('is refused when the key came with something else', async () => {
    await post(subscriptions, 'other', wanted);
    const refusals = [
      await post(subscriptions, 'other', { ...wanted, name: 'Twice' }),
      await post('/tenants', 'other', { id: 'other' }),
    ];
    for (const refusal of refusals) expect(refusal).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } });
    expect(await countOf('Twice')).toBe(0);
  });

  it('is carried out once when it is made twenty times at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(subscriptions, 'crowd', { ...wanted, name: 'Crowd' })));
    expect(new Set(answers.map(idOf)).size).toBe(1);
    expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1);
    expect(await countOf('Crowd')).toBe(1);
  });

  it('is not remembered when it was refused', async () => {
    await expect(post(subscriptions, 'mended', { ...wanted, url: 'http://example.com' })).resolves.toMatchObject({ status: 422 });
    await expect(post(subscriptions, 'mended', wanted)).resolves.toMatchObject({ status: 201 });
  });

  it('is remembered also when it changed nothing', async () => {
    const path = `${subscriptions}/${idOf(await post(subscriptions, 'still', wanted))}`;
    const enabled = await post(`${path}/enable`, 'nothing');
    expect(enabled).toMatchObject({ status: 200, body: { enabled: true, version: 1 } });
    await service.call('POST', `${path}/disable`);
    await expect(post(`${path}/enable`, 'nothing')).resolves.toMatchObject({ status: 200, body: enabled.body });
    await expect(service.call('GET', path)).resolves.toMatchObject({ body: { enabled: false } });
  });

  it('is new again after a day', async () => {
    const first = await post(subscriptions, 'old', wanted);
    await world.pool.query(`update registry.idempotency set created_at = now() - interval '25 hours' where key = 'old'`);
    const next = await post(subscriptions, 'old', wanted);
    expect(next).toMatchObject({ status: 201 });
    expect(idOf(next)).not.toBe(idOf(first));
  });

  it('is forgotten after a day by whoever remembers the next one, and not before', async () => {
    // More than are removed at once.
    await world.pool.query(
      `insert into registry.idempotency (actor, key, fingerprint, answer, created_at)
       select 'admin', 'aged ' || n, '', '{}', now() - case when n <= 2500 then interval '24 hours 1 second' else interval '23 hours 59 minutes' end
       from generate_series(1, 2510) as n`,
    );
    const remembered = async (): Promise<number> => {
      const { rows } = await world.pool.query<{ count: number }>(`select count(*)::int as count from registry.idempotency where key like 'aged %'`);
      return rows[0]?.count ?? 0;
    };
    // One that has not looked for old ones within the last minute.
    const fresh = await world.boot();
    await expect(fresh.call('POST', subscriptions, wanted, { 'idempotency-key': 'young' })).resolves.toMatchObject({ status: 201 });
    await eventually(async () => (await remembered()) === 10);
    await fresh.stop();
  });

  it.each([['', 400], ['x'.repeat(256), 400], ['x'.repeat(255), 201]])('has a key of 1 to 255 characters: %#', async (key, status) => {
    await expect(post(subscriptions, key, wanted)).resolves.toMatchObject({ status });
  });

  it('leaves no secret readable in the database', async () => {
    const created = await post(subscriptions, 'sealed', wanted);
    const { rows } = await world.pool.query(`select answer from registry.idempotency where key = 'sealed'`);
    expect(rows).toHaveLength(1);
    expect(JSON.stringify(rows)).not.toContain(String(created.body['secret']).slice('whsec_'.length));
  });
});
