import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { eventually, Way } from '@posthorn/testkit';
import { Client, Pool } from 'pg';
import { tenantExists, whileNothingIsMadeBeneath } from '../src/tenants/tenant-exists.js';
import { createWorld, idOf, type Service, type World } from './world.js';

const wanted = { name: 'Billing', url: 'https://example.com/in', event_types: ['*'] };

let world: World;
let service: Service;
/** Holds up the registry where a test wants it: by locks that its statements wait for. */
let holder: Client;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

beforeEach(async () => {
  holder = new Client(world.databaseUrl);
  await holder.connect();
  await holder.query('begin');
});
afterEach(() => holder.end());

/** Resolves when so many statements of the registry wait for a lock of this type. */
const waitingFor = (locktype: string, count = 1): Promise<unknown> =>
  eventually(async () => {
    const { rows } = await world.pool.query<{ count: number }>(
      `select count(*)::integer as count from pg_locks where not granted and locktype = $1
       and pid in (select pid from pg_stat_activity where datname = current_database())`,
      [locktype],
    );
    return rows[0]?.count === count;
  });

const beneath = async (tenant: string): Promise<number> => {
  const { rowCount } = await world.pool.query('select from registry.subscriptions where tenant = $1', [tenant]);
  return rowCount ?? 0;
};

describe('while a tenant is being deleted', () => {
  it('nothing is made beneath it', async () => {
    await service.call('POST', '/tenants', { id: 'going' });
    // The deletion looks for what is beneath the tenant, and waits there.
    await holder.query('lock table registry.event_types in access exclusive mode');
    const deletion = service.call('DELETE', '/tenants/going');
    await waitingFor('relation');
    const refused = await Promise.all([
      service.call('POST', '/tenants/going/subscriptions', wanted),
      service.call('POST', '/api-keys', { name: 'K', scopes: ['registry:read'], tenant: 'going' }),
    ]);
    expect(refused.map(({ status, body }) => [status, body['code']])).toEqual([[409, 'conflict'], [409, 'conflict']]);
    // Another tenant is not held up.
    await expect(service.call('POST', '/tenants/default/subscriptions', wanted)).resolves.toMatchObject({ status: 201 });
    await holder.query('rollback');
    await expect(deletion).resolves.toMatchObject({ status: 204 });
    expect(await beneath('going')).toBe(0);
  });

  it('what was begun before is waited for, and goes with it', async () => {
    await service.call('POST', '/tenants', { id: 'gone' });
    // The creation has asked whether the tenant is there, and waits for a row of which it is not known whether it will be.
    await holder.query(`insert into registry.idempotency (actor, key, fingerprint, answer, created_at) values ('admin', 'held', '', '{}', now())`);
    const creation = service.call('POST', '/tenants/gone/subscriptions', wanted, { 'idempotency-key': 'held' });
    await waitingFor('transactionid');
    const deletion = service.call('DELETE', '/tenants/gone');
    await waitingFor('advisory');
    await holder.query('rollback');
    const created = await creation;
    expect(created.status).toBe(201);
    await expect(deletion).resolves.toMatchObject({ status: 204 });
    expect(await beneath('gone')).toBe(0);
    await expect(service.call('GET', `/tenants/gone/subscriptions/${idOf(created)}`)).resolves.toMatchObject({ status: 404 });
  });
});

it('a deletion that was cut off half way keeps the tenant, which takes writes again and can be deleted', async () => {
  await service.call('POST', '/tenants', { id: 'halfway' });
  await service.call('POST', '/tenants/halfway/subscriptions', wanted);
  await holder.query('lock table registry.event_types in access exclusive mode');
  const deletion = service.call('DELETE', '/tenants/halfway');
  await waitingFor('relation');
  // First the connection that only keeps the deletion's lock and has nothing to ask, then the one that waits.
  const connections = `pg_stat_activity where datname = current_database() and application_name = 'posthorn registry writes'`;
  await world.pool.query(`select pg_terminate_backend(pid, 5000) from ${connections} and state = 'idle'`);
  await expect(service.call('GET', '/tenants/halfway')).resolves.toMatchObject({ status: 200 });
  await world.pool.query(`select pg_terminate_backend(pid, 5000) from ${connections}`);
  await expect(deletion).resolves.toMatchObject({ status: 503, body: { code: 'unavailable' } });
  await holder.query('rollback');
  await expect(service.call('GET', '/tenants/halfway')).resolves.toMatchObject({ status: 200 });
  await expect(service.call('POST', '/tenants/halfway/subscriptions', wanted)).resolves.toMatchObject({ status: 201 });
  await expect(service.call('DELETE', '/tenants/halfway')).resolves.toMatchObject({ status: 204 });
  expect(await beneath('halfway')).toBe(0);
});

it('a deletion keeps others out for as long as it takes, and for half a minute when its process is frozen', async () => {
  await service.call('POST', '/tenants', { id: 'held' });
  const { hostname, port } = new URL(world.databaseUrl);
  const way = new Way({ host: hostname, port: Number(port) });
  const connectionString = Object.assign(new URL(world.databaseUrl), { host: `127.0.0.1:${await way.open()}` }).href;
  const pool = new Pool({ connectionString, application_name: 'deletion under test' });
  pool.on('error', () => undefined);
  const { promise: held, resolve: release } = Promise.withResolvers<void>();
  const deletion = whileNothingIsMadeBeneath(pool, 'held', () => held, { silenceMs: 500, signOfLifeMs: 100 }).catch((error: unknown) => error);
  /** Since it began, and said something last; undefined when its session has ended. */
  const spokenForMs = async (): Promise<number | undefined> => {
    const { rows } = await world.pool.query<{ ms: number }>(
      `select extract(epoch from state_change - backend_start)::float * 1000 as ms from pg_stat_activity where application_name = 'deletion under test'`,
    );
    return rows[0]?.ms;
  };
  await eventually(async () => ((await spokenForMs()) ?? 0) > 1_500);
  const guard = tenantExists('held');
  await expect(guard(holder)).rejects.toMatchObject({ code: 'conflict' });
  way.stop();
  await eventually(() => guard(holder).then(() => true, () => false));
  release();
  await way.cut();
  expect(await deletion).toBeInstanceOf(Error);
  await pool.end();
}, 30_000);
