import { describe, expect, it, jest } from '@jest/globals';
import { GroupConsumption } from './consumer.js';
import type { IncomingRecord } from './incoming.js';
import type { ConsumerGroup } from './kafkajs-internals.js';
import type { Logger } from './settings.js';

const TOPIC = 't';
const PARTITION = [{ topic: TOPIC, partitions: [0] }];

/** A member that was assigned one partition of a topic, by a group that has come to `committed.offset`. */
const memberOf = () => {
  const committed = { generation: 1, offset: 0, metadata: null as string | null };
  const records: IncomingRecord[] = [];
  const log = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() } satisfies Logger;
  const consumption = new GroupConsumption({ groupId: 'g', topics: [TOPIC], onRecord: (record) => void records.push(record), drainMs: 0 }, log, jest.fn());
  let isPaused = false;
  const group = {
    groupId: 'g',
    memberId: 'm',
    generationId: 1,
    cluster: { fetchTopicsOffset: async () => [{ topic: TOPIC, partitions: [{ partition: 0, offset: '0' }] }] },
    coordinator: {
      heartbeat: async ({ memberId, groupGenerationId }: { readonly memberId: string; readonly groupGenerationId: number }) => {
        if (memberId !== 'm' || groupGenerationId !== committed.generation) throw new Error('ILLEGAL_GENERATION');
      },
      offsetFetch: async () => ({ responses: [{ topic: TOPIC, partitions: [{ partition: 0, offset: String(committed.offset), metadata: committed.metadata }] }] }),
    },
    assigned: () => PARTITION,
    pause: () => (isPaused = true),
    resume: () => (isPaused = false),
    resolveOffset: () => undefined,
    commitOffsets: async () => undefined,
  } as unknown as ConsumerGroup;
  const take = (count: number): void => {
    const messages = Array.from({ length: count }, (_, offset) => ({ offset: String(offset), timestamp: '7', key: null, value: null, headers: {}, isControlRecord: false }));
    consumption.take({ topic: TOPIC, partition: 0, messages, lastOffset: String(count - 1), highWatermark: String(count) });
  };
  return { consumption, group, committed, records, take, isPaused: () => isPaused };
};

describe('a member of a group', () => {
  it('reads on when what was done too far apart to be told has been done by another member meanwhile', async () => {
    const { consumption, group, committed, records, take, isPaused } = memberOf();
    await consumption.afterJoin(group);
    take(40_000);
    for (const record of records) if (Number(record.offset) % 2 === 1) record.done();
    await consumption.beforeJoin(group);
    committed.offset = 40_000;
    await consumption.afterJoin(group);
    expect([consumption.inFlight, isPaused()]).toEqual([0, false]);
  });

  it('knows whether the group still counts on it, also when it has not been told', async () => {
    const { consumption, group, committed } = memberOf();
    expect(await consumption.isMember()).toBe(false);
    await consumption.afterJoin(group);
    expect(await consumption.isMember()).toBe(true);
    committed.generation = 2;
    expect(await consumption.isMember()).toBe(false);
  });

  it('is behind by nothing that it knows of when the log no longer has what it was to read', async () => {
    const { consumption, group, take } = memberOf();
    await consumption.afterJoin(group);
    take(10);
    consumption.outOfRange(TOPIC, 0);
    expect([consumption.inFlight, consumption.lag.get(TOPIC)]).toEqual([0, 0]);
  });
});
