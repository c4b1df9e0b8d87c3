import { describe, expect, it } from '@jest/globals';
import { deliveryId, operationId, recordSchemas, unframe, type Outcome, type Postponement, type RequestedHead, type SubscriptionState } from '@posthorn/contracts';
import type { AttemptRequest, AttemptResult } from '@posthorn/egress';
import type { OutgoingRecord } from '@posthorn/kafka';
import { RecordedSpans } from '@posthorn/testkit';
import { Wheel } from '../delay/wheel.js';
import { RegistryFeed } from '../registry/registry-feed.js';
import { cancelling } from '../spec-support/cancelling.js';
import { Calls, data, defaultPolicy, event, FakeRecord, requestFor, subscription, turn } from '../spec-support/records.js';
import { MemoryBacklog } from '../spec-support/memory-backlog.js';
import { laneTermsOf } from './lane-terms.js';
import { Sender, type SenderParts } from './sender.js';
import { Subscriptions } from './subscriptions.js';

const success: AttemptResult['verdict'] = { success: true };
const failure = (rest: object = {}): AttemptResult['verdict'] => ({
  success: false,
  error: { code: 'bad_status', message: 'answered 500' },
  ...rest,
});

const sending = (...given: (SubscriptionState | Pick<SenderParts, 'tracing'>)[]) => {
  const states = given.filter((one) => 'kind' in one);
  const traced = given.find((one) => 'tracing' in one);
  const subscriptions = new Subscriptions(() => 'whsec_secret', 12);
  for (const state of states) subscriptions.changed(state, 3);
  const feed = new RegistryFeed([subscriptions], () => new Promise(() => undefined));
  const learn = (state: SubscriptionState, position: number): void =>
    feed.apply({
      key: Buffer.from(state.id),
      value: Buffer.from(JSON.stringify({ state, version: position })),
      headers: { position: Buffer.from(String(position)) },
    });
  feed.apply({ key: Buffer.from('none'), value: null, headers: { position: Buffer.from('1') } });

  const attempts: { request: AttemptRequest; end: (verdict: AttemptResult['verdict']) => Promise<void> }[] = [];
  const outcomes = new Calls<Outcome>();
  const postponed = new Calls<Postponement>();
  const { cancellations, cancel } = cancelling();
  const retries = new Calls<OutgoingRecord>();
  const clock = { nowMs: 0, alarms: [] as { atMs: number; ring: () => void }[] };
  const told: string[] = [];
  const starts: { latencyMs: number; isHeld: boolean }[] = [];
  const sender = new Sender({
    ...traced,
    subscriptions,
    feed,
    cancellations,
    attempt: (request) =>
      new Promise((resolve) => {
        const end = (verdict: AttemptResult['verdict']): Promise<void> => {
          const attempt = { started_at: '2026-01-01T00:00:00.000Z', duration_ms: 1, request: { url: request.subscription.url, headers: {} } };
          resolve({ attempt, verdict });
          return turn();
        };
        attempts.push({ request, end });
      }),
    send: retries.call,
    writeOutcome: (_partition, outcome) => outcomes.call(outcome),
    writePostponement: (_partition, postponement) => postponed.call(postponement),
    topic: (name) => name,
    backlog: new MemoryBacklog(),
    backlogLimit: 100,
    committed: () => undefined,
    isCommitted: () => false,
    isMember: () => Promise.resolve(true),
    wheel: new Wheel((name) => name, 15),
    recordsInFlight: () => 0,
    maxInFlight: 100,
    windowBytes: 8_000_000,
    nowMs: () => clock.nowMs,
    random: () => 0.5,
    soon: setImmediate,
    setTimer: (ms, ring) => {
      const alarm = { atMs: clock.nowMs + ms, ring };
      clock.alarms.push(alarm);
      return () => void clock.alarms.splice(clock.alarms.indexOf(alarm), 1);
    },
    observe: {
      outcome: () => undefined,
      postponed: (cause) => void told.push(`postponed ${cause}`),
      breaker: (to, id) => void told.push(`${id} ${to}`),
      cancelled: () => void told.push('cancelled'),
      started: (latencyMs, isHeld) => void starts.push({ latencyMs, isHeld }),
    },
    fatal: (error) => {
      throw error;
    },
  });
  /** Lets time pass; the alarms ring when they should. */
  const pass = (ms: number): void => {
    const untilMs = clock.nowMs + ms;
    for (let next = earliest(clock.alarms, untilMs); next !== undefined; next = earliest(clock.alarms, untilMs)) {
      clock.alarms.splice(clock.alarms.indexOf(next), 1);
      clock.nowMs = Math.max(clock.nowMs, next.atMs);
      next.ring();
    }
    clock.nowMs = untilMs;
  };
  /** The time of day is set ahead; alarms do not go by it. */
  const leap = (ms: number): void => {
    clock.nowMs += ms;
    for (const alarm of clock.alarms) alarm.atMs += ms;
  };
  return { leap, sender, attempts, outcomes, postponed, retries, subscriptions, cancel, learn, pass, clock, told, starts };
};

const earliest = <A extends { readonly atMs: number }>(alarms: readonly A[], untilMs: number): A | undefined =>
  alarms.filter(({ atMs }) => atMs <= untilMs).toSorted((a, b) => a.atMs - b.atMs)[0];

const headOf = ({ value }: OutgoingRecord): RequestedHead => unframe<RequestedHead>(value as Buffer).head;

const bodies = (attempts: readonly { readonly request: AttemptRequest }[]): (Buffer | undefined)[] =>
  attempts.map(({ request: { payload } }) => ('body' in payload ? payload.body : undefined));

const requested = (head: RequestedHead): FakeRecord => new FakeRecord('deliveries.requested', head);
/** Another event for the same. */
const another = (): FakeRecord => requested(requestFor(['sub_a'], { event: { ...event, id: 'evt_2' } }));
/** An event whose id was used before, so long ago that it is another one. */
const nextDay = { ...event, acceptedtime: '2026-01-02T00:00:01.000Z' };

const limited = (id: string, per_second: number): SubscriptionState => subscription(id, ['*'], { policy: { ...defaultPolicy, rate_limit: { per_second, burst: 1 } } });

describe('the sender', () => {
  it('hands the span of a failed attempt to the audit and to the retry', async () => {
    const spans = new RecordedSpans();
    const { sender, attempts, outcomes, retries } = sending({ tracing: spans }, subscription('sub_a', ['*']));
    sender.onRecord(requested(requestFor(['sub_a'], { event: { ...event, traceparent: `00-${'b'.repeat(32)}-${'c'.repeat(16)}-01` } })));
    await attempts[0]?.end(failure());
    const [span] = spans.all;
    expect(span?.traceparent).toBeDefined();
    expect(outcomes.made.map(({ traceparent }) => traceparent)).toEqual([span?.traceparent]);
    expect(retries.made.map(headOf)).toMatchObject([{ number: 2, retry_of: span?.traceparent }]);
    expect(retries.made.map(headOf)[0]).not.toHaveProperty('traceparent');
  });

  it('looks after who waits for his rate soon after the time of day was set ahead, though nothing was to be looked after for hours', async () => {
    const { sender, attempts, outcomes, pass, leap } = sending(limited('sub_a', 1 / 7_200), limited('sub_b', 1));
    const send = (id: string, event_id: string): void => sender.onRecord(requested(requestFor([id], { event: { ...event, id: event_id } })));
    send('sub_a', '1');
    await attempts[0]?.end(success);
    await outcomes.settleAll();
    pass(120_000);
    leap(7_200_000);
    send('sub_b', '2');
    send('sub_b', '3');
    pass(10_000);
    expect(attempts).toHaveLength(3);
  });

  it('is done with a record only when the outcome is in Kafka', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*']));
    const record = requested(requestFor(['sub_a']));
    sender.onRecord(record);
    await attempts[0]?.end(success);
    expect(outcomes.made).toMatchObject([
      { delivery_id: deliveryId('default', 'evt_1', 'sub_a'), status: 'delivered', round: 0, number: 1, trigger: 'first' },
    ]);
    expect(record.timesDone).toBe(0);
    await outcomes.settleAll();
    expect(record.timesDone).toBe(1);
  });

  it('tells how long after acceptance each first attempt has started, and whether its own subscription let it wait', async () => {
    const { sender, attempts, starts, clock } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, max_concurrency: 1 } }));
    clock.nowMs = Date.parse(event.acceptedtime) + 5;
    sender.onRecord(requested(requestFor(['sub_a'])));
    sender.onRecord(another());
    clock.nowMs += 20;
    await attempts[0]?.end(success);
    sender.onRecord(requested(requestFor(['sub_a'], { number: 2, trigger: 'retry' })));
    sender.onRecord(requested(requestFor(['sub_a'], { round: 1, trigger: 'redeliver' })));
    for (const { end } of attempts.slice(1)) await end(success);
    expect(starts).toEqual([
      { latencyMs: 5, isHeld: false },
      { latencyMs: 25, isHeld: true },
    ]);
  });

  it('sends the producer’s bytes as they are, built once for all subscriptions of a record', () => {
    const { sender, attempts } = sending(subscription('sub_a', ['*']), subscription('sub_b', ['*']));
    sender.onRecord(requested(requestFor(['sub_a', 'sub_b'])));
    const [first, second] = bodies(attempts);
    expect(first?.toString()).toContain(`"data":${data.toString()}`);
    expect(second).toBe(first);
  });

  it('does not take a receiver for slow because the clock was set back', async () => {
    const { sender, attempts, pass, told } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, max_concurrency: 2 } }));
    pass(10_000_000);
    for (let times = 0; times < 2; times += 1) sender.onRecord(requested(requestFor(['sub_a'])));
    pass(-3_600_000);
    await attempts[0]?.end(success);
    for (let times = 0; times < 4; times += 1) sender.onRecord(requested(requestFor(['sub_a'])));
    expect(told).toEqual([]);
  });

  it('sets no alarm that Node would ring at once: its longest are of 24.8 days', async () => {
    const rate_limit = { per_second: 0.001, burst: 1 };
    const { sender, attempts, retries, clock, pass } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, rate_limit } }));
    for (let times = 0; times < 3_000; times += 1) sender.onRecord(requested(requestFor(['sub_a'])));
    await attempts[0]?.end(success);
    await retries.settleAll();
    pass(120_000);
    expect(clock.alarms.map(({ atMs }) => atMs - clock.nowMs < 2 ** 31)).toEqual([true]);
  });

  it('copies a large event for those who cannot have it now a few at a time, as Kafka takes them', async () => {
    const ids = Array.from({ length: 100 }, (_, n) => `sub_${n}`);
    const states = ids.map((id) => subscription(id, ['*'], { policy: { ...defaultPolicy, rate_limit: { per_second: 0.01, burst: 1 } } }));
    const { sender, retries, postponed, attempts } = sending(...states);
    sender.onRecord(requested(requestFor(ids)));
    const large = new FakeRecord('deliveries.requested', requestFor(ids), { payload: Buffer.alloc(900_000, 0x20) });
    sender.onRecord(large);
    await turn();
    expect([attempts.length, retries.made.length]).toEqual([100, 18]);
    for (let taken = 0; taken < retries.made.length; ) {
      taken = retries.made.length;
      await postponed.settleAll();
      await retries.settleAll();
    }
    expect([retries.made.length, large.timesDone]).toEqual([100, 1]);
  });

  it('lets wait in two lanes what is in memory once for both, up to the window that they share', () => {
    const ids = ['sub_a', 'sub_b'];
    const { sender, attempts, told } = sending(...ids.map((id) => subscription(id, ['*'], { policy: { ...defaultPolicy, max_concurrency: 1 } })));
    const event = (): FakeRecord => new FakeRecord('deliveries.requested', requestFor(ids), { payload: Buffer.alloc(900_000, 0x20) });
    for (let times = 0; times < 9; times += 1) sender.onRecord(event());
    expect([attempts.length, told]).toEqual([2, []]);
    sender.onRecord(event());
    expect(told).toEqual(['postponed slow', 'postponed slow']);
  });

  it('makes each payload once, in the format that each subscription asks for', () => {
    const raw = { payload: { format: 'raw' as const } };
    const transform = { payload: { format: 'transform' as const, transform: '{"kind": event.type}' } };
    const states = [subscription('sub_a', ['*']), subscription('sub_b', ['*'], raw), subscription('sub_c', ['*'], transform), subscription('sub_d', ['*'], transform)];
    const { sender, attempts } = sending(...states);
    sender.onRecord(requested(requestFor(['sub_a', 'sub_b', 'sub_c', 'sub_d'])));
    const [standard, bytes, made, same] = bodies(attempts);
    expect(standard?.toString()).toContain('"timestamp"');
    expect(bytes).toEqual(data);
    expect(made?.toString()).toBe('{"kind":"invoice.paid"}');
    expect(same).toBe(made);
  });

  it('sends by the terms of the subscription', () => {
    const authentication = { type: 'bearer' as const, token: { key_id: 'a', ciphertext: '' } };
    const policy = { ...defaultPolicy, success: { statuses: ['204'] } };
    const { sender, attempts } = sending(subscription('sub_a', ['*'], { authentication, policy }));
    sender.onRecord(requested(requestFor(['sub_a'])));
    expect(attempts[0]?.request.subscription).toMatchObject({
      url: 'https://example.com/sub_a',
      secrets: ['whsec_secret'],
      credentials: { authorization: 'Bearer whsec_secret' },
      success: { statuses: ['204'] },
    });
  });

  it('says by which version of the subscription it was made, and by none where there is no such subscription', async () => {
    const { sender, attempts, outcomes, learn } = sending(subscription('sub_a', ['*']), subscription('sub_off', ['*'], { enabled: false }));
    sender.onRecord(requested(requestFor(['sub_a', 'sub_gone', 'sub_off'])));
    await attempts[0]?.end(success);
    learn(subscription('sub_a', ['*']), 9);
    sender.onRecord(requested(requestFor(['sub_a'])));
    await attempts[1]?.end(success);
    expect(outcomes.made.map(({ subscription_id, subscription_version }) => [subscription_id, subscription_version])).toEqual([
      ['sub_gone', undefined],
      ['sub_off', 3],
      ['sub_a', 3],
      ['sub_a', 9],
    ]);
  });

  it('is done with a fan-out when the last of its deliveries is', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*']), subscription('sub_b', ['*']));
    const record = requested(requestFor(['sub_a', 'sub_b']));
    sender.onRecord(record);
    await attempts[0]?.end(success);
    await outcomes.settleAll();
    expect(record.timesDone).toBe(0);
    await attempts[1]?.end(success);
    await outcomes.settleAll();
    expect(record.timesDone).toBe(1);
  });

  it('writes the retry of a failed attempt into the wheel, and waits for that too', async () => {
    const policy = { ...defaultPolicy, retry_schedule_ms: [10_000] };
    const { sender, attempts, outcomes, retries } = sending(subscription('sub_a', ['*'], { policy }));
    const record = requested(requestFor(['sub_a', 'sub_gone']));
    sender.onRecord(record);
    await attempts[0]?.end(failure());
    const [retry] = retries.made;
    expect(retry).toMatchObject({ topic: 'deliveries.delayed.5s', key: 'sub_a' });
    const { head, data: carried } = unframe<RequestedHead>(retry?.value as Buffer);
    expect(head).toMatchObject({ subscriptions: ['sub_a'], round: 0, number: 2, trigger: 'retry' });
    expect(carried).toEqual(data);
    recordSchemas.requested.strict().parse(JSON.parse(String(retry?.value)));
    expect(outcomes.made.find(({ status }) => status === 'retrying')?.next_attempt_at).toBe(head.due_at);
    await outcomes.settleAll();
    expect(record.timesDone).toBe(0);
    await retries.settleAll();
    expect(record.timesDone).toBe(1);
  });

  it('ends as failed when the schedule is exhausted, and at once at 410', async () => {
    const policy = { ...defaultPolicy, retry_schedule_ms: [10_000] };
    const { sender, attempts, outcomes, retries } = sending(subscription('sub_a', ['*'], { policy }));
    sender.onRecord(requested(requestFor(['sub_a'], { number: 2, trigger: 'retry' })));
    sender.onRecord(requested(requestFor(['sub_a'])));
    await attempts[0]?.end(failure());
    await attempts[1]?.end(failure({ gone: true }));
    expect(outcomes.made.map(({ status, number }) => [status, number])).toEqual([['failed', 2], ['failed', 1]]);
    expect(retries.made.map(({ topic }) => topic)).toEqual(['operations', 'operations']);
  });

  it('tells the operators of a delivery that has failed for good, under the same id however often, before it is done', async () => {
    const { sender, attempts, outcomes, retries } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, retry_schedule_ms: [] } }));
    const records = [requested(requestFor(['sub_a'])), requested(requestFor(['sub_a']))];
    for (const record of records) sender.onRecord(record);
    for (const { end } of attempts) await end(failure());
    const [told, again] = retries.made.map(({ value }) => recordSchemas.operation.strict().parse(JSON.parse(String(value))));
    expect(told).toMatchObject({ type: 'delivery.failed', tenant: 'default', subject: deliveryId('default', 'evt_1', 'sub_a') });
    expect(told?.data).toMatchObject({ subscription_id: 'sub_a', event_id: 'evt_1', attempts: 1 });
    expect(again?.id).toBe(told?.id);
    await outcomes.settleAll();
    expect(records[0]?.timesDone).toBe(0);
    await retries.settleAll();
    expect(records[0]?.timesDone).toBe(1);
  });

  it('cancels, with the reason, what is for a subscription that is deleted or disabled', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_off', ['*'], { enabled: false }));
    const record = requested(requestFor(['sub_gone', 'sub_off']));
    sender.onRecord(record);
    await outcomes.settleAll();
    expect(outcomes.made.map(({ status, reason }) => [status, reason])).toEqual([
      ['cancelled', 'the subscription was deleted'],
      ['cancelled', 'the subscription is disabled'],
    ]);
    expect(attempts).toEqual([]);
    expect(record.timesDone).toBe(1);
  });

  it('writes outcomes as the catalogue describes them', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*']));
    sender.onRecord(requested(requestFor(['sub_a', 'sub_gone'])));
    await attempts[0]?.end(failure());
    const schema = recordSchemas.attempted.shape.outcomes.element.strict();
    expect(outcomes.made.map((outcome) => schema.parse(JSON.parse(JSON.stringify(outcome))).status).toSorted()).toEqual(['cancelled', 'retrying']);
  });

  it('does not call a subscription unknown before it has read as far as the router had', async () => {
    const { sender, attempts, outcomes, learn } = sending();
    sender.onRecord(requested(requestFor(['sub_new'], { position: 7 })));
    await turn();
    expect(outcomes.made).toEqual([]);
    learn(subscription('sub_new', ['*']), 7);
    expect(attempts).toHaveLength(1);
  });

  it('leaves what waits to the new owner of a partition that was taken away', async () => {
    const policy = { ...defaultPolicy, max_concurrency: 1 };
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*'], { policy }));
    const [first, second] = [requested(requestFor(['sub_a'])), requested(requestFor(['sub_a']))];
    sender.onRecord(first);
    sender.onRecord(second);
    second.revoked = true;
    await attempts[0]?.end(success);
    await outcomes.settleAll();
    expect(attempts).toHaveLength(1);
    expect(outcomes.made).toHaveLength(1);
  });

  it.each([
    ['was cut off by the end of the process', { error: { code: 'aborted' as const, message: 'aborted' } }, false],
    ['failed when its partition had been taken away', {}, true],
  ])('leaves an attempt that %s to whoever makes it again', async (_, rest, revoked) => {
    const { sender, attempts, outcomes, retries } = sending(subscription('sub_a', ['*']));
    const record = requested(requestFor(['sub_a']));
    sender.onRecord(record);
    record.revoked = revoked;
    await attempts[0]?.end(failure(rest));
    expect([outcomes.made, retries.made, record.timesDone, sender.core.inFlight]).toEqual([[], [], 0, 0]);
  });

  it('makes a retry once, though a crash had it written twice', async () => {
    const { sender, attempts, outcomes, retries } = sending(subscription('sub_a', ['*']));
    const retry = requestFor(['sub_a'], { number: 2, trigger: 'retry' });
    const [first, again, next] = [requested(retry), requested(retry), requested({ ...retry, number: 3 })];
    sender.onRecord(first);
    await attempts[0]?.end(failure());
    await outcomes.settleAll();
    await retries.settleAll();
    sender.onRecord(again);
    sender.onRecord(next);
    await turn();
    expect([attempts.length, retries.made.length, first.timesDone, again.timesDone, next.timesDone]).toEqual([2, 1, 1, 1, 0]);
  });

  it('makes an attempt once that was postponed, though a crash had it written twice', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*']));
    const [first, again] = [requested(requestFor(['sub_a'], { reserved: true })), requested(requestFor(['sub_a'], { reserved: true }))];
    sender.onRecord(first);
    await attempts[0]?.end(success);
    await outcomes.settleAll();
    sender.onRecord(again);
    await turn();
    expect([attempts.length, outcomes.made.length, again.timesDone]).toEqual([1, 1, 1]);
  });

  it('makes the retry of an event whose id was used for another one on an earlier day', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*']));
    const retry = requestFor(['sub_a'], { number: 2, trigger: 'retry' });
    sender.onRecord(requested(retry));
    await attempts[0]?.end(success);
    await outcomes.settleAll();
    sender.onRecord(requested({ ...retry, event: nextDay }));
    expect(attempts).toHaveLength(2);
  });

  it('makes a retry again whose outcome did not get into Kafka', async () => {
    const { sender, attempts } = sending(subscription('sub_a', ['*']));
    const retry = requestFor(['sub_a'], { number: 2, trigger: 'retry' });
    sender.onRecord(requested(retry));
    await attempts[0]?.end(failure());
    sender.onRecord(requested(retry));
    expect(attempts).toHaveLength(2);
  });

  it('refuses a record in a version that it does not know', () => {
    const { sender } = sending();
    const record = new FakeRecord('deliveries.requested', requestFor(['sub_a']), { headers: { schema: '99' } });
    expect(() => sender.onRecord(record)).toThrow('schema version 99');
  });
});

describe('a round that was asked for', () => {
  const asked = requestFor(['sub_a'], { round: 2, trigger: 'redeliver' });

  it('goes its own way: its retries, its end and what operators are told are of that round', async () => {
    const policy = { ...defaultPolicy, retry_schedule_ms: [10_000] };
    const { sender, attempts, outcomes, retries } = sending(subscription('sub_a', ['*'], { policy }));
    sender.onRecord(requested(asked));
    await attempts[0]?.end(failure());
    const [retry] = retries.made.map(headOf);
    expect(retry).toMatchObject({ round: 2, number: 2, trigger: 'retry' });
    if (retry === undefined) throw new Error('there is one');
    sender.onRecord(requested(retry));
    await attempts[1]?.end(failure());
    expect(outcomes.made.map(({ round, number, trigger, status }) => [round, number, trigger, status])).toEqual([
      [2, 1, 'redeliver', 'retrying'],
      [2, 2, 'retry', 'failed'],
    ]);
    expect(JSON.parse(String(retries.made[1]?.value))).toMatchObject({ id: operationId(deliveryId('default', 'evt_1', 'sub_a'), 2), data: { round: 2 } });
  });

  it('is sent once, though a crash had it written twice; and although the round before it was', async () => {
    const { sender, attempts, outcomes } = sending(subscription('sub_a', ['*']));
    const records = [requested(requestFor(['sub_a'], { round: 1, trigger: 'redeliver' })), requested(asked), requested(asked)];
    for (const [n, record] of records.entries()) {
      sender.onRecord(record);
      await attempts[n]?.end(success);
      await outcomes.settleAll();
    }
    expect([outcomes.made.map(({ round }) => round), records.map(({ timesDone }) => timesDone)]).toEqual([[1, 2], [1, 1, 1]]);
  });

  it('is cancelled as that round, where the subscription is not there or not enabled', async () => {
    const { sender, outcomes } = sending(subscription('sub_off', ['*'], { enabled: false }));
    sender.onRecord(requested({ ...asked, subscriptions: ['sub_gone', 'sub_off'] }));
    await outcomes.settleAll();
    expect(outcomes.made.map(({ round, status }) => [round, status])).toEqual([[2, 'cancelled'], [2, 'cancelled']]);
  });
});

describe('what its user has cancelled', () => {
  const one = { ...defaultPolicy, max_concurrency: 1 };

  it('ends without a request and without an outcome, and takes no place in its lane', async () => {
    const { sender, attempts, outcomes, cancel, told } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, rate_limit: { per_second: 0.1, burst: 1 } } }));
    cancel('evt_1');
    const record = requested(requestFor(['sub_a']));
    sender.onRecord(record);
    sender.onRecord(another());
    await turn();
    expect([attempts.map(({ request }) => request.eventId), outcomes.made, record.timesDone, told]).toEqual([['evt_2'], [], 1, ['cancelled']]);
  });

  it('ends when its turn comes, if it waits in its lane', async () => {
    const { sender, attempts, outcomes, cancel, told } = sending(subscription('sub_a', ['*'], { policy: one }));
    const [first, second] = [requested(requestFor(['sub_a'])), another()];
    sender.onRecord(first);
    sender.onRecord(second);
    cancel('evt_2');
    await attempts[0]?.end(success);
    await outcomes.settleAll();
    expect([attempts.length, outcomes.made.length, second.timesDone, sender.core.inFlight, told]).toEqual([1, 1, 1, 0, ['cancelled']]);
  });

  it('ends instead of being put off', async () => {
    const { sender, retries, cancel, pass, told } = sending(subscription('sub_a', ['*'], { policy: one }));
    const second = another();
    sender.onRecord(requested(requestFor(['sub_a'])));
    sender.onRecord(second);
    cancel('evt_2');
    pass(20_000);
    await turn();
    expect([retries.made, second.timesDone, told]).toEqual([[], 1, ['cancelled']]);
  });

  it('is not tried again when an attempt under way fails, and its end says why; one that gets through is delivered', async () => {
    const { sender, attempts, outcomes, retries, cancel, told } = sending(subscription('sub_a', ['*']));
    sender.onRecord(requested(requestFor(['sub_a'])));
    sender.onRecord(another());
    cancel('evt_1');
    cancel('evt_2');
    await attempts[0]?.end(failure());
    await attempts[1]?.end(success);
    expect(outcomes.made).toMatchObject([
      { event_id: 'evt_1', status: 'cancelled', reason: 'cancelled_by_user', attempt: {} },
      { event_id: 'evt_2', status: 'delivered' },
    ]);
    expect(outcomes.made[0]).not.toHaveProperty('next_attempt_at');
    expect([retries.made, told]).toEqual([[], ['cancelled']]);
    recordSchemas.attempted.strict().parse(JSON.parse(JSON.stringify({ outcomes: outcomes.made })));
  });

  it('is that round alone, and of that subscription', async () => {
    const { sender, attempts, cancel } = sending(subscription('sub_a', ['*']), subscription('sub_b', ['*']));
    cancel('evt_1', { round: 1 });
    sender.onRecord(requested(requestFor(['sub_a', 'sub_b'])));
    sender.onRecord(requested(requestFor(['sub_a', 'sub_b'], { round: 1, trigger: 'replay' })));
    await turn();
    expect(attempts.map(({ request }) => request.subscription.url.slice(-5))).toEqual(['sub_a', 'sub_b', 'sub_b']);
  });

  it('is of that event alone, and not of one that is accepted under the same id on a later day', async () => {
    const { sender, attempts, cancel, told } = sending(subscription('sub_a', ['*']));
    cancel('evt_1');
    sender.onRecord(requested(requestFor(['sub_a'], { event: nextDay })));
    await turn();
    expect([attempts.length, told]).toEqual([1, []]);
  });
});

describe('what a lane cannot take', () => {
  const slow = { ...defaultPolicy, rate_limit: { per_second: 0.1, burst: 1 } };

  it('goes into the wheel as it came, with its place, and its record is done when it has arrived there', async () => {
    const { sender, retries, outcomes, postponed: waiting, told } = sending(subscription('sub_a', ['*'], { policy: slow }));
    const [first, second] = [requested(requestFor(['sub_a'])), requested(requestFor(['sub_a'], { number: 3, round: 1, trigger: 'retry' }))];
    sender.onRecord(first);
    sender.onRecord(second);
    await turn();
    const [postponed, ...more] = retries.made;
    if (postponed === undefined) throw new Error('there is one');
    expect(more).toEqual([]);
    expect(headOf(postponed)).toMatchObject({ subscriptions: ['sub_a'], number: 3, round: 1, trigger: 'retry', reserved: true, due_at: new Date(10_000).toISOString() });
    expect(unframe(postponed.value as Buffer).data).toEqual(data);
    recordSchemas.requested.strict().parse(JSON.parse(String(postponed.value)));
    expect([outcomes.made, told, second.timesDone]).toEqual([[], ['postponed rate_limit'], 0]);
    await retries.settleAll();
    expect([first.timesDone, second.timesDone]).toEqual([0, 0]);
    await waiting.settleAll();
    expect([first.timesDone, second.timesDone]).toEqual([0, 1]);
    expect(waiting.made[0]).toMatchObject({ delivery_id: deliveryId('default', 'evt_1', 'sub_a'), number: 3, round: 1, cause: 'rate_limit', at: new Date(0).toISOString(), until: new Date(10_000).toISOString() });
    recordSchemas.attempted.strict().parse({ outcomes: [], postponed: waiting.made });
  });

  it('comes back for its place, and has none set aside once more when it is to be retried', async () => {
    const { sender, attempts, retries, pass } = sending(subscription('sub_a', ['*'], { policy: slow }));
    sender.onRecord(requested(requestFor(['sub_a'])));
    sender.onRecord(requested(requestFor(['sub_a'])));
    pass(10_000);
    sender.onRecord(requested(requestFor(['sub_a'], { reserved: true })));
    expect(attempts).toHaveLength(2);
    await attempts[1]?.end(failure());
    const retry = retries.made.at(-1);
    expect(retry && headOf(retry)).toMatchObject({ number: 2, trigger: 'retry' });
    expect(retry && 'reserved' in headOf(retry)).toBe(false);
  });

  it('is sent when its time has come, by an alarm', () => {
    const { sender, attempts, pass } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, rate_limit: { per_second: 1, burst: 1 } } }));
    for (let n = 0; n < 2; n += 1) sender.onRecord(requested(requestFor(['sub_a'])));
    pass(999);
    expect(attempts).toHaveLength(1);
    pass(1);
    expect(attempts).toHaveLength(2);
  });

  it('is left to the new owner of its partition', async () => {
    const { sender, retries, pass } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, max_concurrency: 1 } }));
    const [first, second] = [requested(requestFor(['sub_a'])), requested(requestFor(['sub_a']))];
    sender.onRecord(first);
    sender.onRecord(second);
    second.revoked = true;
    pass(10_000);
    await turn();
    expect([retries.made, sender.core.countLanes().waiting]).toEqual([[], 0]);
  });
});

describe('a subscriber that only fails', () => {
  it('is left alone by retries too, until its breaker lets one go', async () => {
    const { sender, attempts, retries, told } = sending(subscription('sub_a', ['*'], { policy: { ...defaultPolicy, retry_schedule_ms: [1_000] } }));
    for (let n = 0; n < 10; n += 1) sender.onRecord(requested(requestFor(['sub_a'])));
    for (const { end } of attempts) await end(failure());
    expect(told).toEqual(['sub_a open']);
    const dues = retries.made.map((record) => Date.parse(headOf(record).due_at ?? ''));
    expect(dues).toEqual([...Array.from({ length: 9 }, () => 1_000), 5_000]);
  });

  it.each([
    ['asks for time', { retryAfterMs: 60_000 }],
    ['never got what could not be made', { error: { code: 'payload_failed' as const, message: '' } }],
    ['cannot be asked for want of a token', { error: { code: 'auth_failed' as const, message: '' } }],
  ])('is not one that %s', async (_, rest) => {
    const { sender, attempts, told } = sending(subscription('sub_a', ['*']));
    for (let n = 0; n < 10; n += 1) sender.onRecord(requested(requestFor(['sub_a'])));
    for (const { end } of attempts) await end(failure(rest));
    expect(told).toEqual([]);
  });
});

describe('a subscription that is spread', () => {
  it('has an equal share of its limits in each partition', () => {
    const policy = { ...defaultPolicy, max_concurrency: 10, spread: 3 };
    const { sender, attempts } = sending(subscription('sub_a', ['*'], { policy }));
    for (const partition of [0, 0, 0, 0, 0, 1, 1]) sender.onRecord(Object.assign(requested(requestFor(['sub_a'])), { partition }));
    expect(attempts).toHaveLength(3 + 2);
  });

  it.each([
    [{ max_concurrency: 10, spread: 16 }, { maxConcurrency: 1, rate: undefined }],
    [{ max_concurrency: 100, spread: 4, rate_limit: { per_second: 10, burst: 6 } }, { maxConcurrency: 25, rate: { perSecond: 2.5, burst: 1 } }],
    [{ max_concurrency: 24, spread: 16 }, { maxConcurrency: 2 }],
    [{ max_concurrency: 7 }, { maxConcurrency: 7 }],
  ])('shares %j', (policy, terms) => {
    expect(laneTermsOf({ ...defaultPolicy, ...policy }, 12)).toMatchObject(terms);
  });
});
