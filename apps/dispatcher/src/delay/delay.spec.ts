import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { OutgoingRecord } from '@posthorn/kafka';
import { Calls, FakeRecord, requestFor } from '../spec-support/records.js';
import { Delay } from './delay.js';

const at = (ms: number): string => new Date(ms).toISOString();

const delaying = () => {
  const sent = new Calls<OutgoingRecord>();
  const delay = new Delay({
    topic: (name) => name,
    partitionOf: () => 5,
    send: sent.call,
    fatal: (error) => {
      throw error;
    },
  });
  const enter = (tier: string, dueMs: number): FakeRecord => {
    const record = new FakeRecord(`deliveries.delayed.${tier}`, requestFor(['sub_a'], { number: 2, trigger: 'retry', due_at: at(dueMs) }), {
      timestampMs: Date.now(),
    });
    delay.onRecord(record);
    return record;
  };
  return { delay, sent, enter };
};

describe('the delay role', () => {
  beforeEach(() => {
    jest.useFakeTimers({ now: 1_000_000, doNotFake: ['setImmediate'] });
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  it('gives a delivery back when it is due, not before, its bytes untouched', async () => {
    const { sent, enter } = delaying();
    const record = enter('1s', 1_001_500);
    jest.advanceTimersByTime(1_499);
    expect(sent.made).toEqual([]);
    jest.advanceTimersByTime(1);
    expect(sent.made).toMatchObject([{ topic: 'deliveries.requested', partition: 5, key: '5' }]);
    expect(sent.made[0]?.value).toBe(record.value);
    expect(record.timesDone).toBe(0);
    await sent.settleAll();
    expect(record.timesDone).toBe(1);
  });

  it('moves what is not due yet to a smaller tier', () => {
    const { sent, enter } = delaying();
    enter('5s', 1_008_000);
    jest.advanceTimersByTime(5_000);
    expect(sent.made).toMatchObject([{ topic: 'deliveries.delayed.1s', key: 'sub_a' }]);
  });

  it('gives back at once, all together, what became due while nobody looked', () => {
    const { sent, enter } = delaying();
    enter('1s', 900_000);
    enter('1s', 900_001);
    expect(sent.made).toHaveLength(2);
  });

  it('knows how long the first has been overdue', () => {
    const { delay, enter } = delaying();
    enter('5s', 1_008_000);
    expect(delay.overdueMs(Date.now())).toBe(0);
    expect(delay.overdueMs(Date.now() + 7_000)).toBe(2_000);
  });

  it('drops what it holds of a partition that was taken away', () => {
    const { delay, sent, enter } = delaying();
    const record = enter('1s', 1_001_500);
    delay.onRevoked(record.topic, record.partition);
    jest.advanceTimersByTime(10_000);
    expect(sent.made).toEqual([]);
  });
});
