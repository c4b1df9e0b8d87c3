import { describe, expect, it } from '@jest/globals';
import { frame } from '@posthorn/contracts';
import { hashOfRecord, KafkaAcceptedLog } from './accepted-log.js';
import { hashOfEvent } from './hash.js';

const setUp = () => {
  const state = { nowMs: 1_000, asked: 0, isAway: false };
  const kafka = {
    ends: async () => {
      state.asked += 1;
      if (state.isAway) throw new Error('away');
      return new Map([[0, state.asked]]);
    },
    follow: () => Promise.reject(new Error('nothing is read here')),
  };
  return { state, log: new KafkaAcceptedLog(kafka, 't', () => state.nowMs) };
};

describe('the bounds of what is accepted', () => {
  it('move on after every use', async () => {
    const { log } = setUp();
    await log.refresh();
    expect(log.bounds).toEqual([1]);
    await log.refresh();
    expect(log.bounds).toEqual([2]);
  });

  it('are asked for at rest only now and then', async () => {
    const { log, state } = setUp();
    await log.refresh();
    for (state.nowMs = 2_000; state.nowMs < 31_000; state.nowMs += 1_000) await log.refresh();
    expect(state.asked).toBe(1);
    await log.refresh();
    expect(state.asked).toBe(2);
  });

  it('are asked for again when Kafka was away', async () => {
    const { log, state } = setUp();
    await log.refresh();
    state.isAway = true;
    expect(log.bounds).toEqual([1]);
    await expect(log.refresh()).rejects.toThrow('away');
    state.isAway = false;
    await log.refresh();
    expect(log.bounds).toEqual([3]);
  });

  it('that were used while they were asked for count as used', async () => {
    const { log, state } = setUp();
    const refreshing = log.refresh();
    expect(log.bounds).toEqual([]);
    await refreshing;
    await log.refresh();
    expect(state.asked).toBe(2);
  });
});

describe('a record of events.accepted', () => {
  it('tells which event it is', () => {
    expect(hashOfRecord(frame({ tenant: 't', id: '1' }, Buffer.from('{}')))).toBe(hashOfEvent('t', '1'));
  });

  it.each([
    ['nothing', null],
    ['no bytes', Buffer.alloc(0)],
    ['text', Buffer.from('hello')],
    ['JSON on lines', Buffer.from('{"tenant":"t"\n,"id":"1"}')],
    ['what JSON could not be', Buffer.from([0xff, 0x0a, 0xff])],
    ['null', Buffer.from('null,\n1')],
    ['another kind of record', frame({ tenant: 't', id: 1 }, Buffer.from('{}'))],
    ['one without an id', frame({ tenant: 't' }, Buffer.from('{}'))],
  ])('that is %s, which somebody else wrote, is no event', (_, value) => {
    expect(hashOfRecord(value)).toBeUndefined();
  });
});
