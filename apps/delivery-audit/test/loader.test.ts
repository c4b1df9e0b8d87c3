import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { deliveryId, eventLimits, type Envelope } from '@posthorn/contracts';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { storedDeliveryId } from '../src/delivery-id.js';
import { unpackExchange } from '../src/exchange.js';
import { columns } from '../src/loading/columns.js';
import { foldRows } from '../src/loading/fold.js';
import { Loader } from '../src/loading/loader.js';
import { rowsOfAccepted, rowsOfAttempted, rowsOfCancelled, rowsOfDuplicated, rowsOfRejected, rowsOfRounds, rowsOfRouted } from '../src/loading/records.js';
import { rowsOfRegistryLog } from '../src/loading/registry-log.js';
import type { Rows } from '../src/loading/rows.js';
import { eventsQuery, listEvents } from '../src/query/events.js';
import { createDatabase, type TestDatabase } from './database.js';
import { Observed } from './plans.js';
import {
  accepted,
  askedRound,
  attempted,
  cancelled,
  duplicated,
  envelopeOf,
  outcomeOf,
  postponed,
  registryEvent,
  rejected,
  rejectionOf,
  routed,
  type TestRecord,
} from './records.js';

const DAY = '2026-11-20';
const nothing = Object.fromEntries(Object.keys(columns).map((table) => [table, 0]));
const at = (time: string): string => `${DAY}T${time}Z`;

const rowsOf = ({ topic, value }: TestRecord): Rows => {
  if (topic === 'events.accepted') return rowsOfAccepted(value);
  if (topic === 'events.rejected') return rowsOfRejected(value);
  if (topic === 'deliveries.cancelled') return rowsOfCancelled(value);
  if (topic === 'deliveries.rounds') return rowsOfRounds(value);
  if (topic === 'events.duplicated') return rowsOfDuplicated(value);
  if (topic === 'registry.log') return rowsOfRegistryLog(value);
  return topic === 'deliveries.routed' ? rowsOfRouted(value) : rowsOfAttempted(value);
};

let database: TestDatabase;
let loader: Loader;

const load = (...records: readonly TestRecord[]) => loader.load(foldRows(records.map(rowsOf)));
const delivery = async () => (await database.query('select status, attempts, round, number from audit.deliveries'))[0];

const idOf = ({ tenant, id }: Envelope): string => storedDeliveryId(deliveryId(tenant, id, 'sub_1')) ?? '';

const connected = async (): Promise<Client> => {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  return client;
};

/** Begins a transaction that has the delivery to itself. */
const holds = async (client: Client, id: string): Promise<void> => {
  await client.query('begin');
  await client.query('select 1 from audit.deliveries where id = $1 for update', [id]);
};

/** When so many wait for what others hold. */
const waiting = (count: number) =>
  eventually(async () => {
    const [row] = await database.query<{ count: number }>(
      `select count(*)::integer as count from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
    );
    return row?.count === count;
  });

beforeAll(async () => {
  database = await createDatabase();
  loader = new Loader(database.url);
});

afterEach(() => database.empty());

afterAll(async () => {
  await loader.close();
  await database.drop();
});

describe('loading', () => {
  const envelope = envelopeOf('e1', at('12:00:00.000'));

  it('writes an event, its delivery and its attempt', async () => {
    const written = await load(accepted(envelope), routed(envelope, ['sub_1']), attempted(outcomeOf(envelope, 'sub_1')));
    expect(written).toEqual({ ...nothing, events: 1, decisions: 1, deliveries: 1, attempts: 1 });
    expect(await delivery()).toEqual({ status: 'delivered', attempts: 1, round: 0, number: 1 });
  });

  it('writes nothing the second time', async () => {
    const records = [accepted(envelope), routed(envelope, ['sub_1']), attempted(outcomeOf(envelope, 'sub_1'))];
    await load(...records);
    const before = await database.dump();
    expect(await load(...records)).toEqual(nothing);
    expect(await database.dump()).toEqual(before);
  });

  it('does not take a delivery back when its routing decision comes last', async () => {
    await load(attempted(outcomeOf(envelope, 'sub_1')));
    await load(routed(envelope, ['sub_1']));
    expect(await delivery()).toMatchObject({ status: 'delivered', attempts: 1 });
  });

  it('keeps the near matches and the position of a decision, and of two about one event what was seen last, in either order', async () => {
    const near = [{ subscription: 'sub_2', why: 'filter_false' as const }];
    const first = routed(envelope, [], { position: 9, near: [{ subscription: 'sub_1', why: 'disabled' }], near_more: 4 });
    const last = routed(envelope, ['sub_1'], { position: 10, near });
    for (const order of [[first, last], [last, first]]) {
      await database.empty();
      for (const record of order) await load(record);
      expect(await database.query('select tenant, event_id, position, near, near_more from audit.decisions')).toEqual([
        { tenant: 'default', event_id: 'e1', position: '10', near, near_more: 0 },
      ]);
      expect(await delivery()).toMatchObject({ status: 'pending' });
    }
  });

  it('puts a decision together that came in parts, in any order and some of them twice', async () => {
    const near = [{ subscription: 'sub_9', why: 'disabled' as const }];
    const parts = [1, 2, 3].map((number) => routed(envelope, [`sub_${number}a`, `sub_${number}b`], { part: { number, of: 3 }, ...(number === 1 && { near }) }));
    const [one, two, three] = parts as [TestRecord, TestRecord, TestRecord]; // As many as were mapped.
    await load(three, two);
    await load(two, one, three);
    expect(await database.query('select subscription_id from audit.deliveries order by 1')).toEqual(
      ['sub_1a', 'sub_1b', 'sub_2a', 'sub_2b', 'sub_3a', 'sub_3b'].map((subscription_id) => ({ subscription_id })),
    );
    expect(await database.query('select near from audit.decisions')).toEqual([{ near }]);
  });

  it('counts a late attempt, though it no longer decides', async () => {
    await load(attempted(outcomeOf(envelope, 'sub_1', { number: 2, trigger: 'retry' })));
    await load(attempted(outcomeOf(envelope, 'sub_1', { status: 'retrying' })));
    expect(await delivery()).toEqual({ status: 'delivered', attempts: 2, round: 0, number: 2 });
  });

  it('counts no attempt for a cancellation that came before a request', async () => {
    await load(attempted(outcomeOf(envelope, 'sub_1', { status: 'cancelled', attempt: undefined, reason: 'the subscription is gone' })));
    expect(await delivery()).toMatchObject({ status: 'cancelled', attempts: 0 });
  });

  it.each([
    ['the repetition', 'retrying', 'delivered'],
    ['the first', 'delivered', 'retrying'],
  ] as const)('shows the success of a request that was repeated after a crash, if it was %s, whichever is read first', async (_, one, two) => {
    const first = attempted(outcomeOf(envelope, 'sub_1', { status: one }));
    const repetition = attempted(outcomeOf(envelope, 'sub_1', { status: two, at: at('12:00:09.000') }));
    await load(first);
    await load(repetition);
    const oneWay = await database.dump();
    await database.empty();
    await load(repetition);
    await load(first);
    expect(await database.dump()).toEqual(oneWay);
    expect(await delivery()).toMatchObject({ status: 'delivered', attempts: 1 });
    expect(await database.query('select status from audit.attempts')).toEqual([{ status: 'delivered' }]);
  });

  it.each([
    ['before', 'retrying', 'cancelled'],
    ['after', 'delivered', 'delivered'],
  ] as const)('ends a delivery that was called off %s its request got through', async (_, outcome, status) => {
    const records = [attempted(outcomeOf(envelope, 'sub_1', { number: 2, status: outcome, at: at('12:00:05.000') })), cancelled(envelope, 'sub_1', 0, at('12:00:03.000'))];
    for (const order of [records, records.toReversed()]) {
      await database.empty();
      for (const record of order) await load(record);
      expect(await delivery()).toMatchObject({ status, attempts: 1, round: 0 });
      expect(await database.query('select round, tenant, actor, at from audit.cancellations')).toEqual([
        { round: 0, tenant: 'default', actor: 'key_1', at: new Date(at('12:00:03.000')) },
      ]);
    }
  });

  it('makes a delivery pending again by a round that was asked for, and ends it by that round alone', async () => {
    await load(attempted(outcomeOf(envelope, 'sub_1')), askedRound(envelope, 'sub_1', 1, at('13:00:00.000'), { replay_id: 'rpl_1', trigger: 'replay' }));
    expect(await delivery()).toEqual({ status: 'pending', attempts: 1, round: 1, number: 0 });
    await load(attempted(outcomeOf(envelope, 'sub_1', { number: 2, status: 'failed' })));
    expect(await delivery()).toMatchObject({ status: 'pending', attempts: 2 });
    await load(attempted(outcomeOf(envelope, 'sub_1', { round: 1, trigger: 'replay', subscription_version: 7 })));
    expect(await delivery()).toEqual({ status: 'delivered', attempts: 3, round: 1, number: 1 });
    expect(await database.query('select round, trigger, actor, replay_id, forced from audit.rounds')).toEqual([
      { round: 1, trigger: 'replay', actor: 'key_1', replay_id: 'rpl_1', forced: false },
    ]);
    expect(await database.query('select round, subscription_version from audit.attempts order by round, number')).toEqual([
      { round: 0, subscription_version: null },
      { round: 0, subscription_version: null },
      { round: 1, subscription_version: 7 },
    ]);
  });

  it('keeps what a delivery waits for beside what became of it', async () => {
    await load(postponed(envelope, 'sub_1', at('12:00:01.000'), { number: 2, until: at('12:05:00.000') }), routed(envelope, ['sub_1']));
    await load(attempted(outcomeOf(envelope, 'sub_1', { status: 'retrying' })));
    await load(postponed(envelope, 'sub_1', at('12:00:00.000')));
    expect(await database.query('select number, waiting_round, waiting_number, waiting_until, waiting_cause, waiting_behind from audit.deliveries')).toEqual([
      { number: 1, waiting_round: 0, waiting_number: 2, waiting_until: new Date(at('12:05:00.000')), waiting_cause: 'rate_limit', waiting_behind: null },
    ]);
  });

  it('keeps events of both sides of midnight in a partition each', async () => {
    await load(accepted(envelopeOf('late', '2026-11-20T23:59:59.999Z')), accepted(envelopeOf('early', '2026-11-21T00:00:00.000Z')));
    expect(await database.query('select tableoid::regclass::text as partition, id from audit.events order by 1')).toEqual([
      { partition: 'audit.events_20261120', id: 'late' },
      { partition: 'audit.events_20261121', id: 'early' },
    ]);
  });

  it('makes a partition again that was dropped meanwhile', async () => {
    await load(accepted(envelope));
    await database.query('drop table audit.events_20261120');
    await expect(load(accepted(envelope))).rejects.toMatchObject({ code: '23514' });
    expect(await load(accepted(envelope))).toMatchObject({ events: 1 });
  });

  it('takes no row for new that is known: the rest of its batch is written all the same, once', async () => {
    const other = envelopeOf('e2', at('12:00:00.000'));
    const first = new Loader(database.url);
    await first.load(foldRows([routed(other, ['sub_1', 'sub_2']), attempted(outcomeOf(envelope, 'sub_1'))].map(rowsOf)));
    await first.close();
    // Of the attempts and of the deliveries one is new, and this loader has seen none.
    const fresh = new Loader(database.url);
    const written = await fresh.load(foldRows([attempted(outcomeOf(envelope, 'sub_1'), outcomeOf(other, 'sub_1')), routed(envelope, ['sub_2'])].map(rowsOf)));
    await fresh.close();
    expect(written).toMatchObject({ attempts: 1, deliveries: 2 });
    expect(await database.query('select event_id, subscription_id, status, attempts from audit.deliveries order by 1, 2')).toEqual([
      { event_id: 'e1', subscription_id: 'sub_1', status: 'delivered', attempts: 1 },
      { event_id: 'e1', subscription_id: 'sub_2', status: 'pending', attempts: 0 },
      { event_id: 'e2', subscription_id: 'sub_1', status: 'delivered', attempts: 1 },
      { event_id: 'e2', subscription_id: 'sub_2', status: 'pending', attempts: 0 },
    ]);
  });

  it('lets two replicas make the same new day and write the same rows at once', async () => {
    const other = new Loader(database.url);
    const events = Array.from({ length: 500 }, (_, i) => envelopeOf(`e${i}`, '2026-12-24T12:00:00.000Z'));
    const records = events.flatMap((one) => [accepted(one), routed(one, ['sub_1']), attempted(outcomeOf(one, 'sub_1'))]);
    const written = await Promise.all([load(...records), other.load(foldRows(records.toReversed().map(rowsOf)))]);
    await other.close();
    expect(written[0].attempts + written[1].attempts).toBe(500);
    expect(await database.query('select attempts, count(*)::integer from audit.deliveries group by 1')).toEqual([{ attempts: 1, count: 500 }]);
  });

  it('writes a batch again that waited in a circle with what another replica writes', async () => {
    const events = ['e1', 'e2'].map((id) => envelopeOf(id, at('12:00:00.000'))).toSorted((a, b) => (idOf(a) < idOf(b) ? -1 : 1));
    const [first, last] = events as [Envelope, Envelope]; // As many as there were
    const unheardOf = envelopeOf('e3', at('12:00:00.000'));
    // One that no test before this has made careful: it takes for new what it has not heard of.
    const trusting = new Loader(database.url);
    const write = (...records: readonly TestRecord[]) => trusting.load(foldRows(records.map(rowsOf)));
    await write(...events.map((event) => routed(event, ['sub_1'])));
    const [gate, other] = await Promise.all([connected(), connected()]);
    try {
      await holds(gate, idOf(first));
      await holds(other, idOf(last));
      const written = write(routed(unheardOf, ['sub_1']), ...events.map((event) => attempted(outcomeOf(event, 'sub_1'))));
      await waiting(1); // The loader: it has written the new one, and comes to those that it knows.
      await other.query(`set deadlock_timeout = '1h'`); // So that the loader is who finds the circle
      const inserted = other.query(
        `insert into audit.deliveries select (jsonb_populate_record(null::audit.deliveries, to_jsonb(known) || jsonb_build_object('id', $1::text))).*
         from audit.deliveries known where id = $2`,
        [idOf(unheardOf), idOf(last)],
      );
      await waiting(2);
      await gate.query('commit');
      await inserted;
      await other.query('rollback');
      expect(await written).toEqual({ ...nothing, decisions: 1, deliveries: 3, attempts: 2 });
      expect(await database.query('select status, attempts from audit.deliveries order by status')).toEqual([
        { status: 'pending', attempts: 0 },
        { status: 'delivered', attempts: 1 },
        { status: 'delivered', attempts: 1 },
      ]);
    } finally {
      await Promise.all([gate.end(), other.end(), trusting.close()]);
    }
  });

  it('survives what PostgreSQL cannot hold in a text', async () => {
    const odd = 'a\0b\u{D800}\\.\t\n\r\\N';
    const strange = envelopeOf('e1', at('12:00:00.000'), { subject: odd, headers: { odd }, context: { [odd]: odd } });
    await load(
      accepted(strange, Buffer.from(JSON.stringify({ odd }))),
      attempted(
        outcomeOf(strange, 'sub_1', {
          attempt: {
            started_at: at('12:00:00.000'),
            duration_ms: 1,
            request: { url: odd, headers: { odd } },
            response: { status: 200, headers: { odd }, body: odd, truncated: false },
          },
        }),
      ),
    );
    expect(await database.query('select subject, headers, context from audit.events')).toEqual([
      { subject: 'a\u{FFFD}b\u{FFFD}\\.\t\n\r\\N', headers: { odd }, context: { [odd]: odd } },
    ]);
    const [row] = await database.query<{ exchange: string; started_at: Date }>('select exchange, started_at from audit.attempts');
    expect(row && unpackExchange(row.exchange, { startedMs: row.started_at.getTime(), statusCode: 200, errorCode: null })).toEqual({
      request: { url: odd, headers: { odd } },
      response: { status: 200, headers: { odd }, body: odd, truncated: false },
    });
  });

  it('writes the longest subject that an event may have, and finds it', async () => {
    // No two alike: compressed, it is not shorter.
    const subject = String.fromCharCode(...Array.from({ length: eventLimits.subject }, (_, n) => 0x4e00 + ((n * 7_919) % 20_000)));
    const another = `${subject.slice(0, -1)}!`;
    await load(accepted(envelopeOf('e1', at('12:00:00.000'), { subject })), accepted(envelopeOf('e2', at('12:00:00.000'), { subject: another })));
    const { data } = await listEvents(new Observed(database), 'default', eventsQuery.parse({ subject }));
    expect(data.map((event) => [event.id, event.subject])).toEqual([['e1', subject]]);
  });

  it('writes a refused event as it came, however often it is read', async () => {
    const bytes = Buffer.from([0x7b, 0xff, 0x00, 0x5c]);
    const records = [
      rejected(rejectionOf('rej_1', { value: 'a\0"\u{1F600}\\', record: { topic: 't', partition: 3, offset: '9007199254740993' } })),
      rejected(rejectionOf('rej_2', { value_base64: bytes.toString('base64'), tenant: 'No Tenant', event_id: 'x\0y', truncated: true })),
    ];
    expect(await load(...records)).toMatchObject({ rejected_events: 2 });
    expect(await load(...records, ...records)).toMatchObject({ rejected_events: 0 });
    expect(await database.query('select id, tenant, event_id, code, path, record, value, truncated from audit.rejected_events order by id')).toEqual([
      {
        id: 'rej_1',
        tenant: 'default',
        event_id: null,
        code: 'invalid',
        path: 'type',
        record: { topic: 't', partition: 3, offset: '9007199254740993' },
        value: Buffer.from('a\0"\u{1F600}\\'),
        truncated: false,
      },
      { id: 'rej_2', tenant: null, event_id: 'x\u{FFFD}y', code: 'invalid', path: 'type', record: null, value: bytes, truncated: true },
    ]);
  });

  it('leaves what became of a refused event, when its record is judged or read again', async () => {
    await load(rejected(rejectionOf('rej_1')));
    await database.query(`update audit.rejected_events set published_as = 'e1', published_at = now()`);
    await load(rejected(rejectionOf('rej_1')), rejected(rejectionOf('rej_1', { rejected_at: at('09:00:00.000') })));
    expect(await database.query('select published_as, rejected_at from audit.rejected_events')).toEqual([
      { published_as: 'e1', rejected_at: new Date(at('09:00:00.000')) },
    ]);
  });

  it('loads a batch of the largest refused events', async () => {
    const value_base64 = Buffer.alloc(1_500_000, 0x80).toString('base64');
    const records = Array.from({ length: 4 }, (_, i) => rejected(rejectionOf(`rej_${i}`, { value_base64 })));
    expect(await load(...records)).toMatchObject({ rejected_events: 4 });
    expect(await database.query('select sum(octet_length(value))::integer as bytes from audit.rejected_events')).toEqual([{ bytes: 6_000_000 }]);
  });

  it('goes on after its connection was cut', async () => {
    await load(accepted(envelope));
    await database.query(`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'posthorn delivery-audit loader'`);
    const again = load(accepted(envelopeOf('e2', at('12:00:00.000')))).catch(() => load(accepted(envelopeOf('e2', at('12:00:00.000')))));
    expect(await again).toMatchObject({ events: 1 });
  });
});

/** mulberry32: small, seeded, good enough to shuffle. */
const randomFrom = (seed: number) => {
  let state = seed;
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
};
type Random = ReturnType<typeof randomFrom>;

const pick = <T>(random: Random, items: readonly T[]): T => items[random(items.length)] as T;

/** What might have happened to one delivery: rounds of attempts, some repeated after a crash, some ended before the request. */
const historyOf = (random: Random, envelope: ReturnType<typeof envelopeOf>, subscription: string) => {
  const outcomes = [];
  let ms = Date.parse(envelope.acceptedtime);
  for (let round = 0; round <= random(2); round++) {
    const last = 1 + random(3);
    for (let number = 1; number <= last; number++) {
      const status = number < last ? 'retrying' : pick(random, ['delivered', 'failed', 'cancelled', 'retrying'] as const);
      const next = () => new Date((ms += 1 + random(5_000))).toISOString();
      const outcome = outcomeOf(envelope, subscription, { round, number, status, at: next() });
      outcomes.push(status === 'cancelled' ? { ...outcome, attempt: undefined, reason: 'the subscription is disabled' } : outcome);
      const repeated = pick(random, ['delivered', 'failed', 'retrying'] as const);
      if (random(4) === 0) outcomes.push(outcomeOf(envelope, subscription, { round, number, status: repeated, at: next() }));
    }
  }
  return outcomes;
};

/** What else may be said of one delivery: put off, asked for again, called off; some of it by two replicas. */
const aroundOf = (random: Random, envelope: ReturnType<typeof envelopeOf>, subscription: string): TestRecord[] => {
  const time = () => new Date(Date.parse(envelope.acceptedtime) + random(10_000)).toISOString();
  const some = (record: () => TestRecord): TestRecord[] => Array.from({ length: random(3) }, record);
  return [
    ...some(() => postponed(envelope, subscription, time(), { round: random(2), number: 1 + random(3), cause: pick(random, ['breaker', 'slow']), ...(random(2) === 0 && { until: time() }) })),
    ...some(() => askedRound(envelope, subscription, 1 + random(2), time(), { actor: `key_${random(2)}` })),
    ...some(() => cancelled(envelope, subscription, random(2), time())),
  ];
};

const world = (random: Random): TestRecord[] =>
  Array.from({ length: 25 }, (_, i) => {
    const acceptedtime = new Date(Date.parse('2026-11-20T23:59:50.000Z') + random(20_000)).toISOString();
    const envelope = envelopeOf(`e${i}`, acceptedtime, { type: pick(random, ['invoice.paid', 'order.placed']) });
    const subscriptions = ['sub_1', 'sub_2', 'sub_3'].slice(0, random(4));
    // Accepted twice now and then, as an id that its producer sends again.
    const second = { ...envelope, acceptedtime: acceptedtime.replace(/\d{3}Z$/, '999Z') };
    const decided = () => ({ position: 1 + random(3), ...(random(2) === 0 && { near: [{ subscription: `near ${random(3)}`, why: 'disabled' as const }], near_more: random(2) }) });
    const again = random(4) === 0 ? [accepted(second, '"again"'), routed(second, subscriptions, decided())] : [];
    const refused = Array.from({ length: random(3) }, (_rejection, n) =>
      rejected(rejectionOf(`rej_${i}`, { rejected_at: acceptedtime.replace(/\d{3}Z$/, `00${n}Z`), value: `judgement ${n}` })),
    );
    // Some wait yet.
    const attemptedOnes = subscriptions.filter(() => random(4) > 0);
    const outcomes = attemptedOnes.flatMap((subscription) => historyOf(random, envelope, subscription));
    const packs = outcomes.map((outcome) => attempted(...(random(2) === 0 ? [outcome] : [pick(random, outcomes), outcome])));
    const inParts = subscriptions.map((subscription, n) => routed(envelope, [subscription], { part: { number: n + 1, of: subscriptions.length } }));
    const decision = random(3) === 0 && inParts.length > 0 ? inParts : [routed(envelope, subscriptions, decided())];
    const around = subscriptions.flatMap((subscription) => aroundOf(random, envelope, subscription));
    return [accepted(envelope), ...again, ...refused, ...decision, ...packs, ...around];
  }).flat();

const shuffled = <T>(random: Random, items: readonly T[]): T[] => {
  const left = [...items];
  return items.map(() => left.splice(random(left.length), 1)[0] as T);
};

const told = (count: number, last_at: string): TestRecord =>
  duplicated('w1', { tenant: 'default', event_id: 'e1', count, first_at: at('10:00:00.000'), last_at: at(last_at) });

describe('what a writer tells of an event that came again', () => {
  const [first, second, third] = [told(1, '10:00:00.000'), told(5, '10:00:01.000'), told(9, '10:00:02.000')];

  it.each([[[first, second, third]], [[third, first, second]], [[second, third, second, first, third]]])('is the most that it saw, in one row, in whatever order it is read', async (records) => {
    for (const record of records) await load(record);
    expect(await database.query('select day::text, event_id, writer, count, last_at from audit.duplicates')).toEqual([
      { day: DAY, event_id: 'e1', writer: 'w1', count: 9, last_at: new Date(at('10:00:02.000')) },
    ]);
    await database.empty();
    await load(...records);
    expect(await database.query('select count from audit.duplicates')).toEqual([{ count: 9 }]);
  });
});

describe('what the registry did', () => {
  it('is there once, as it was told first, in one batch or in several', async () => {
    const events = [registryEvent('sub_1', 1, 'SubscriptionEnabled'), registryEvent('sub_1', 2, 'SubscriptionDisabled', { reason: 'gone' })];
    expect(await load(...events, ...events)).toEqual({ ...nothing, configuration: 2 });
    expect(await load(registryEvent('sub_1', 2, 'SubscriptionDisabled', { reason: 'failing' }), registryEvent('sub_1', 3, 'SubscriptionEnabled'))).toEqual({ ...nothing, configuration: 1 });
    expect(await database.query('select position, type, data, actor from audit.configuration order by position')).toEqual([
      { position: '1', type: 'SubscriptionEnabled', data: {}, actor: 'key_owner' },
      { position: '2', type: 'SubscriptionDisabled', data: { reason: 'gone' }, actor: 'key_owner' },
      { position: '3', type: 'SubscriptionEnabled', data: {}, actor: 'key_owner' },
    ]);
  });
});

describe('the tables', () => {
  it.each([1, 2, 3, 4, 5, 6])('are the same in whatever order, repetition and batching the records come (seed %d)', async (seed) => {
    const random = randomFrom(seed);
    const records = world(random);
    await load(...records);
    const canonical = await database.dump();
    expect(canonical['attempts']?.length).toBeGreaterThan(10);
    expect(canonical['decisions']).toHaveLength(25);
    for (const table of ['rejected_events', 'rounds', 'cancellations']) expect(canonical[table]?.length).toBeGreaterThan(10);
    for (let repetition = 0; repetition < 3; repetition++) {
      await database.empty();
      const rest = shuffled(random, [...records, ...records.filter(() => random(3) === 0)]);
      while (rest.length > 0) await load(...rest.splice(0, 1 + random(40)));
      expect(await database.dump()).toEqual(canonical);
    }
  }, 30_000);

  it('count for each delivery the attempts that there are', async () => {
    await load(...world(randomFrom(7)));
    expect(
      await database.query(`select id from audit.deliveries d
        where attempts <> (select count(*) from audit.attempts a where a.day = d.day and a.delivery_id = d.id)`),
    ).toEqual([]);
  });
});
