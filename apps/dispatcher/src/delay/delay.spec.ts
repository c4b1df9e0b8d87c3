import { describe, expect, it } from '@jest/globals';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Calls, FakeRecord, requestFor } from '../spec-support/records.js';
import { WallClock } from '../spec-support/wall-clock.js';
import { Delay } from './delay.js';
import { Wheel } from './wheel.js';

const NOW = Date.UTC(2026, 0, 1);
const HOUR = 3_600_000;

/** `enter` and the answer count in milliseconds from the beginning. */
const delaying = () => {
  const clock = new WallClock(NOW);
  const sent = new Calls<OutgoingRecord>();
  const delay = new Delay({
    topic: (name) => name,
    wheel: new Wheel((name) => name, 15),
    partitionOf: (subscription, eventId) => (subscription === 'sub_a' && eventId === 'evt_1' ? 5 : 0),
    send: sent.call,
    fatal: (error) => {
      throw error;
    },
    nowMs: clock.nowMs,
    setTimer: clock.setTimer,
  });
  const enter = (tier: string, dueMs: number, { timestampMs = clock.nowMs() - NOW, headers = {} } = {}): FakeRecord => {
    const due_at = new Date(NOW + dueMs).toISOString();
    const head = requestFor(['sub_a'], { number: 2, trigger: 'retry', due_at });
    const record = new FakeRecord(`deliveries.delayed.${tier}`, head, { timestampMs: NOW + timestampMs, headers });
    delay.onRecord(record);
    return record;
  };
  return { clock, delay, sent, enter };
};

const places = (sent: Calls<OutgoingRecord>): string[] => sent.made.map(({ topic }) => topic);

describe('the delay role', () => {
  it('gives a delivery back when it is due, not before, its bytes untouched', async () => {
    const { clock, sent, enter } = delaying();
    const record = enter('1s', 1_500);
    clock.pass(1_499);
    expect(sent.made).toEqual([]);
    clock.pass(1);
    expect(sent.made).toMatchObject([{ topic: 'deliveries.requested', partition: 5, key: '5' }]);
    expect(sent.made[0]?.value).toBe(record.value);
    expect(record.timesDone).toBe(0);
    await sent.settleAll();
    expect(record.timesDone).toBe(1);
  });

  it('moves what is not due yet to a smaller tier', () => {
    const { clock, sent, enter } = delaying();
    enter('5s', 8_000);
    clock.pass(5_000);
    expect(sent.made).toMatchObject([{ topic: 'deliveries.delayed.1s', key: 'sub_a', partition: expect.any(Number) }]);
  });

  it('gives back at once, all together, what became due while nobody looked', () => {
    const { clock, sent, enter } = delaying();
    enter('1s', -100_000);
    enter('1s', -99_999);
    clock.pass(0);
    expect(places(sent)).toEqual(['deliveries.requested', 'deliveries.requested']);
  });

  it('lets nothing wait for what came before it and is due later', () => {
    const { clock, sent, enter } = delaying();
    enter('1s', 4_900);
    enter('1s', 100);
    clock.pass(100);
    expect(sent.made).toHaveLength(1);
    clock.pass(4_799);
    expect(sent.made).toHaveLength(1);
    clock.pass(1);
    expect(sent.made).toHaveLength(2);
  });

  it('knows how long the first has been overdue', () => {
    const { clock, delay, enter } = delaying();
    enter('5s', 8_000);
    expect(delay.overdueMs(clock.nowMs())).toBe(0);
    expect(delay.overdueMs(clock.nowMs() + 7_000)).toBe(2_000);
  });

  it('drops what it holds of a partition that was taken away, and of no other', () => {
    const { clock, delay, sent, enter } = delaying();
    const { topic, partition } = enter('1s', 1_500);
    enter('5s', 8_000);
    delay.onRevoked(topic, partition);
    clock.pass(4_999);
    expect(sent.made).toEqual([]);
    clock.pass(1);
    expect(places(sent)).toEqual(['deliveries.delayed.1s']);
  });

  it('sends nothing of what was revoked while it was held', () => {
    const { clock, sent, enter } = delaying();
    enter('1s', 1_500).revoked = true;
    clock.pass(10_000);
    expect(sent.made).toEqual([]);
  });

  it('goes on after any pause with what is there, late ones first', () => {
    const { clock, sent, enter } = delaying();
    clock.pass(10 * HOUR);
    enter('30s', 40_000, { timestampMs: 0 });
    enter('1s', 10 * HOUR + 700, { timestampMs: 10 * HOUR - 1_000 });
    clock.pass(0);
    expect(places(sent)).toEqual(['deliveries.requested']);
    clock.pass(700);
    expect(places(sent)).toEqual(['deliveries.requested', 'deliveries.requested']);
  });
});

describe('when clocks are set', () => {
  it('forward, what has become due by that leaves soon, however long its timer was to run', () => {
    const { clock, sent, enter } = delaying();
    enter('6h', 7 * HOUR);
    clock.pass(1_000);
    clock.set(NOW + 8 * HOUR);
    clock.pass(250);
    expect(places(sent)).toEqual(['deliveries.requested']);
  });

  it('back, nothing leaves early, and nobody waits behind what was to leave soon and now has long to go', () => {
    const { clock, sent, enter } = delaying();
    enter('1s', 2_000);
    enter('5s', 8_000);
    clock.set(NOW - HOUR);
    clock.pass(250);
    // Due in an hour and two seconds: no longer a matter of the smallest tier.
    expect(places(sent)).toEqual(['deliveries.delayed.1h']);
    clock.pass(5_000);
    expect(places(sent)).toEqual(['deliveries.delayed.1h', 'deliveries.delayed.1h']);
  });

  it('back, what comes after that is given back when it is due', () => {
    const { clock, sent, enter } = delaying();
    enter('1s', 2_000);
    clock.pass(100);
    clock.set(NOW - HOUR);
    enter('1s', 300 - HOUR);
    clock.pass(299);
    expect(places(sent)).not.toContain('deliveries.requested');
    clock.pass(1);
    expect(places(sent)).toContain('deliveries.requested');
  });

  it("ahead, by the timestamps of others, a record waits no longer than its tier's length", () => {
    const { clock, sent, enter } = delaying();
    enter('5s', 20_000, { timestampMs: HOUR });
    clock.pass(5_000);
    expect(places(sent)).toEqual(['deliveries.delayed.5s']);
  });

  it('behind, by the timestamps of others, a record is moved on once, not again and again', () => {
    const { clock, sent, enter } = delaying();
    enter('5s', 20_000, { timestampMs: -HOUR });
    clock.pass(0);
    expect(places(sent)).toEqual(['deliveries.delayed.5s']);
    const headers = Object.fromEntries(Object.entries(sent.made[0]?.headers ?? {}).map(([name, value]) => [name, String(value)]));
    enter('5s', 20_000, { timestampMs: -HOUR, headers });
    clock.pass(4_999);
    expect(sent.made).toHaveLength(1);
    clock.pass(1);
    expect(sent.made).toHaveLength(2);
  });

  it('to and fro at random, every record leaves the wheel once, when the clock says that it is due', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const { due, given, early } = turnOfManyClocks(seed);
      expect(given.toSorted((a, b) => a - b)).toEqual(due.toSorted((a, b) => a - b));
      expect(early).toEqual([]);
    }
  });
});

/** A wheel whose records go round by themselves, while the time of day is set now and then. */
const turnOfManyClocks = (seed: number): { readonly due: readonly number[]; readonly given: readonly number[]; readonly early: readonly number[] } => {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (state >>> 8) % limit;
  };
  const { clock, sent, enter } = delaying();
  const due = Array.from({ length: 20 }, () => below(120_000));
  for (const dueMs of due) enter(['1s', '5s', '30s', '2m'][below(4)] ?? '1s', dueMs, { timestampMs: below(10_000) - 5_000 });
  const given: number[] = [];
  const early: number[] = [];
  let seen = 0;
  const goRound = (): void => {
    for (; seen < sent.made.length; seen += 1) {
      const outgoing = sent.made[seen];
      if (!outgoing || !(outgoing.value instanceof Buffer)) continue;
      const head = JSON.parse(outgoing.value.toString().split('\n')[0]?.slice(0, -1) + '}') as { due_at: string };
      const dueMs = Date.parse(head.due_at) - NOW;
      if (outgoing.topic === 'deliveries.requested') {
        given.push(dueMs);
        if (clock.nowMs() - NOW < dueMs) early.push(dueMs);
      } else {
        const headers = Object.fromEntries(Object.entries(outgoing.headers ?? {}).map(([name, value]) => [name, String(value)]));
        enter(outgoing.topic.slice('deliveries.delayed.'.length), dueMs, { headers });
      }
    }
  };
  for (let step = 0; step < 3_000 && given.length < due.length; step += 1) {
    clock.pass(below(300));
    goRound();
    if (below(40) === 0) clock.set(clock.nowMs() + below(60_000) - 30_000);
  }
  // What is overdue by now leaves with the next look.
  clock.set(NOW + 200_000);
  for (let step = 0; step < 20; step += 1) {
    clock.pass(250);
    goRound();
  }
  return { due, given, early };
};
