import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Consumption, KafkaError } from '@posthorn/kafka';
import { KafkaSource } from './kafka-source.js';

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

const ignore = (): void => undefined;
const missing = new KafkaError('refused', 'there is no topic orders');

/** A Kafka in which the topic appears when the test says so. */
const given = () => {
  const state = { failure: undefined as Error | undefined, assigned: false, closed: 0, consumed: [] as unknown[], errors: 0, joining: Promise.resolve() };
  const consumption: Consumption = {
    lag: new Map([['orders', 3]]),
    oldestMs: new Map([['orders', 1_000]]),
    inFlight: 0,
    inFlightBytes: 0,
    get assigned() {
      return state.assigned;
    },
    stalled: undefined,
    committed: () => undefined,
    isCommitted: () => false,
    isMember: async () => true,
    close: async () => void state.closed++,
  };
  const source = new KafkaSource({
    kafka: {
      partitions: async () => {
        if (state.failure) throw state.failure;
        return 1;
      },
      consume: async (options) => {
        state.consumed.push(options);
        await state.joining;
        return consumption;
      },
    },
    log: { debug: ignore, info: ignore, warn: ignore, error: () => void state.errors++, fatal: ignore },
    groupId: 'g',
    topic: 'orders',
    onRecord: ignore,
    totalBytes: 7,
  });
  return { state, source };
};

describe('a topic that events are read from', () => {
  it('is read when it is there, in its own group and bounds', async () => {
    const { state, source } = given();
    await source.open();
    expect(state.consumed).toMatchObject([{ groupId: 'g', topics: ['orders'], totalBytes: 7 }]);
    expect(source.notReady).toMatch(/not yet/);
    state.assigned = true;
    expect([source.notReady, source.lag.get('orders'), source.oldestMs.get('orders')]).toEqual([undefined, 3, 1_000]);
  });

  it('is waited for when it is not, which is told as the reason, and once in the log', async () => {
    const { state, source } = given();
    state.failure = missing;
    const opened = source.open();
    await jest.advanceTimersByTimeAsync(5_000);
    expect([source.notReady, state.errors, state.consumed.length]).toEqual(['there is no topic orders', 1, 0]);
    state.failure = undefined;
    await jest.advanceTimersByTimeAsync(1_000);
    await opened;
    expect([source.notReady, state.consumed.length]).toEqual([expect.stringMatching(/not yet/), 1]);
  });

  it('can be closed while it is waited for', async () => {
    const { state, source } = given();
    state.failure = missing;
    const opened = source.open();
    await jest.advanceTimersByTimeAsync(100);
    await source.close();
    await opened;
    expect(state.consumed).toEqual([]);
  });

  it('is left when it is closed while its group is being joined', async () => {
    const { state, source } = given();
    const { promise, resolve } = Promise.withResolvers<void>();
    state.joining = promise;
    const opened = source.open();
    await jest.advanceTimersByTimeAsync(0);
    await source.close();
    resolve();
    await opened;
    expect([state.consumed.length, state.closed]).toEqual([1, 1]);
  });

  it('does not hide what is wrong with us', async () => {
    const { state, source } = given();
    state.failure = new TypeError('a mistake');
    await expect(source.open()).rejects.toThrow('a mistake');
  });
});
