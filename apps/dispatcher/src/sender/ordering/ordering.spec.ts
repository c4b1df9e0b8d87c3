import { describe, expect, it } from '@jest/globals';
import { deliveryId, recordSchemas, unframe, type Operation, type Outcome, type Postponement, type RequestedHead, type SubscriptionState } from '@posthorn/contracts';
import type { AttemptResult } from '@posthorn/egress';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Wheel } from '../../delay/wheel.js';
import { RegistryFeed } from '../../registry/registry-feed.js';
import { cancelling } from '../../spec-support/cancelling.js';
import { MemoryBacklog } from '../../spec-support/memory-backlog.js';
import { data, defaultPolicy, event, FakeRecord, requestFor, subscription, turn } from '../../spec-support/records.js';
import { Sender } from '../sender.js';
import { Subscriptions } from '../subscriptions.js';
import { PATIENCE_MS } from './keyed-queues.js';
import { orderingKeyOf } from './ordered-delivery.js';

const PARTITION = 0;
const RETRY_MS = 10_000;
const policy = { ...defaultPolicy, ordering: 'by_key' as const, retry_schedule_ms: [RETRY_MS, RETRY_MS] };
const ordered = (rest: Partial<SubscriptionState> = {}): SubscriptionState => subscription('sub_a', ['*'], { policy, ...rest });

const success: AttemptResult['verdict'] = { success: true };
const failure: AttemptResult['verdict'] = { success: false, error: { code: 'bad_status', message: 'answered 500' } };

/** A sender that has partition 0, over a backlog that it may share with others. */
const sending = ({ state = ordered(), backlog = new MemoryBacklog(), limit = 100, maxInFlight = 100, readToEnd = async () => undefined }: { state?: SubscriptionState; backlog?: MemoryBacklog; limit?: number; maxInFlight?: number; readToEnd?: () => Promise<void> } = {}) => {
  const subscriptions = new Subscriptions(() => 'whsec_secret', 12);
  const feed = new RegistryFeed([subscriptions], () => new Promise(() => undefined));
  const clock = { nowMs: 0, alarms: [] as { atMs: number; ring: () => void }[] };
  const attempts: { id: string; body: string; end: (verdict: AttemptResult['verdict']) => Promise<void> }[] = [];
  const outcomes: Outcome[] = [];
  const sent: OutgoingRecord[] = [];
  const fatal: unknown[] = [];
  const kafka = { answers: Promise.resolve(), answersOfWaiting: Promise.resolve(), timesAsked: 0, isCommitted: false, isMember: true };
  const postponed: Postponement[] = [];
  /** Events of what something waits for. */
  const awaited: string[] = [];
  const inFlight = { records: 0 };
  const { cancellations, cancel } = cancelling({ readToEnd });
  const sender = new Sender({
    subscriptions,
    feed,
    cancellations,
    attempt: ({ eventId, payload, subscription: { url } }) =>
      new Promise((resolve) => {
        const attempt = { started_at: '2026-01-01T00:00:00.000Z', duration_ms: 1, request: { url, headers: {} } };
        const end = (verdict: AttemptResult['verdict']): Promise<void> => {
          resolve({ attempt, verdict });
          return settled();
        };
        attempts.push({ id: eventId, body: 'body' in payload ? payload.body.toString() : payload.failed, end });
      }),
    send: async (record) => void sent.push(record),
    writeOutcome: (_, outcome, isAwaited) => {
      outcomes.push(outcome);
      if (isAwaited) awaited.push(outcome.event_id);
      return kafka.answers;
    },
    writePostponement: (_, postponement, isAwaited) => {
      postponed.push(postponement);
      if (isAwaited) awaited.push(`${postponement.event_id} behind`);
      return kafka.answersOfWaiting;
    },
    topic: (name) => name,
    wheel: new Wheel((name) => name, 15),
    backlog,
    backlogLimit: limit,
    committed: () => 0,
    isCommitted: () => {
      kafka.timesAsked += 1;
      return kafka.isCommitted;
    },
    isMember: async () => kafka.isMember,
    recordsInFlight: () => inFlight.records,
    maxInFlight,
    windowBytes: 8_000_000,
    nowMs: () => clock.nowMs,
    random: () => 0.5,
    soon: setImmediate,
    setTimer: (ms, ring) => {
      const alarm = { atMs: clock.nowMs + ms, ring };
      clock.alarms.push(alarm);
      return () => void (clock.alarms.includes(alarm) && clock.alarms.splice(clock.alarms.indexOf(alarm), 1));
    },
    observe: { outcome: () => undefined, postponed: () => undefined, breaker: () => undefined, cancelled: () => undefined, started: () => undefined },
    fatal: (error) => void fatal.push(error),
  });
  let position = 0;
  const learn = (state: SubscriptionState): void => {
    position += 1;
    feed.apply({ key: Buffer.from(state.id), value: Buffer.from(JSON.stringify({ state, version: position })), headers: { position: Buffer.from(String(position)) } });
  };
  const removed = (): void => feed.apply({ key: Buffer.from('sub_a'), value: null, headers: { position: Buffer.from(String((position += 1))) } });
  feed.listen({ changed: ({ id }) => sender.ordering.changed(id), removed: (id) => sender.ordering.changed(id) });
  cancellations.listen((id, round) => sender.ordering.cancelled(id, round));
  const assigned = (committed = 0): void => {
    cancellations.assigned(PARTITION);
    sender.ordering.assigned(PARTITION, committed);
  };
  learn(state);
  let offset = 0;
  const arrive = async (id: string, key: string | null = 'k', rest: Partial<RequestedHead> = {}, payload?: Buffer): Promise<FakeRecord> => {
    const head = requestFor(['sub_a'], { event: { ...event, id, ...(key !== null && { partitionkey: key }) }, ...rest });
    const record = new FakeRecord('deliveries.requested', head, { offset: String(offset++), ...(payload !== undefined && { payload }) });
    sender.onRecord(record);
    await settled();
    return record;
  };
  const end = async (id: string, verdict: AttemptResult['verdict']): Promise<void> => attempts.findLast((attempt) => attempt.id === id)?.end(verdict);
  const pass = async (ms: number): Promise<void> => {
    const untilMs = clock.nowMs + ms;
    for (;;) {
      await settled();
      const [next] = clock.alarms.filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      clock.alarms.splice(clock.alarms.indexOf(next), 1);
      clock.nowMs = Math.max(clock.nowMs, next.atMs);
      next.ring();
    }
    clock.nowMs = untilMs;
  };
  return { sender, clock, backlog, kafka, inFlight, attempts, outcomes, postponed, awaited, sent, fatal, assigned, cancel, learn, removed, arrive, end, pass, started: () => attempts.map(({ id }) => id) };
};

const settled = async (): Promise<void> => {
  for (let times = 0; times < 10; times += 1) await turn();
};

const headOf = ({ value }: OutgoingRecord): RequestedHead => unframe<RequestedHead>(value as Buffer).head;
const statuses = (outcomes: readonly Outcome[]): unknown => outcomes.map(({ event_id, number, status }) => `${event_id} #${number} ${status}`);

const told = ({ event_id, number, cause, behind }: Postponement): string =>
  `${event_id} #${number} ${cause} behind ${['1', '2', '3'].find((id) => deliveryId('default', id, 'sub_a') === behind)}`;

/** Of two keys, the first delivery has failed once and is attempted again. */
const withRowsUnderWay = async () => {
  const world = sending();
  world.sender.ordering.assigned(PARTITION, 0);
  for (const [id, key] of [['1', 'k'], ['2', 'l']] as const) {
    await world.arrive(id, key);
    await world.end(id, failure);
  }
  await world.pass(RETRY_MS);
  return world;
};

describe('a sender of an ordered subscription', () => {
  it('sends the next of a key when the outcome of the one before is in Kafka; other keys, and events without one, at once', async () => {
    const { sender, arrive, end, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    for (const [id, key] of [['1', 'k'], ['2', 'k'], ['3', 'l'], ['4', null]] as const) await arrive(id, key);
    expect(started()).toEqual(['1', '3', '4']);
    await end('1', success);
    expect(started()).toEqual(['1', '3', '4', '2']);
  });

  it('says that the next of a key waits for an outcome, and the key for the telling of who is behind; of what is in no order nobody does', async () => {
    const { sender, awaited, arrive, end } = sending();
    sender.ordering.assigned(PARTITION, 0);
    for (const [id, key] of [['1', 'k'], ['2', null], ['3', 'l'], ['4', 'l']] as const) await arrive(id, key);
    for (const id of ['1', '2']) await end(id, success);
    await end('3', failure);
    expect(awaited).toEqual(['1', '3', '4 behind']);
  });

  it('has nothing to do with the backlog while nothing has to wait', async () => {
    const { sender, backlog, arrive, end } = sending();
    sender.ordering.assigned(PARTITION, 0);
    const records = [await arrive('1'), await arrive('2')];
    await end('1', success);
    await end('2', failure);
    expect(records.map(({ timesDone }) => timesDone)).toEqual([1, 1]);
    // Only what failed has got there, and the one before, which could be read again.
    expect([...backlog.rows.values()].map(({ offset, isEnded }) => [offset, isEnded])).toEqual([[0, true], [1, false]]);
  });

  it('keeps a retry from the wheel, and the key behind it; sends them in order when it is due, with the same ids', async () => {
    const { sender, sent, outcomes, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    const second = await arrive('2');
    expect([started(), sent, second.timesDone]).toEqual([['1'], [], 1]);
    await pass(RETRY_MS - 1);
    expect(started()).toEqual(['1']);
    await pass(1);
    expect(started()).toEqual(['1', '1']);
    await end('1', success);
    await end('2', success);
    expect(statuses(outcomes)).toEqual(['1 #1 retrying', '1 #2 delivered', '2 #1 delivered']);
    expect(outcomes.map(({ trigger }) => trigger)).toEqual(['first', 'retry', 'first']);
    expect(Date.parse(outcomes[0]?.next_attempt_at ?? '')).toBe(RETRY_MS);
  });

  it('goes on behind a delivery that has failed for good', async () => {
    const { sender, outcomes, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await arrive('2');
    for (let times = 0; times < 3; times += 1) {
      await end('1', failure);
      await pass(RETRY_MS);
    }
    expect([started(), statuses(outcomes)]).toEqual([['1', '1', '1', '2'], ['1 #1 retrying', '1 #2 retrying', '1 #3 failed']]);
  });

  it('puts a redelivery behind what waits', async () => {
    const { sender, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await arrive('2');
    await arrive('0', 'k', { round: 1, trigger: 'redeliver' });
    await pass(RETRY_MS);
    for (const id of ['1', '2', '0']) await end(id, success);
    expect(started()).toEqual(['1', '1', '2', '0']);
  });

  it('sends the whole of an event whose key went to the backlog while it waited for a slot', async () => {
    const { sender, arrive, end, pass, attempts } = sending({ maxInFlight: 1 });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('other', 'l');
    const record = await arrive('1');
    await arrive('2');
    await pass(PATIENCE_MS);
    expect(record.timesDone).toBe(1);
    await end('other', success);
    expect(attempts.at(-1)).toMatchObject({ id: '1', body: expect.stringContaining(`"data":${data.toString()}`) });
  });

  it('does not send again what the router has asked for twice', async () => {
    const { sender, outcomes, arrive, end, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', success);
    const again = await arrive('1');
    expect([started(), again.timesDone, statuses(outcomes)]).toEqual([['1'], 1, ['1 #1 delivered']]);
  });

  it('lets an event wait behind one that had its id on an earlier day, and sends both', async () => {
    const { sender, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await arrive('1', 'k', { event: { ...event, id: '1', partitionkey: 'k', acceptedtime: '2026-01-02T00:00:01.000Z' } });
    await pass(RETRY_MS);
    await end('1', success);
    expect(started()).toEqual(['1', '1', '1']);
  });

  it('judges no record before the partition has been taken, and what comes before that in its order', async () => {
    const { sender, backlog, arrive, started } = sending();
    const take = backlog.take.bind(backlog);
    const taking = Promise.withResolvers<void>();
    backlog.take = (partition, committed) => taking.promise.then(() => take(partition, committed));
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await arrive('2', null);
    expect(started()).toEqual(['2']);
    taking.resolve();
    await settled();
    expect(started()).toEqual(['2', '1']);
  });

  it('takes a partition again, when it could not, only while the group counts on it', async () => {
    const { sender, backlog, kafka, assigned, pass } = sending();
    const take = backlog.take.bind(backlog);
    let tries = 0;
    backlog.take = async (...asked) => {
      tries += 1;
      if (tries === 1) throw new Error('the database is away');
      return take(...asked);
    };
    kafka.isMember = false;
    assigned();
    await pass(2_000);
    expect([tries, sender.ordering.trouble]).toEqual([1, expect.stringContaining('the group does not count on this sender')]);
    kafka.isMember = true;
    await pass(500);
    expect([tries, sender.ordering.trouble]).toEqual([2, undefined]);
  });

  it('takes up after another one where that was: what was under way is made again, the rest waits for it', async () => {
    const backlog = new MemoryBacklog();
    const former = sending({ backlog });
    former.sender.ordering.assigned(PARTITION, 0);
    await former.arrive('1');
    await former.end('1', failure);
    await former.arrive('2');
    await former.pass(RETRY_MS);
    const { sender, arrive, end, pass, started } = sending({ backlog });
    sender.ordering.assigned(PARTITION, 0);
    // Read again, as nothing has been committed.
    await arrive('1');
    await arrive('2');
    await arrive('3');
    await pass(RETRY_MS);
    expect(started()).toEqual(['1']);
    for (const id of ['1', '2', '3']) await end(id, success);
    expect(started()).toEqual(['1', '2', '3']);
  });

  it('stops when another one has taken the partition, and ends itself if it is not told why', async () => {
    const backlog = new MemoryBacklog();
    const { sender, fatal, outcomes, arrive, end, pass, started } = sending({ backlog });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await backlog.take(PARTITION, 0);
    await arrive('2');
    await pass(RETRY_MS);
    expect([started(), sender.ordering.trouble]).toEqual([['1'], 'another sender has taken the order of partition 0']);
    expect(fatal).toEqual([]);
    await pass(30_000);
    expect(fatal).toHaveLength(1);
    expect(statuses(outcomes)).toEqual(['1 #1 retrying']);
  });

  it('sends nothing more of what it had read from a backlog that is another one’s by then', async () => {
    const backlog = new MemoryBacklog();
    const { sender, arrive, end, pass, started } = sending({ backlog, state: ordered({ policy: { ...policy, max_concurrency: 1 } }) });
    sender.ordering.assigned(PARTITION, 0);
    for (const [id, key] of [['1', 'k'], ['2', 'l']] as const) {
      await arrive(id, key);
      await end(id, failure);
    }
    await pass(RETRY_MS);
    expect(started()).toEqual(['1', '2', '1']);
    await backlog.take(PARTITION, 0);
    await arrive('3');
    await end('1', success);
    expect(started()).toEqual(['1', '2', '1']);
  });

  it('that is given back a partition that another one had meanwhile starts anew', async () => {
    const backlog = new MemoryBacklog();
    const { sender, fatal, arrive, end } = sending({ backlog });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await backlog.take(PARTITION, 0);
    await end('1', failure);
    sender.ordering.assigned(PARTITION, 0);
    expect(fatal).toMatchObject([{ message: expect.stringContaining('another sender') }]);
  });

  it('that is given a partition again, and was not told that another one had it meanwhile, starts anew', async () => {
    const backlog = new MemoryBacklog();
    const { sender, fatal } = sending({ backlog });
    sender.ordering.assigned(PARTITION, 0);
    await settled();
    sender.ordering.assigned(PARTITION, 0);
    await settled();
    expect(fatal).toEqual([]);
    await backlog.take(PARTITION, 0);
    sender.ordering.assigned(PARTITION, 0);
    await settled();
    expect(fatal).toMatchObject([{ message: expect.stringContaining('another sender') }]);
  });

  it('does not send the head of a key that waits in its lane, when it is in the backlog and the partition has gone', async () => {
    const { sender, backlog, arrive, end, pass, started } = sending({ state: ordered({ policy: { ...policy, max_concurrency: 1 } }) });
    sender.ordering.assigned(PARTITION, 0);
    for (const id of ['1', '2', '3']) await arrive(id, 'k');
    await arrive('other', 'l');
    await pass(1_500);
    await end('1', success);
    await pass(600);
    expect([started(), [...backlog.rows.values()].filter(({ isEnded }) => !isEnded).length]).toEqual([['1', 'other'], 2]);
    sender.ordering.revoked(PARTITION);
    await end('other', success);
    await pass(10);
    expect(started()).toEqual(['1', 'other']);
  });

  it('keeps quiet about a partition that went to another one, and does not send what it had read of it', async () => {
    const { sender, fatal, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await arrive('2');
    sender.ordering.revoked(PARTITION);
    await pass(60_000);
    expect([started(), fatal, sender.ordering.waiting]).toEqual([['1'], [], { keys: 0, deliveries: 0 }]);
  });

  it('does not take up what waited for the registry while the partition was with another one, who has had it', async () => {
    const { sender, backlog, arrive, end, learn, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    const late = await arrive('2', 'k', { position: 2 });
    late.revoked = true;
    sender.ordering.revoked(PARTITION);
    sender.ordering.assigned(PARTITION, 2);
    await settled();
    learn(ordered());
    await settled();
    expect(backlog.rows.size).toBe(1);
    await pass(RETRY_MS);
    await end('1', success);
    await pass(60_000);
    expect(started()).toEqual(['1', '1']);
  });

  it('sends what is due soon after the time of day was set ahead', async () => {
    const { sender, clock, kafka, arrive, end, pass, started } = sending({ state: ordered({ policy: { ...policy, retry_schedule_ms: [6 * 3_600_000] } }) });
    kafka.isCommitted = true;
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await pass(60_000);
    // Alarms do not go by it.
    const leapMs = 8 * 3_600_000;
    clock.nowMs += leapMs;
    for (const alarm of clock.alarms) alarm.atMs += leapMs;
    await pass(10_000);
    expect(started()).toEqual(['1', '1']);
  });

  it('begins no row while its partition may be taken away, waits for those under way, and goes on if it stays', async () => {
    const { sender, backlog, arrive, end, pass, started } = await withRowsUnderWay();
    await arrive('3', 'k');
    await arrive('4', 'm');
    await end('4', failure);
    let isHeld = false;
    const holding = sender.hold().then(() => (isHeld = true));
    await end('1', success);
    expect([started().slice(4), isHeld]).toEqual([['4'], false]);
    await end('2', success);
    await pass(20);
    await holding;
    await pass(RETRY_MS);
    expect([started().slice(4), [...backlog.rows.values()].filter(({ isEnded }) => !isEnded).length]).toEqual([['4'], 2]);
    sender.ordering.assigned(PARTITION, 0);
    await pass(10);
    expect(started().slice(4)).toEqual(['4', '3', '4']);
  });

  it('begins no row either when the group changes once more before it is known that the partition is still its own', async () => {
    const { sender, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await sender.hold();
    await pass(RETRY_MS);
    sender.ordering.assigned(PARTITION, 0);
    await sender.hold();
    await pass(RETRY_MS);
    expect(started()).toEqual(['1']);
    sender.ordering.assigned(PARTITION, 0);
    await pass(10);
    expect(started()).toEqual(['1', '1']);
  });

  it('leaves to who has its partition next the row that it has not begun', async () => {
    const { sender, backlog, arrive, end, pass } = await withRowsUnderWay();
    await arrive('3', 'k');
    const holding = sender.hold();
    await end('1', success);
    await end('2', success);
    await pass(20);
    await holding;
    sender.ordering.revoked(PARTITION);
    const heir = sending({ backlog });
    heir.sender.ordering.assigned(PARTITION, 4);
    await pass(10);
    await heir.pass(10);
    expect(heir.started()).toEqual(['3']);
  });

  it('waits for what was under way as its key went to the backlog, too', async () => {
    const { sender, backlog, inFlight, arrive, end, pass } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await arrive('2');
    inFlight.records = 2;
    let isHeld = false;
    const holding = sender.hold().then(() => (isHeld = true));
    await pass(PATIENCE_MS);
    expect(backlog.rows.size).toBe(2);
    inFlight.records = 0;
    await pass(1_000);
    expect(isHeld).toBe(false);
    await end('1', success);
    await pass(20);
    await holding;
    expect([...backlog.rows.values()].map(({ isEnded }) => isEnded)).toEqual([true, false]);
  });

  it('waits for the records in flight as well, until it has its partitions again', async () => {
    const { sender, inFlight, pass } = sending();
    sender.ordering.assigned(PARTITION, 0);
    let held = 0;
    for (const records of [1, 1]) {
      inFlight.records = records;
      void sender.hold().then(() => (held += 1));
    }
    await pass(1_000);
    expect(held).toBe(0);
    inFlight.records = 0;
    await pass(1_000);
    expect(held).toBe(2);
    inFlight.records = 1;
    void sender.hold().then(() => (held += 1));
    await pass(1_000);
    sender.ordering.assigned(PARTITION, 0);
    await pass(1_000);
    expect(held).toBe(3);
  });

  it('writes down at its end what came of a row that was under way, so that it is not sent again', async () => {
    const { sender, backlog, arrive, end, pass } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await pass(RETRY_MS);
    sender.ordering.revoked(PARTITION);
    const closing = sender.ordering.close(1_000);
    await end('1', success);
    await closing;
    expect([...backlog.rows.values()].map(({ isEnded }) => isEnded)).toEqual([true]);
  });

  it('waits at its end for no longer than it takes to write what came of rows', async () => {
    const { sender, backlog, end } = await withRowsUnderWay();
    const advance = backlog.advance.bind(backlog);
    const answer = Promise.withResolvers<void>();
    backlog.advance = (holding, advances) => advance(holding, advances).finally(() => answer.promise);
    await end('1', success);
    await end('2', success);
    const closing = sender.ordering.close(1_000);
    answer.resolve();
    await closing;
    expect([...backlog.rows.values()].map(({ isEnded }) => isEnded)).toEqual([true, true]);
  });

  it('waits at its end for no row that another one has taken', async () => {
    const { sender, backlog, end } = await withRowsUnderWay();
    await backlog.take(PARTITION, 0);
    await end('1', success);
    await end('2', success);
    await sender.ordering.close(1_000);
    expect(sender.ordering.waiting).toEqual({ keys: 0, deliveries: 0 });
  });

  it('writes down at its end what it has cancelled, so that it is not cancelled again', async () => {
    const { sender, backlog, kafka, outcomes, learn, arrive, end, pass } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await arrive('2');
    const answer = Promise.withResolvers<void>();
    kafka.answers = answer.promise;
    learn(ordered({ enabled: false }));
    await pass(1);
    expect(statuses(outcomes)).toEqual(['1 #1 retrying', '1 #2 cancelled']);
    const closing = sender.ordering.close(1_000);
    answer.resolve();
    await closing;
    expect([...backlog.rows.values()].map(({ isEnded }) => isEnded)).toEqual([true, false]);
  });

  it('looks for what has been committed, also when the clock has been set back', async () => {
    const { sender, kafka, arrive, end, pass } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', success);
    await pass(-3_600_000);
    await arrive('2', 'l');
    await pass(500);
    expect(kafka.timesAsked).toBe(1);
  });

  it('takes no more of the backlog into memory than a window has, and the rest as that ends', async () => {
    const { sender, backlog, arrive, end, pass, started } = sending({ state: ordered({ policy: { ...policy, max_concurrency: 100 } }) });
    const due = backlog.due.bind(backlog);
    backlog.due = (holding, nowMs, after) => due(holding, nowMs, after, 4);
    sender.ordering.assigned(PARTITION, 0);
    const ids = Array.from({ length: 30 }, (_, n) => String(n));
    for (const id of ids) await arrive(id, id, {}, Buffer.alloc(900_000, 0x20));
    // Of a kind that no breaker minds.
    for (const id of ids) await end(id, { success: false, error: { code: 'payload_failed', message: 'not with this event' } });
    await pass(RETRY_MS);
    expect(started().slice(30)).toEqual(ids.slice(0, 20));
    for (const id of ids.slice(0, 20)) await end(id, success);
    await pass(1);
    expect(started().slice(30)).toEqual(ids);
  });

  it('comes to a head that was put off while the reading had gone further', async () => {
    const { sender, backlog, arrive, end, pass, started } = sending({ state: ordered({ policy: { ...policy, retry_schedule_ms: [RETRY_MS, 0] } }) });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1', 'k');
    await end('1', failure);
    await pass(500);
    await arrive('2', 'l');
    await end('2', failure);
    await pass(RETRY_MS - 500);
    const [postpone, due] = [backlog.postpone.bind(backlog), backlog.due.bind(backlog)];
    const [postponed, read] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    backlog.postpone = (holding, changes) => postpone(holding, changes).finally(() => postponed.promise);
    backlog.due = (...args) => due(...args).finally(() => read.promise);
    await end('1', failure);
    await pass(500);
    postponed.resolve();
    await settled();
    read.resolve();
    await pass(1);
    expect(started()).toEqual(['1', '2', '1', '2', '1']);
  });

  it('comes to a head that was put off to a time gone by while the reading was going further', async () => {
    const { sender, backlog, kafka, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    for (const [id, key] of [['1', 'k'], ['2', 'l']] as const) {
      await arrive(id, key);
      await end(id, failure);
    }
    await pass(RETRY_MS);
    const [due, outcome, read] = [backlog.due.bind(backlog), Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    // Kafka takes the end of the second for longer than it had to wait.
    kafka.answers = outcome.promise;
    await end('2', failure);
    kafka.answers = Promise.resolve();
    await pass(100);
    await end('1', failure);
    backlog.due = (...args) => due(...args).finally(() => read.promise);
    await pass(RETRY_MS);
    outcome.resolve();
    await settled();
    read.resolve();
    await pass(1);
    expect(started()).toEqual(['1', '2', '1', '2', '1', '2']);
  });

  it('comes in time to a head that is due before one that was put off while the reading was going further', async () => {
    const { sender, backlog, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    for (const [id, key] of [['1', 'k'], ['2', 'l']] as const) {
      await arrive(id, key);
      await end(id, failure);
      await pass(RETRY_MS / 4);
    }
    await arrive('3', 'm');
    const [due, read] = [backlog.due.bind(backlog), Promise.withResolvers<void>()];
    backlog.due = (...args) => due(...args).finally(() => read.promise);
    await pass(RETRY_MS / 2);
    await end('3', failure);
    read.resolve();
    await pass(RETRY_MS / 4);
    expect(started()).toEqual(['1', '2', '3', '1', '2']);
  });

  it('comes to a head that was made due, read, and passed over while its row was on its way', async () => {
    const { sender, backlog, learn, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    const [park, answered] = [backlog.park.bind(backlog), Promise.withResolvers<void>()];
    backlog.park = (...args) => park(...args).finally(() => answered.promise);
    await end('1', failure);
    learn(ordered({ enabled: false }));
    await pass(100);
    learn(ordered());
    await pass(100);
    answered.resolve();
    await pass(RETRY_MS);
    expect(started()).toEqual(['1', '1']);
  });

  it('tells that the backlog is away, keeps what has to get there, and goes on by itself', async () => {
    const { sender, backlog, arrive, end, pass, started } = sending();
    sender.ordering.assigned(PARTITION, 0);
    const blocked = await arrive('1');
    const park = backlog.park.bind(backlog);
    backlog.park = () => Promise.reject(new Error('connection refused'));
    await end('1', failure);
    await arrive('2', 'free');
    expect([sender.ordering.trouble, blocked.timesDone, started()]).toEqual([expect.stringContaining('connection refused'), 0, ['1', '2']]);
    backlog.park = park;
    await pass(500);
    expect([sender.ordering.trouble, blocked.timesDone]).toEqual([undefined, 1]);
  });
});

describe('who waits behind another one of its key', () => {
  it('is told of, with the delivery that is first; and so is the first, when its lane puts it off', async () => {
    const { sender, backlog, arrive, end, pass, postponed } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    const second = await arrive('2');
    await pass(PATIENCE_MS - 1);
    expect(postponed).toEqual([]);
    await pass(1);
    expect([postponed.map(told), second.timesDone]).toEqual([['2 #1 ordered behind 1'], 1]);
    await end('1', failure);
    await arrive('3');
    await pass(RETRY_MS);
    await end('1', success);
    await arrive('4');
    expect(postponed.slice(1).map(told)).toEqual(['3 #1 ordered behind 1', '4 #1 ordered behind 2']);
    const other = sending({ backlog });
    other.sender.ordering.assigned(PARTITION, 1_000);
    await settled();
    await other.arrive('5');
    expect(other.postponed.map(told)).toEqual(['5 #1 ordered behind 2']);
    recordSchemas.attempted.strict().parse(JSON.parse(JSON.stringify({ outcomes: [], postponed: [...postponed, ...other.postponed] })));
  });

  it('is told of before its record is done', async () => {
    const { sender, kafka, arrive, end } = sending();
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    const answer = Promise.withResolvers<void>();
    kafka.answersOfWaiting = answer.promise;
    const second = await arrive('2');
    expect(second.timesDone).toBe(0);
    answer.resolve();
    await settled();
    expect(second.timesDone).toBe(1);
  });

  it('is told of when its lane puts the first one off, with the time', async () => {
    const { sender, arrive, postponed } = sending({ state: ordered({ policy: { ...policy, rate_limit: { per_second: 0.1, burst: 1 } } }) });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1', 'k');
    await arrive('2', 'l');
    expect(postponed).toMatchObject([{ event_id: '2', cause: 'rate_limit', until: new Date(10_000).toISOString() }]);
    expect(postponed[0]).not.toHaveProperty('behind');
  });
});

describe('what its user has cancelled', () => {
  it('waits for nothing in the backlog: its key goes on with the next at once, and its row goes', async () => {
    const { backlog, outcomes, assigned, arrive, cancel, end, pass, started } = sending();
    assigned();
    await arrive('1');
    await end('1', failure);
    await arrive('2');
    await arrive('3');
    cancel('1');
    await pass(1);
    expect(started()).toEqual(['1', '2']);
    await end('2', success);
    await end('3', success);
    expect(statuses(outcomes)).toEqual(['1 #1 retrying', '2 #1 delivered', '3 #1 delivered']);
    expect([...backlog.rows.values()].filter(({ isEnded }) => !isEnded)).toEqual([]);
  });

  it('ends in its turn, where it waits behind others, in memory or in the backlog', async () => {
    const { outcomes, assigned, arrive, cancel, end, pass, started, fatal } = sending();
    assigned();
    for (const id of ['1', '2', '3']) await arrive(id);
    cancel('2');
    await end('1', success);
    expect(started()).toEqual(['1', '3']);
    await end('3', failure);
    const records = [];
    for (const id of ['4', '5', '6']) records.push(await arrive(id));
    cancel('4');
    cancel('5');
    await pass(RETRY_MS);
    await end('3', success);
    expect([started(), records.map(({ timesDone }) => timesDone), fatal]).toEqual([['1', '3', '3', '6'], [1, 1, 1], []]);
    expect(outcomes.filter(({ event_id }) => ['2', '4', '5'].includes(event_id))).toEqual([]);
  });

  it('is let go of though thousands of its key are', async () => {
    const { assigned, arrive, cancel, end, started } = sending();
    assigned();
    await arrive('1');
    const records = [];
    for (let n = 0; n < 5_000; n += 1) {
      cancel(`c${n}`);
      records.push(arrive(`c${n}`));
    }
    await arrive('2');
    await end('1', success);
    expect([started(), (await Promise.all(records)).every(({ timesDone }) => timesDone === 1)]).toEqual([['1', '2'], true]);
  });

  it.each(['on its way into the backlog', 'while the backlog was away'])('%s does not hold up its key until it would have been due', async (when) => {
    const { backlog, assigned, arrive, cancel, end, pass, started } = sending();
    assigned();
    await arrive('1');
    const [park, written] = [backlog.park.bind(backlog), Promise.withResolvers<void>()];
    // It is there, and is read there, before the answer is.
    backlog.park = (...args) => park(...args).finally(() => written.promise);
    if (when === 'while the backlog was away') backlog.park = () => Promise.reject(new Error('connection refused'));
    await end('1', failure);
    cancel('1');
    await pass(100);
    written.resolve();
    backlog.park = park;
    await pass(600);
    await arrive('2');
    expect(started()).toEqual(['1', '2']);
  });

  it('is known before anything of a partition is attempted, and while nobody had it', async () => {
    const backlog = new MemoryBacklog();
    const former = sending({ backlog });
    former.assigned();
    await former.arrive('1');
    await former.end('1', failure);
    await former.arrive('2');
    const read = Promise.withResolvers<void>();
    const { assigned, cancel, arrive, pass, started } = sending({ backlog, readToEnd: () => read.promise });
    assigned(2);
    await arrive('3', 'l');
    await arrive('4', 'm');
    await pass(1);
    expect(started()).toEqual([]);
    cancel('1');
    cancel('3');
    read.resolve();
    await pass(1);
    expect(started()).toEqual(['4', '2']);
  });

  it('is not failed for want of room in the backlog', async () => {
    const { outcomes, assigned, arrive, cancel, end } = sending({ limit: 1 });
    assigned();
    await arrive('1');
    await end('1', failure);
    cancel('2');
    const record = await arrive('2');
    expect([statuses(outcomes), record.timesDone]).toEqual([['1 #1 retrying'], 1]);
  });

  it('is not said to be cancelled once more when its subscription is disabled', async () => {
    const { outcomes, assigned, arrive, cancel, end, learn, pass } = sending();
    assigned();
    await arrive('1');
    await end('1', failure);
    await arrive('2');
    await arrive('3');
    cancel('2');
    learn(ordered({ enabled: false }));
    await pass(1);
    expect(statuses(outcomes)).toEqual(['1 #1 retrying', '1 #2 cancelled', '3 #1 cancelled']);
  });
});

describe('at the bound of the backlog', () => {
  it('a delivery of a blocked key fails, with the reason, and somebody is told', async () => {
    const { sender, outcomes, sent, arrive, end } = sending({ limit: 2 });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('1');
    await end('1', failure);
    await arrive('2');
    const refused = await arrive('3');
    expect(outcomes.at(-1)).toMatchObject({ event_id: '3', number: 1, status: 'failed', reason: 'ordering_backlog_full' });
    recordSchemas.attempted.shape.outcomes.element.strict().parse(JSON.parse(JSON.stringify(outcomes.at(-1))));
    const operations = sent.filter(({ topic }) => topic === 'operations').map(({ value }) => JSON.parse(String(value)) as Operation);
    expect(operations).toMatchObject([{ type: 'delivery.failed', data: { event_id: '3', attempts: 0, reason: 'ordering_backlog_full' } }]);
    expect(refused.timesDone).toBe(1);
  });

  it('a head that would have to wait fails as the attempt that is not made, and the next is sent', async () => {
    const { sender, outcomes, arrive, end, started } = sending({ limit: 1 });
    sender.ordering.assigned(PARTITION, 0);
    await arrive('0', 'other');
    await end('0', failure);
    await arrive('1');
    await arrive('2');
    await end('1', failure);
    expect(statuses(outcomes)).toEqual(['0 #1 retrying', '1 #1 retrying', '1 #2 failed']);
    expect(started()).toEqual(['0', '1', '2']);
  });
});

/** 150 of one key, of which the first has failed once. */
const withBacklog = async () => {
  const world = sending({ limit: 1_000 });
  world.sender.ordering.assigned(PARTITION, 0);
  await world.arrive('1');
  await world.end('1', failure);
  for (let n = 2; n <= 150; n += 1) await world.arrive(String(n));
  world.outcomes.splice(0);
  return world;
};

describe('a subscription with a backlog', () => {
  it.each([
    ['is disabled', 'the subscription is disabled', (world: Awaited<ReturnType<typeof withBacklog>>) => world.learn(ordered({ enabled: false }))],
    ['is deleted', 'the subscription was deleted', (world: Awaited<ReturnType<typeof withBacklog>>) => world.removed()],
  ])('that %s has it cancelled at once, in order, with the reason', async (_, reason, withdraw) => {
    const world = await withBacklog();
    withdraw(world);
    await world.pass(1);
    const { outcomes, sender, started } = world;
    expect(outcomes.map(({ event_id, status, reason }) => [event_id, status, reason])).toEqual(
      Array.from({ length: 150 }, (_, n) => [String(n + 1), 'cancelled', reason]),
    );
    expect(outcomes[0]?.number).toBe(2);
    expect([sender.ordering.waiting, started()]).toEqual([{ keys: 0, deliveries: 0 }, ['1']]);
  });

  it('that is not to be served in order any more has it sent as others are, by way of the wheel', async () => {
    const world = await withBacklog();
    world.learn(ordered({ policy: defaultPolicy }));
    await world.pass(1);
    const heads = world.sent.filter(({ topic }) => topic.startsWith('deliveries.delayed')).map(headOf);
    expect(heads.map(({ event: { id }, number, trigger, subscriptions, reserved }) => [id, number, trigger, subscriptions, reserved])).toEqual(
      Array.from({ length: 150 }, (_, n) => [String(n + 1), n === 0 ? 2 : 1, n === 0 ? 'retry' : 'first', ['sub_a'], undefined]),
    );
    expect([world.outcomes, world.sender.ordering.waiting]).toEqual([[], { keys: 0, deliveries: 0 }]);
    await world.arrive('151');
    await world.arrive('152');
    expect(world.started().slice(1)).toEqual(['151', '152']);
  });

  it('that is withdrawn while nobody has the partition loses its backlog when somebody takes it', async () => {
    const { backlog } = await withBacklog();
    const { sender, outcomes, pass } = sending({ backlog, state: ordered({ enabled: false }) });
    sender.ordering.assigned(PARTITION, 1_000);
    await settled();
    await pass(1);
    expect(outcomes).toHaveLength(150);
    expect(sender.ordering.waiting).toEqual({ keys: 0, deliveries: 0 });
  });
});

describe('the key that stands for a partitionkey', () => {
  it('is itself, unless it is long or no text of PostgreSQL', () => {
    expect(orderingKeyOf('customer 7 \u{1F511}')).toBe('customer 7 \u{1F511}');
    const others = ['x'.repeat(65), 'x'.repeat(66), 'a\0b', 'a\u{FFFD}b\0', '\uD800', '\uD801'].map(orderingKeyOf);
    for (const key of others) expect(key).toMatch(/^sha256:[\w-]{43}$/);
    // Both lone surrogates are the same in UTF-8: such keys share an order, which costs nothing but time.
    expect(new Set(others).size).toBe(5);
  });
});
