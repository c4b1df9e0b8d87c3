import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { eventually } from '@posthorn/testkit';
import { foldedFrom, storedEvents } from './folded.js';
import { createWorld, idOf, positionOf, stateIn, type Answer, type Service, type World } from './world.js';

const path = '/tenants/default/subscriptions';
const wanted = { name: 'Shared', url: 'https://example.com/in', event_types: ['*'] };

let world: World;
/** Began first, and so leads. */
let leader: Service;
let other: Service;

beforeAll(async () => {
  world = await createWorld();
  leader = await world.boot();
  other = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

const create = async (): Promise<string> => idOf(await leader.call('POST', path, wanted));

/** Of the database: how many relays there are, and the connections of those that lead. */
const relays = async (): Promise<{ readonly count: number; readonly leading: readonly number[] }> => {
  const { rows } = await world.pool.query<{ pid: number; leads: boolean }>(
    `select pid, exists (select from pg_locks where pg_locks.pid = activity.pid and locktype = 'advisory' and granted) as leads
     from pg_stat_activity as activity where datname = current_database() and application_name = 'relay registry'`,
  );
  return { count: rows.length, leading: rows.flatMap(({ pid, leads }) => (leads ? [pid] : [])) };
};

/** That what is in `registry.state` never went back, and says last what the events say. */
const expectStatesInOrder = async (): Promise<void> => {
  const seen = new Map<string, number[]>();
  for (const record of await world.readTopic('registry.state')) {
    if (record.text !== undefined) seen.set(record.key, [...(seen.get(record.key) ?? []), stateIn(record).version]);
  }
  for (const [key, versions] of seen) expect([key, versions]).toEqual([key, versions.toSorted((a, b) => a - b)]);
  const all = foldedFrom(await storedEvents(world.pool));
  expect(new Map([...seen].map(([key, versions]) => [key, versions.at(-1)]))).toEqual(new Map(all.map(({ id, version }) => [id, version])));
};

/** Without a crash at least once is exactly once. */
const expectLoggedOnce = async (): Promise<void> => {
  const logged = (await world.readTopic('registry.log')).map(({ position }) => position);
  expect(logged).toEqual((await storedEvents(world.pool)).map(({ position }) => position));
};

/** Changes made to one of the subscriptions after the other, through one replica, until there is no answer or enough. */
const write = async (service: Service, ids: readonly string[], what: string, isEnough: (n: number) => boolean): Promise<readonly Answer[]> => {
  const answers: Answer[] = [];
  for (let n = 0; !isEnough(n); n++) {
    const answer = await service.call('PATCH', `${path}/${ids[n % ids.length]}`, { description: `${what} ${n}` }).catch(() => undefined);
    if (!answer) break;
    answers.push(answer);
  }
  return answers;
};

/** That every change which was acknowledged is a version of its own, and that there is no other. */
const expectOwnVersions = async (ids: readonly string[], answers: readonly Answer[]): Promise<void> => {
  const events = await storedEvents(world.pool);
  for (const id of ids) {
    const told = answers.filter((answer) => idOf(answer) === id && answer.status === 200).map(({ body }) => Number(body['version']));
    const stored = events.filter(({ stream }) => stream === `subscription/${id}`).map(({ version }) => version);
    expect(stored).toEqual(stored.map((_, index) => index + 1));
    expect(new Set(told).size).toBe(told.length);
    expect(stored).toEqual(expect.arrayContaining(told));
  }
};

it('of two replicas one leads; what is written through both at once is published whole and in order', async () => {
  await eventually(async () => (await relays()).count === 2);
  expect((await relays()).leading).toHaveLength(1);
  const ids = await Promise.all([create(), create(), create()]);
  const writing = [leader, other, leader, other].map((service, n) => write(service, ids, `writer ${n}`, (done) => done === 15));
  const answers = (await Promise.all(writing)).flat();
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  await expectOwnVersions(ids, answers);
  const versions = foldedFrom(await storedEvents(world.pool)).filter(({ id }) => ids.includes(id));
  expect(versions.map(({ version }) => version)).toEqual([21, 21, 21]);
  await expectLoggedOnce();
  await expectStatesInOrder();
}, 30_000);

it('an Idempotency-Key that comes to both at once has its effect once', async () => {
  const requests = Array.from({ length: 20 }, (_, n) =>
    (n % 2 === 0 ? leader : other).call('POST', path, { ...wanted, name: 'Once' }, { 'idempotency-key': 'both' }),
  );
  const answers = await Promise.all(requests);
  expect(new Set(answers.map(({ status, body }) => `${status} ${JSON.stringify(body)}`)).size).toBe(1);
  expect(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null)).toHaveLength(1);
  const { rows } = await world.pool.query(`select id from registry.subscriptions where name = 'Once'`);
  expect(rows).toEqual([{ id: answers[0] && idOf(answers[0]) }]);
});

it('when the leader goes the other takes over, and nothing is lost', async () => {
  const ids = await Promise.all([create(), create()]);
  const before = (await relays()).leading;
  const done = new AbortController();
  const throughLeader = write(leader, ids, 'leader', () => false);
  const throughOther = write(other, ids, 'other', () => done.signal.aborted);
  await eventually(async () => (await storedEvents(world.pool)).filter(({ stream }) => stream === `subscription/${ids[0]}`).length > 10);
  await leader.stop();

  const after = await other.call('POST', path, wanted);
  await eventually(async () => (await world.readTopic('registry.state')).some(({ position }) => position >= positionOf(after)), { timeoutMs: 5_000 });
  done.abort();
  const answers = [...(await throughLeader), ...(await throughOther)];
  const now = await relays();
  expect([now.count, now.leading.length, before.includes(now.leading[0] ?? 0)]).toEqual([1, 1, false]);
  await expectOwnVersions(ids, answers);
  // Whatever was under way is published by then, too.
  const last = await other.call('POST', path, wanted);
  expect((await world.readTopic('registry.state')).some(({ key }) => key === idOf(last))).toBe(true);
  await expectLoggedOnce();
  await expectStatesInOrder();
}, 30_000);
