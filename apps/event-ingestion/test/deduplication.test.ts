import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { API_KEY, databaseOf, openKafka, type Service, startService } from './support.js';

jest.setTimeout(120_000);

const prefix = `t${randomBytes(6).toString('hex')}`;

let kafka: Awaited<ReturnType<typeof openKafka>>;
let services: Service[];

beforeAll(async () => {
  kafka = await openKafka(prefix);
  await kafka.createTenant('default');
  services = await Promise.all([startService(prefix), startService(prefix)]);
});

afterAll(async () => {
  await Promise.all((services ?? []).map((service) => service.stop('SIGTERM')));
  await kafka?.close();
});

type Answer = { readonly status: number; readonly retryAfter: string | null; readonly body: unknown };

const post = async (service: Service, path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> => {
  const response = await fetch(`${service.url}/v1/tenants/default/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json', ...headers },
    body,
  });
  return { status: response.status, retryAfter: response.headers.get('retry-after'), body: await response.json() };
};

/** As a client must that wants its event in: again, wherever somebody listens, until there is a 202. */
const insist = async (body: string, choose: () => Service | undefined): Promise<Answer> =>
  eventually(
    async () => {
      const service = choose();
      const answer = service && (await post(service, 'events', body));
      return answer?.status === 202 ? answer : undefined;
    },
    { timeoutMs: 60_000, everyMs: 50, describe: body },
  );

const service = (n: number): Service => {
  const [first] = services;
  const found = services[n % services.length] ?? first;
  if (!found) throw new Error('no service');
  return found;
};

const eventOf = (id: string, more: object = {}) => JSON.stringify({ id, type: 'd', data: id, ...more });
const accepted = (start: string) => kafka.accepted.all.filter(({ envelope }) => envelope.id.startsWith(start));
const numbered = (start: string, count: number) => Array.from({ length: count }, (_, n) => `${start}${n}`);

/** Whatever was sent before is through the Kafka door: every partition has let through something that was sent after it. */
const passed = async (name: string): Promise<void> => {
  const partitions = await kafka.kafka.partitions(kafka.kafka.topic('events.inbound'));
  const marks = numbered(`${name}-passed-`, partitions);
  await Promise.all(marks.map((id, partition) => kafka.send('events.inbound', eventOf(id), { partition })));
  await kafka.accepted.until(() => new Set(accepted(`${name}-passed-`).map(({ envelope }) => envelope.id)).size === partitions);
};

describe('two replicas', () => {
  it('let the same ids in once, though all come to both doors of both at the same time, and answer alike', async () => {
    const ids = numbered('race-', 300);
    const batch = `{"events":[${ids.map((id) => eventOf(id)).join(',')}]}`;
    const answers = await Promise.all([
      post(service(0), 'events/batch', batch),
      post(service(1), 'events/batch', batch),
      ...ids.map((id, n) => post(service(n), 'events', eventOf(id))),
      ...ids.map((id) => kafka.send('events.inbound', eventOf(id))),
      ...ids.map((id) => kafka.send('events.inbound', eventOf(id))),
    ]);
    const results = ids.map((id) => ({ id }));
    expect(answers.slice(0, 2)).toMatchObject([{ status: 202, body: { results } }, { status: 202, body: { results } }]);
    expect(answers.slice(2, 2 + ids.length)).toMatchObject(ids.map((id) => ({ status: 202, body: { id } })));
    await passed('race');
    expect(accepted('race-').map(({ envelope }) => envelope.id).filter((id) => !id.includes('passed')).sort()).toEqual([...ids].sort());
    const metrics = await Promise.all(services.map(async ({ url }) => (await fetch(`${url}/metrics`)).text()));
    const duplicates = metrics.flatMap((text) => [...text.matchAll(/posthorn_ingestion_events_total\{[^}]*outcome="duplicate"[^}]*\} (\d+)/g)].map(([, count]) => Number(count)));
    expect(duplicates.reduce((sum, count) => sum + count, 0)).toBe(4 * ids.length);
  });

  it('tell the ids of one tenant from those of another', async () => {
    await kafka.createTenant('other');
    const id = 'same-id';
    await insist(eventOf(id), () => service(0));
    await kafka.send('events.inbound', eventOf(id, { tenant: 'other' }));
    await kafka.accepted.until(() => accepted(id).length === 2);
    expect(accepted(id).map(({ envelope }) => envelope.tenant).sort()).toEqual(['default', 'other']);
  });
});

const nameless = (data: string) => JSON.stringify({ type: 'keyed', data });
const keyed = (data: string) => kafka.accepted.all.filter(({ envelope, data: found }) => envelope.type === 'keyed' && found.toString() === JSON.stringify(data));

describe('an Idempotency-Key', () => {
  it('lets what has no id of its own in once, at whichever replica, however often at the same time', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => post(service(n), 'events', nameless('one'), { 'idempotency-key': 'k-1' })));
    const [first] = answers;
    expect(first).toMatchObject({ status: 202, body: { id: expect.stringMatching(/^evt_/) } });
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
    expect(await post(service(1), 'events', nameless('one'), { 'idempotency-key': 'k-1' })).toEqual(first);
    expect(keyed('one').length).toBe(1);
    expect(await post(service(1), 'events', nameless('one'), { 'idempotency-key': 'k-2' })).not.toEqual(first);
  });

  it('holds for each of a batch', async () => {
    const batch = `{"events":[${nameless('b-1')},{"data":"no type"},${nameless('b-2')}]}`;
    const answers = await Promise.all([0, 1, 0].map((n) => post(service(n), 'events/batch', batch, { 'idempotency-key': 'k-batch' })));
    expect(answers[0]).toMatchObject({ status: 202, body: { results: [{ id: expect.any(String) }, { error: { code: 'invalid' } }, { id: expect.any(String) }] } });
    expect(answers[1]).toEqual(answers[0]);
    expect(answers[2]).toEqual(answers[0]);
    expect([keyed('b-1').length, keyed('b-2').length]).toEqual([1, 1]);
  });

  it('is refused for another request, every time, and the first one is still answered', async () => {
    const headers = { 'idempotency-key': 'k-conflict' };
    const first = await post(service(0), 'events', nameless('first'), headers);
    for (const n of [0, 1, 0]) {
      expect(await post(service(n), 'events', nameless('second'), headers)).toMatchObject({ status: 409, body: { code: 'idempotency_conflict' } });
    }
    expect(await post(service(1), 'events/batch', `{"events":[${nameless('first')}]}`, headers)).toMatchObject({ status: 409 });
    expect(await post(service(1), 'events', nameless('first'), headers)).toEqual(first);
    expect(keyed('second')).toEqual([]);
  });

  it('that cannot be one is told so', async () => {
    expect(await post(service(0), 'events', nameless('x'), { 'idempotency-key': 'x'.repeat(256) })).toMatchObject({ status: 400, body: { code: 'malformed' } });
  });
});

describe('a process that is killed', () => {
  it('leaves every 202 and every committed record in events.accepted exactly once, and its keys in order', async () => {
    const rounds = 4;
    const perRound = 400;
    const alive = new Set([0, 1]);
    const someone = () => {
      const [first] = [...alive].sort(() => Math.random() - 0.5);
      return first === undefined ? undefined : service(first);
    };
    for (let round = 0; round < rounds; round++) {
      const ids = numbered(`kill-${round}-rest-`, perRound);
      const inbound = numbered(`kill-${round}-kafka-`, perRound);
      const victim = round % 2;
      const clients = ids.map((id) => insist(eventOf(id), someone));
      const records = inbound.map((id, n) => kafka.send('events.inbound', eventOf(id, { key: `key-${n % 7}`, data: n }), { key: `key-${n % 7}` }));
      const nameless = Array.from({ length: perRound }, (_, n) => kafka.send('events.inbound', `{"type":"nameless","data":"${round}-${n}"}`));
      // Somewhere in the middle, another place each time.
      const enough = Math.floor(Math.random() * perRound);
      await kafka.accepted.until(() => accepted(`kill-${round}-`).length > enough);
      alive.delete(victim);
      await service(victim).stop('SIGKILL');
      await Promise.all([...records, ...nameless]);
      services[victim] = await startService(prefix);
      alive.add(victim);
      await Promise.all(clients);
      // Again, after all of that.
      await Promise.all(ids.map((id) => insist(eventOf(id), someone)));
      await Promise.all(inbound.map((id, n) => kafka.send('events.inbound', eventOf(id, { key: `key-${n % 7}` }), { key: `key-${n % 7}` })));
    }
    await passed('kill');
    const found = accepted('kill-').map(({ envelope }) => envelope.id).filter((id) => !id.includes('passed'));
    const expected = Array.from({ length: rounds }, (_, round) => [...numbered(`kill-${round}-rest-`, perRound), ...numbered(`kill-${round}-kafka-`, perRound)]).flat();
    expect(found.length - new Set(found).size).toBe(0);
    expect(found.sort()).toEqual(expected.sort());
    const nameless = kafka.accepted.all.filter(({ envelope }) => envelope.type === 'nameless').map(({ data }) => data.toString());
    expect([nameless.length, new Set(nameless).size]).toEqual([rounds * perRound, rounds * perRound]);
    for (let round = 0; round < rounds; round++) {
      for (let key = 0; key < 7; key++) {
        const numbers = accepted(`kill-${round}-kafka-`).filter(({ envelope }) => envelope.partitionkey === `key-${key}`).map(({ data }) => Number(data));
        expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      }
    }
    const session = new Client({ connectionString: databaseOf(prefix) });
    await session.connect();
    await eventually(async () => (await session.query('select from ingestion.claims')).rowCount === 0, { describe: 'every claim to be closed' });
    await session.end();
  });
});

const onServer = async (sql: string): Promise<void> => {
  const client = new Client({ connectionString: process.env['POSTHORN_DATABASE_URL'] });
  await client.connect();
  await client.query(sql);
  await client.end();
};

describe('PostgreSQL', () => {
  it('away for longer than an owner lives: REST says so, records wait, nothing is lost and nothing comes twice', async () => {
    const ids = numbered('away-', 200);
    await Promise.all(ids.slice(0, 100).map((id, n) => insist(eventOf(id), () => service(n))));
    await onServer(`alter database ${prefix} allow_connections false`);
    await onServer(`select pg_terminate_backend(pid) from pg_stat_activity where datname = '${prefix}'`);
    const inbound = ids.map((id) => kafka.send('events.inbound', eventOf(id)));
    const refused = await Promise.all(ids.slice(100, 150).map((id, n) => post(service(n), 'events', eventOf(id))));
    expect(new Set(refused.map(({ status, retryAfter }) => `${status} ${retryAfter}`))).toEqual(new Set(['503 1']));
    expect((await fetch(`${service(0).url}/readyz`)).status).toBe(503);
    const awaySince = performance.now();
    await eventually(() => performance.now() - awaySince > 6_000, { timeoutMs: 10_000 });
    await onServer(`alter database ${prefix} allow_connections true`);
    await Promise.all(ids.map((id, n) => insist(eventOf(id), () => service(n))));
    await Promise.all(inbound);
    await passed('away');
    expect(accepted('away-').map(({ envelope }) => envelope.id).filter((id) => !id.includes('passed')).sort()).toEqual([...ids].sort());
    await eventually(async () => (await fetch(`${service(0).url}/readyz`)).status === 200);
  });
});
