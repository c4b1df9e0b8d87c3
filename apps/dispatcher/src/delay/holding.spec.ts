import { describe, expect, it } from '@jest/globals';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Calls, FakeRecord, requestFor, turn } from '../spec-support/records.js';
import { WallClock } from '../spec-support/wall-clock.js';
import { Delay } from './delay.js';
import { Wheel } from './wheel.js';

const NOW = Date.UTC(2026, 0, 1);

const delaying = () => {
  const clock = new WallClock(NOW);
  const sent = new Calls<OutgoingRecord>();
  const delay = new Delay({
    topic: (name) => name,
    wheel: new Wheel((name) => name, 15),
    partitionOf: () => 0,
    send: sent.call,
    fatal: (error) => {
      throw error;
    },
    nowMs: clock.nowMs,
    setTimer: clock.setTimer,
  });
  const enter = (dueMs: number): FakeRecord => {
    const head = requestFor(['sub_a'], { number: 2, trigger: 'retry', due_at: new Date(NOW + dueMs).toISOString() });
    const record = new FakeRecord('deliveries.delayed.1s', head, { timestampMs: clock.nowMs() });
    delay.onRecord(record);
    return record;
  };
  const holding = () => {
    let isOver = false;
    void delay.hold().then(() => (isOver = true));
    return { isOver: async () => (await turn(), isOver) };
  };
  return { clock, delay, sent, enter, holding };
};

describe('while partitions may be taken away', () => {
  it('nothing leaves the wheel, due or overdue, until one is assigned', async () => {
    const { clock, delay, sent, enter, holding } = delaying();
    enter(500);
    expect(await holding().isOver()).toBe(true);
    clock.pass(1_000);
    enter(600);
    clock.pass(1_000);
    expect(sent.made).toEqual([]);
    delay.onAssigned();
    clock.pass(1);
    expect(sent.made).toHaveLength(2);
  });

  it('what is on its way is waited for', async () => {
    const { clock, sent, enter, holding } = delaying();
    const [first, second] = [enter(500), enter(700)];
    clock.pass(500);
    const { isOver } = holding();
    expect([await isOver(), first.timesDone]).toEqual([false, 0]);
    await sent.settleAll();
    expect([await isOver(), first.timesDone, second.timesDone, sent.made.length]).toEqual([true, 1, 0, 1]);
  });
});
