import { describe, expect, it, jest } from '@jest/globals';
import { KafkaError } from './errors.js';
import { PackingProducer, type PlacedRecord, type ProducerGuard, type ProducerOptions, type Transport } from './producer.js';
import type { Logger } from './settings.js';
import { realTime, type Time } from './time.js';

class ProtocolError extends Error {
  constructor(readonly type: string) {
    super(type);
  }
}

type Answer = (records: readonly PlacedRecord[]) => Promise<void>;

const accept: Answer = async () => undefined;

/** A broker with two partitions a topic, that answers as it is told. */
const setUp = (options?: ProducerOptions, time?: Time) => {
  const requests: PlacedRecord[][] = [];
  const written: string[] = [];
  let answer = accept;
  const transport: Transport = {
    async send(records) {
      requests.push([...records]);
      await answer(records);
      written.push(...records.map(({ value }) => String(value)));
    },
    async partitions(topic) {
      if (topic === 'none') throw new KafkaError('refused', 'no such topic');
      return 2;
    },
    close: async () => undefined,
  };
  const log = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() } satisfies Logger;
  return {
    producer: new PackingProducer(transport, log, options, time),
    requests,
    written,
    log,
    answerWith: (next: Answer) => void (answer = next),
  };
};

const settled = () => new Promise((resolve) => void setImmediate(resolve));

/** Stands still until it is told to go on; runs what is due, one after the other. */
const handClock = () => {
  let nowMs = 1_000;
  const timers = new Set<{ readonly atMs: number; readonly run: () => void }>();
  const time: Time = {
    ...realTime,
    nowMs: () => nowMs,
    after: (ms, run) => {
      const timer = { atMs: nowMs + ms, run };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
  };
  const pass = async (ms: number) => {
    await settled();
    nowMs += ms;
    for (const timer of timers) {
      if (timer.atMs > nowMs) continue;
      timers.delete(timer);
      timer.run();
    }
    await settled();
  };
  return { time, pass };
};

const failing = (times: number, error: Error) => {
  let left = times;
  return async () => {
    if (left-- > 0) throw error;
  };
};

const values = (requests: readonly (readonly PlacedRecord[])[]) => requests.map((records) => records.map(({ value }) => value));

describe('producer', () => {
  it('sends at once when idle, and packs what arrives while a request is in flight', async () => {
    const { producer, requests, answerWith } = setUp();
    let release: (() => void) | undefined;
    answerWith(() => new Promise((resolve) => (release = resolve)));
    const first = producer.send({ topic: 't', value: 'a' });
    while (requests.length === 0) await Promise.resolve();
    const rest = ['b', 'c', 'd'].map((value) => producer.send({ topic: 't', value }));
    expect(values(requests)).toEqual([['a']]);
    answerWith(accept);
    release?.();
    await Promise.all([first, ...rest]);
    expect(values(requests)).toEqual([['a'], ['b', 'c', 'd']]);
    expect(producer.pendingBytes).toBe(0);
  });

  it('keeps a request within its bytes', async () => {
    const { producer, requests } = setUp({ maxBatchBytes: 250 });
    await Promise.all(Array.from({ length: 5 }, () => producer.send({ topic: 't', value: Buffer.alloc(60) })));
    expect(requests.map(({ length }) => length)).toEqual([2, 2, 1]);
  });

  describe('paces', () => {
    it('what comes together: the next request begins no sooner than so long after the last', async () => {
      const { time, pass } = handClock();
      const { producer, requests } = setUp({ paceMs: 5 }, time);
      for (const value of ['a', 'b']) void producer.send({ topic: 't', value });
      await pass(1);
      for (const value of ['c', 'd']) void producer.send({ topic: 't', value });
      await pass(3);
      void producer.send({ topic: 't', value: 'e' });
      await pass(0.9);
      expect(values(requests)).toEqual([['a', 'b']]);
      await pass(0.1);
      expect(values(requests)).toEqual([['a', 'b'], ['c', 'd', 'e']]);
    });

    it('nothing that comes alone, of each of its topics', async () => {
      const { time, pass } = handClock();
      const { producer, requests } = setUp({ paceMs: 5 }, time);
      for (const value of ['a', 'b', 'c']) {
        void producer.send({ topic: 't', value });
        void producer.send({ topic: 'u', value });
        await pass(0.1);
      }
      expect(values(requests)).toEqual([['a', 'a'], ['b', 'b'], ['c', 'c']]);
    });

    it('only as long as what comes does not fill a request', async () => {
      const { time, pass } = handClock();
      const { producer, requests } = setUp({ paceMs: 5, maxBatchBytes: 250 }, time);
      for (let n = 0; n < 5; n++) void producer.send({ topic: 't', value: Buffer.alloc(60) });
      await pass(0);
      expect(requests.map(({ length }) => length)).toEqual([2, 2, 1]);
    });

    it('not beyond a lull', async () => {
      const { time, pass } = handClock();
      const { producer, requests } = setUp({ paceMs: 5 }, time);
      for (const value of ['a', 'b']) void producer.send({ topic: 't', value });
      await pass(6);
      void producer.send({ topic: 't', value: 'c' });
      await pass(0);
      expect(values(requests)).toEqual([['a', 'b'], ['c']]);
    });
  });

  it('places records by key, by number, and without either by turns', async () => {
    const { producer, requests } = setUp();
    await Promise.all([producer.send({ topic: 't', key: 'foobar', value: '' }), producer.send({ topic: 't', partition: 1, value: '' })]);
    await producer.send({ topic: 't', value: '' });
    await producer.send({ topic: 't', value: '' });
    expect(requests.map((records) => records.map(({ partition }) => partition))).toEqual([[0, 1], [1], [0]]);
  });

  it('sends a batch again, in its order, until it is taken, and logs the outage once', async () => {
    const { producer, written, log, answerWith } = setUp();
    answerWith(failing(4, new ProtocolError('NOT_LEADER_FOR_PARTITION')));
    await Promise.all(['a', 'b', 'c'].map((value) => producer.send({ topic: 't', partition: 0, value })));
    expect(written).toEqual(['a', 'b', 'c']);
    expect([log.warn.mock.calls.length, log.info.mock.calls.length]).toEqual([1, 1]);
  });

  it('does not take an error of the client that it does not know for a refusal', async () => {
    const { producer, answerWith } = setUp();
    answerWith(failing(2, new TypeError("Cannot read properties of undefined (reading 'connect')")));
    await expect(producer.send({ topic: 't', value: 'a' })).resolves.toBeUndefined();
  });

  it('gives up at the deadline, and does not send what was given up', async () => {
    const { producer, requests, answerWith } = setUp();
    answerWith(failing(Infinity, new Error('connect ECONNREFUSED')));
    const given = producer.send({ topic: 't', value: 'late' }, { deadlineMs: 60 });
    const patient = producer.send({ topic: 't', value: 'patient' });
    await expect(given).rejects.toMatchObject({ name: 'KafkaError', code: 'unavailable' });
    answerWith(accept);
    await patient;
    expect(requests.at(-1)?.map(({ value }) => value)).toEqual(['patient']);
  });

  it('rejects a record that is too large alone, and sends its neighbours in order', async () => {
    const { producer, written, answerWith } = setUp();
    answerWith(async (records) => {
      if (records.some(({ value }) => value === 'large')) throw new ProtocolError('MESSAGE_TOO_LARGE');
    });
    const names = ['a', 'b', 'large', 'c', 'd'];
    const outcomes = await Promise.allSettled(names.map((value, i) => producer.send({ topic: 't', partition: i === 1 ? 1 : 0, value })));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled', 'fulfilled']);
    expect(outcomes[2]).toMatchObject({ reason: { code: 'refused' } });
    expect(written.filter((value) => value !== 'b')).toEqual(['a', 'c', 'd']);
  });

  it('refuses without asking what no topic of ours takes, a partition that does not exist, and an unknown topic', async () => {
    const { producer, requests } = setUp();
    const refused = { code: 'refused' };
    await expect(producer.send({ topic: 't', value: Buffer.alloc(3 * 1024 * 1024) })).rejects.toMatchObject(refused);
    await expect(producer.send({ topic: 't', partition: 2, value: 'x' })).rejects.toMatchObject(refused);
    await expect(producer.send({ topic: 'none', value: 'x' })).rejects.toMatchObject(refused);
    expect(requests).toEqual([]);
  });

  describe('with a guard', () => {
    it('does not send again what an attempt without an answer has written, nor what is withdrawn', async () => {
      const asked: boolean[] = [];
      const guard: ProducerGuard = (records, isRepetition) => {
        asked.push(isRepetition);
        if (!isRepetition) return undefined;
        return Promise.resolve(records.map(({ value }) => (value === 'a' ? 'written' : value === 'b' ? 'withdraw' : 'send')));
      };
      const { producer, requests, answerWith } = setUp({ guard });
      answerWith(failing(1, new Error('socket closed')));
      const outcomes = await Promise.allSettled(['a', 'b', 'c'].map((value) => producer.send({ topic: 't', value })));
      expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { reason: { code: 'withdrawn' } }, { status: 'fulfilled' }]);
      expect(values(requests)).toEqual([['a', 'b', 'c'], ['c']]);
      expect(asked).toEqual([false, true]);
    });

    it('asks of the parts of a batch that was refused, too: the rest may have been written', async () => {
      const { producer, requests, answerWith } = setUp({
        guard: (records, isRepetition) =>
          isRepetition ? Promise.resolve(records.map(({ value }) => (value === 'a' ? 'written' : 'send'))) : undefined,
      });
      answerWith(async (records) => {
        if (records.some(({ value }) => value === 'large')) throw new ProtocolError('MESSAGE_TOO_LARGE');
      });
      await Promise.allSettled([producer.send({ topic: 't', partition: 0, value: 'a' }), producer.send({ topic: 't', partition: 1, value: 'large' })]);
      expect(values(requests)).toEqual([['a', 'large'], ['large']]);
    });

    it('keeps what has been tried beyond its deadline until its fate is known, and gives up what has not', async () => {
      const { producer, written, answerWith } = setUp({ guard: () => undefined });
      answerWith(failing(Infinity, new Error('connect ECONNREFUSED')));
      const tried = producer.send({ topic: 't', value: 'tried' }, { deadlineMs: 20 });
      while (written.length === 0 && producer.pendingBytes === 0) await Promise.resolve();
      await new Promise((resolve) => void setImmediate(resolve));
      await expect(producer.send({ topic: 't', value: 'late' }, { deadlineMs: 20 })).rejects.toMatchObject({ code: 'unavailable' });
      answerWith(accept);
      await tried;
      expect(written).toEqual(['tried']);
    });

    it('waits for a guard that cannot say', async () => {
      let times = 0;
      const { producer, written } = setUp({ guard: async () => (times++ < 2 ? Promise.reject(new Error('away')) : ['send']) });
      await producer.send({ topic: 't', value: 'a' });
      expect([written, times]).toEqual([['a'], 3]);
    });
  });

  it('flushes what was sent before, and closes', async () => {
    const { producer, written } = setUp();
    void producer.send({ topic: 't', value: 'a' });
    await producer.flush();
    expect(written).toEqual(['a']);
    void producer.send({ topic: 't', value: 'b' });
    await producer.close();
    expect(written).toEqual(['a', 'b']);
    await expect(producer.send({ topic: 't', value: 'c' })).rejects.toMatchObject({ code: 'closed' });
  });
});
