import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { deliveryId, replayBody, type DryRun, type Envelope, type ReplayView } from '@posthorn/contracts';
import { unframe, type RequestedHead } from '@posthorn/contracts';
import { Client } from 'pg';
import { queryable } from '../src/asking/transactions.js';
import { Sweeping } from '../src/replaying/sweeping.js';
import { Again, byAnn, withKey } from './again.js';
import { accepted, attempted, envelopeOf, outcomeOf, routed } from './records.js';

const FROM = '2026-11-20T00:00:00.000Z';
const TO = '2026-11-22T00:00:00.000Z';

/** From before midnight to after it; three share each moment. */
const events = (count: number): readonly Envelope[] =>
  Array.from({ length: count }, (_, i) =>
    envelopeOf(`e${String(i).padStart(4, '0')}`, new Date(Date.parse('2026-11-20T23:59:00.000Z') + 60_000 * Math.floor(i / 3)).toISOString(), {
      type: i % 2 === 0 ? 'invoice.paid' : 'order.placed',
    }),
  );

// For a machine that does much else.
jest.setTimeout(60_000);

let again: Again;

beforeAll(async () => {
  again = await Again.create();
});
afterAll(() => again.close());

beforeEach(async () => {
  await again.empty();
  await again.restart();
  await again.subscribe('sub_1');
  await again.subscribe('sub_2');
});

const asked = (wish: object) => replayBody.parse({ from: FROM, to: TO, ...wish });
const begin = async (wish: object = {}): Promise<ReplayView> => (await again.replays.request('default', asked(wish), byAnn)).answer as ReplayView; // no dry run
const dryRun = async (wish: object): Promise<DryRun> => (await again.replays.request('default', asked({ ...wish, dry_run: true }), byAnn)).answer as DryRun;
const get = ({ id }: { readonly id: string }) => again.replays.get('default', id);
const counts = ({ status, matched, done, skipped, filtered, disabled, expired }: ReplayView) => ({ status, matched, done, skipped, filtered, disabled, expired });
const NONE = { skipped: 0, filtered: 0, disabled: 0, expired: 0 };

/** Delivered, or as it is said of every third. */
const deliver = async (envelopes: readonly Envelope[], subscription: string, third: 'failed' | 'delivered' | 'retrying' = 'failed'): Promise<void> => {
  await again.load(
    ...envelopes.flatMap((envelope, i) => [
      accepted(envelope, `{"amount":${i}}`),
      routed(envelope, [subscription]),
      attempted(outcomeOf(envelope, subscription, { status: i % 3 === 0 ? third : 'delivered' })),
    ]),
  );
};

/** What the sender was asked for: `event subscription round`, in the order of the records. */
const requested = (): readonly string[] =>
  again.sentTo('deliveries.requested').flatMap(({ value }) => {
    const { event, subscriptions, round } = unframe<RequestedHead>(Buffer.from(value ?? '')).head;
    return subscriptions.map((subscription) => `${event.id} ${subscription} ${round}`);
  });

describe('a replay', () => {
  it('asks for every delivery of a time again, oldest first, and tells how far it is', async () => {
    const all = events(20);
    await deliver(all, 'sub_1');
    const begun = await begin({ to: '2026-11-21T00:05:00Z' });
    expect(begun).toMatchObject({ status: 'running', matched: 0, done: 0, actor: 'key_ann', reached: FROM });
    await again.work();
    const replay = await get(begun);
    expect(counts(replay)).toEqual({ status: 'done', matched: 18, done: 18, ...NONE });
    expect(replay).toMatchObject({ finished_at: expect.any(String), reached: '2026-11-21T00:05:00.000Z' });
    expect(replay.history).toMatchObject([{ type: 'ReplayRequested', actor: 'key_ann' }, { type: 'ReplayFinished', actor: 'delivery-audit' }]);
    const rounds = again.roundsSent();
    expect(rounds).toHaveLength(18);
    expect(new Set(rounds.map(({ round, trigger, replay_id, actor }) => `${round} ${trigger} ${replay_id} ${actor}`))).toEqual(new Set([`1 replay ${begun.id} key_ann`]));
    expect(requested()).toEqual(all.slice(0, 18).map(({ id }) => `${id} sub_1 1`));
  });

  it.each([
    [{ statuses: ['failed'] }, 7],
    [{ statuses: ['failed', 'delivered'] }, 20],
    [{ event_types: ['order.*'] }, 10],
    [{ statuses: ['failed'], event_types: ['invoice.paid'], subscription: 'sub_1' }, 4],
    [{ subscription: 'sub_2' }, 0],
    [{ from: '2026-11-21T00:00:00.000Z' }, 17],
  ])('is about what %j says', async (wish, expected) => {
    await deliver(events(20), 'sub_1');
    const replay = await begin(wish);
    await again.work();
    expect(counts(await get(replay))).toEqual({ status: 'done', matched: expected, done: expected, ...NONE });
    expect(new Set(requested()).size).toBe(expected);
  });

  it('leaves alone what is under way, unless it is forced', async () => {
    await deliver(events(9), 'sub_1', 'retrying');
    const gentle = await begin();
    await again.work();
    expect(counts(await get(gentle))).toEqual({ status: 'done', matched: 9, done: 6, ...NONE, skipped: 3 });
    const again2 = await begin();
    await again.work();
    expect(counts(await get(again2))).toMatchObject({ done: 0, skipped: 9 });
    const forced = await begin({ force: true });
    await again.work();
    expect(counts(await get(forced))).toMatchObject({ done: 9, skipped: 0 });
    expect(await again.database.query('select count(*)::integer from audit.rounds where forced')).toEqual([{ count: 9 }]);
  });

  it('leaves out, and counts, what cannot be sent', async () => {
    await deliver(events(6), 'sub_1');
    await again.load(...events(6).map((envelope) => routed(envelope, ['sub_2', 'sub_gone'])), ...events(6).map((envelope) => attempted(outcomeOf(envelope, 'sub_2'), outcomeOf(envelope, 'sub_gone'))));
    await again.registryHas('sub_2', 'SubscriptionDisabled', { reason: 'by_user' });
    await again.database.query(`delete from audit.events where id = 'e0001'`);
    const replay = await begin();
    await again.work();
    expect(counts(await get(replay))).toEqual({ status: 'done', matched: 18, done: 5, skipped: 0, filtered: 0, disabled: 10, expired: 3 });
  });

  it('sends each event once to another subscription, which is asked whether it wants it', async () => {
    await deliver(events(12), 'sub_1');
    await deliver(events(12), 'sub_2');
    await again.subscribe('sub_new', { event_types: ['invoice.*'], filter: 'data.amount > 4.0' });
    const replay = await begin({ to_subscription: 'sub_new' });
    await again.work();
    expect(counts(await get(replay))).toEqual({ status: 'done', matched: 12, done: 3, ...NONE, filtered: 9 });
    expect(requested()).toEqual(['e0006', 'e0008', 'e0010'].map((id) => `${id} sub_new 1`));
    expect(await again.database.query(`select count(*)::integer, min(round) as least from audit.deliveries where subscription_id = 'sub_new'`)).toEqual([{ count: 3, least: 1 }]);
    const before = await again.database.dump();
    await again.loadSent('deliveries.rounds');
    expect(await again.database.dump()).toEqual(before);
  });

  it('sends events that nobody got to another subscription, and those that failed with others', async () => {
    await again.load(...events(4).map((envelope) => accepted(envelope)));
    const replay = await begin({ to_subscription: 'sub_1' });
    await again.work();
    expect(counts(await get(replay))).toMatchObject({ done: 4 });

    await again.load(...events(4).flatMap((envelope) => [attempted(outcomeOf(envelope, 'sub_1', { round: 1, status: 'failed' }), outcomeOf(envelope, 'sub_2', { status: 'failed' }))]));
    again.sent.length = 0;
    const failed = await begin({ to_subscription: 'sub_1', statuses: ['failed'], subscription: 'sub_2' });
    await again.work();
    expect(counts(await get(failed))).toMatchObject({ matched: 4, done: 4 });
    const both = await begin({ to_subscription: 'sub_2', statuses: ['failed', 'pending', 'delivered'] });
    await again.work();
    expect(counts(await get(both))).toMatchObject({ matched: 4, done: 4 });
    expect(requested()).toEqual([...events(4).map(({ id }) => `${id} sub_1 2`), ...events(4).map(({ id }) => `${id} sub_2 1`)]);
  });

  it('is for a subscription that there is, of this tenant, and enabled', async () => {
    await again.subscribe('sub_theirs', { tenant: 'other' });
    for (const to_subscription of ['sub_theirs', 'sub_nobody']) await expect(begin({ to_subscription })).rejects.toMatchObject({ code: 'invalid', errors: [{ path: 'to_subscription' }] });
    await again.registryHas('sub_2', 'SubscriptionDisabled', { reason: 'gone' });
    await expect(begin({ to_subscription: 'sub_2' })).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/disabled/) });
  });

  it('fails when whom it is for is disabled before its end', async () => {
    await deliver(events(3), 'sub_1');
    const replay = await begin({ to_subscription: 'sub_2' });
    await again.registryHas('sub_2', 'SubscriptionDisabled', { reason: 'failing' });
    await again.work();
    expect(await get(replay)).toMatchObject({ status: 'failed', failure: 'subscription_disabled', done: 0, finished_at: expect.any(String) });
    expect(requested()).toEqual([]);
  });

  it('waits until what was in Kafka when it was asked for is in the tables', async () => {
    again.isLoaded = false;
    const replay = await begin();
    expect(await again.work()).toBe(100);
    await deliver(events(3), 'sub_1');
    again.isLoaded = true;
    again.nowMs += 100;
    await again.work();
    expect(counts(await get(replay))).toMatchObject({ status: 'done', done: 3 });
  });
});

it('makes a page or does not, whichever statement of it the leader dies before', async () => {
  await deliver(events(100), 'sub_1', 'delivered');
  const replay = await begin({ rate: 50 });
  for (let statements = 0; statements < 14; statements++) {
    await again.restart();
    await again.makePage();
    again.nowMs += 100;
    again.dieAfter(statements);
    await again.makePage().catch(() => undefined);
    await again.requestOldest().catch(() => undefined);
  }
  await again.restart();
  const some = await get(replay);
  expect(some.matched).toBeGreaterThan(0);
  expect(some.matched).toBeLessThan(100);
  await again.work();
  while ((await get(replay)).status === 'running') {
    again.nowMs += 1_000;
    await again.work();
  }
  expect(counts(await get(replay))).toEqual({ status: 'done', matched: 100, done: 100, ...NONE });
  expect(new Set(requested()).size).toBe(100);
  expect(await again.database.query('select round, count(*)::integer from audit.rounds group by 1')).toEqual([{ round: 1, count: 100 }]);
});

describe('a replay of many', () => {
  const MANY = 2_600;

  /** As `events` and their deliveries to sub_1 are loaded, in a fraction of the time; the days of the first and the last have partitions then. */
  beforeEach(async () => {
    const all = events(MANY);
    await again.load(...all.filter((_, i) => i === 0 || i === MANY - 1).map((envelope) => accepted(envelope)));
    await again.database.query(
      `with event as (
         select (at at time zone 'UTC')::date as day, * from unnest($1::text[], $2::text[], $3::timestamptz[]) as event (id, type, at)
       ), filled as (
         insert into audit.events (day, tenant, id, type, source, time, accepted_at, data)
         select day, 'default', id, type, '/', '', at, '{}' from event on conflict do nothing
       )
       insert into audit.deliveries (day, id, tenant, event_id, subscription_id, event_type, created_at, round, number, status, updated_at, finished_at, attempts)
       select day, left(encode(sha256('default\\000'::bytea || id::bytea || '\\000sub_1'::bytea), 'hex'), 32)::uuid, 'default', id, 'sub_1', type, at, 0, 1, 'delivered', at, at, 1 from event`,
      [all.map(({ id }) => id), all.map(({ type }) => type), all.map(({ acceptedtime }) => acceptedtime)],
    );
  });

  const everyOnce = async (): Promise<void> => {
    await again.loadSent('deliveries.rounds');
    expect(new Set(requested()).size).toBe(MANY);
    expect(await again.database.query('select round, count(*)::integer from audit.deliveries group by 1')).toEqual([{ round: 1, count: MANY }]);
    expect(await again.database.query('select round, count(*)::integer from audit.rounds group by 1')).toEqual([{ round: 1, count: MANY }]);
  };

  it.each([1, 2])('asks for each once, whoever dies wherever on the way (%d)', async (seed) => {
    const replay = await begin();
    let step = seed;
    const isTime = (): boolean => (step = (step * 48_271) % 2_147_483_647) % 3 === 0;
    for (let deaths = 0; deaths < 12; deaths++) {
      again.beforeSending = () => {
        if (isTime()) throw new Error('killed');
      };
      // What is sent to a leader that is gone is lost; what its connection had begun is undone.
      if (isTime()) setImmediate(() => void again.leader.end());
      await again.requestOldest().catch(() => undefined);
      await again.makePage().catch(() => undefined);
      await again.restart();
    }
    again.beforeSending = () => undefined;
    await again.work();
    expect(counts(await get(replay))).toEqual({ status: 'done', matched: MANY, done: MANY, ...NONE });
    await everyOnce();
  });

  it('goes on a page at a time: paused it asks for nothing more, resumed it goes on where it was', async () => {
    const replay = await begin();
    await again.makePage();
    expect(await get(replay)).toMatchObject({ status: 'running', done: 1_000, reached: events(MANY)[999]?.acceptedtime });
    const paused = await again.replays.change('default', replay.id, 'pause', { ...byAnn, actor: 'key_bob' });
    expect(paused.answer).toMatchObject({ status: 'paused', done: 1_000 });
    await again.work();
    expect(await get(replay)).toMatchObject({ status: 'paused', done: 1_000 });
    await again.replays.change('default', replay.id, 'resume', byAnn);
    await again.work();
    expect(await get(replay)).toMatchObject({ status: 'done', done: MANY, history: [{}, { type: 'ReplayPaused', actor: 'key_bob' }, { type: 'ReplayResumed' }, {}] });
    await everyOnce();
  });

  it('is cancelled while a page is being made: that one stands, and no other follows', async () => {
    const replay = await begin();
    const made = again.makePage();
    const cancelled = again.replays.change('default', replay.id, 'cancel', byAnn);
    await Promise.all([made, cancelled]);
    const { done } = await get(replay);
    await again.work();
    expect(await get(replay)).toMatchObject({ status: 'cancelled', done });
    expect(done).toBeLessThanOrEqual(1_000);
    expect(requested()).toHaveLength(done);
    await expect(again.replays.change('default', replay.id, 'resume', byAnn)).rejects.toMatchObject({ code: 'conflict' });
  });

  it('keeps to its rate, also across a restart', async () => {
    const replay = await begin({ rate: 100 });
    let done = 0;
    for (const ms of [0, 100, 100, 500, 5_000, 1_000]) {
      again.nowMs += ms;
      if (ms === 5_000) await again.restart();
      await again.work();
      const now = (await get(replay)).done;
      expect(now - done).toBeLessThanOrEqual(Math.min(100, ms / 10));
      done = now;
    }
    // After the restart it began anew; in the last second it made up for none of what it had missed.
    expect(done).toBe(10 + 10 + 50 + 0 + 100);
  });

  it('takes turns with others', async () => {
    const [one, other] = [await begin(), await begin({ force: true })];
    await again.makePage();
    await again.makePage();
    expect([(await get(one)).done, (await get(other)).done]).toEqual([1_000, 1_000]);
  });

  it('tells before what it would do, and does nothing', async () => {
    await again.registryHas('sub_1', 'SubscriptionUpdated', { event_types: ['invoice.*'] });
    const before = await again.database.dump();
    const told = await dryRun({ to_subscription: 'sub_1', from: events(MANY)[300]?.acceptedtime });
    expect(told).toMatchObject({ status: 'dry_run', matched: 2_300, done: 1_150, filtered: 1_150, skipped: 0, at_least: false });
    expect(told.sample).toHaveLength(10);
    expect(told.sample[0]).toEqual({
      event_id: 'e0300',
      event_type: 'invoice.paid',
      accepted_at: events(MANY)[300]?.acceptedtime,
      subscription_id: 'sub_1',
      delivery_id: deliveryId('default', 'e0300', 'sub_1'),
    });
    expect(await again.database.dump()).toEqual(before);
    expect((await again.replays.list('default', { page_size: 10 })).data).toEqual([]);
    const done = await begin({ to_subscription: 'sub_1', from: events(MANY)[300]?.acceptedtime });
    await again.work();
    const { matched, done: sent, filtered } = await get(done);
    expect({ matched, done: sent, filtered }).toEqual({ matched: 2_300, done: 1_150, filtered: 1_150 });
  });
});

describe('replays', () => {
  it('are five at a time for a tenant, however many are asked for at once', async () => {
    const begun = await Promise.allSettled(Array.from({ length: 9 }, () => begin()));
    expect(begun.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    await expect(begin()).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/5 replays/) });
    await again.work();
    await begin();
  });

  it('are begun once under a key', async () => {
    const request = () => again.replays.request('default', asked({}), withKey('k'));
    const [one, other] = await Promise.all([request(), request()]);
    expect(one.answer).toEqual(other.answer);
    expect((await again.replays.list('default', { page_size: 10 })).data).toHaveLength(1);
  });

  it('are listed newest first, by status, page by page, to their tenant only', async () => {
    const made: string[] = [];
    for (let i = 0; i < 3; i++) made.unshift((await begin()).id);
    const [newest = '', middle, oldest] = made;
    await again.replays.change('default', newest, 'cancel', byAnn);
    const first = await again.replays.list('default', { page_size: 2 });
    expect(first.data.map(({ id }) => id)).toEqual([newest, middle]);
    const second = await again.replays.list('default', { page_size: 2, page_token: first.next_page_token });
    expect([second.data.map(({ id }) => id), second.next_page_token]).toEqual([[oldest], undefined]);
    expect((await again.replays.list('default', { page_size: 9, status: 'cancelled' })).data.map(({ id }) => id)).toEqual([newest]);
    expect((await again.replays.list('other', { page_size: 9 })).data).toEqual([]);
    await expect(again.replays.get('other', newest)).rejects.toMatchObject({ code: 'not_found' });
    await expect(again.replays.change('other', newest, 'cancel', byAnn)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are not about what is accepted after they were asked for', async () => {
    const { to } = await begin({ from: '2026-11-20T00:00:00Z', to: '2999-01-01T00:00:00Z' });
    expect(Date.parse(to)).toBeLessThanOrEqual(Date.now());
  });

  it('of a page that cannot be made do not hold up the others', async () => {
    const stuck = await begin();
    await deliver(events(3), 'sub_1');
    await again.database.query(`update replays.replays set state = jsonb_set(state, '{wish,to}', '"no time"') where id = $1`, [stuck.id]);
    const other = await begin();
    await again.work();
    expect((await get(other)).status).toBe('done');
    expect((await get(stuck)).status).toBe('running');
  });

  it('are forgotten when what they sent is no longer kept, with their history; so are old answers', async () => {
    const [old, recent] = [await begin(), await begin()];
    await again.work();
    const open = await begin();
    await again.replays.request('default', asked({}), withKey('old'));
    await again.database.query(`update replays.replays set finished_at = now() - interval '31 days' where id = $1`, [old.id]);
    await again.database.query(`update replays.replays set finished_at = now() - interval '29 days' where id = $1`, [recent.id]);
    await again.database.query(`update replays.answers set created_at = now() - interval '25 hours'`);
    const sweeping = new Sweeping({ retentionMsOf: () => 30 * 86_400_000, now: () => Date.now() });
    await sweeping.sweep(queryable(again.leader));
    const left = (await again.replays.list('default', { page_size: 9 })).data.map(({ id }) => id);
    expect(left).toEqual(expect.arrayContaining([recent.id, open.id]));
    expect(left).not.toContain(old.id);
    expect(await again.database.query('select from replays.events where stream = $1', [`replay/${old.id}`])).toEqual([]);
    expect(await again.database.query('select from replays.answers')).toEqual([]);
  });

  it('wake the leader as they are asked for', async () => {
    const heard = new Set<string>();
    const listener = new Client({ connectionString: again.database.url });
    await listener.connect();
    listener.on('notification', ({ channel }) => heard.add(channel));
    await listener.query('listen replays_asked; listen replays_appended');
    await deliver(events(1), 'sub_1');
    await begin();
    await again.work();
    await listener.query('select 1');
    await listener.end();
    expect([...heard].toSorted()).toEqual(['replays_appended', 'replays_asked']);
  });
});
