import { describe, expect, it } from '@jest/globals';
import { Fetching, type Fetched } from './fetching.js';
import type { Broker, FetchedMessages, FetchedPartition, FetchingGroup, FetchRequest } from './kafkajs-internals.js';
import { PACE } from './pace.js';
import { realTime } from './time.js';

const TOPIC = 't';

const message = (offset: number) => ({ offset: String(offset), timestamp: '7', key: null, value: Buffer.from('v'), headers: {}, isControlRecord: false });

const answered = (partition: number, offsets: readonly number[], nextOffset?: number): FetchedPartition => ({
  partition,
  highWatermark: '100',
  lastStableOffset: '50',
  messages: Object.assign(offsets.map(message), { nextOffset }) satisfies FetchedMessages,
});

/** A member that reads some partitions of a topic from one broker, which answers as it is told to. */
const memberOf = (partitions: readonly number[], answer: (asked: readonly (readonly [partition: number, offset: number])[]) => Promise<readonly FetchedPartition[]>) => {
  const positions = new Map(partitions.map((partition) => [partition, 0]));
  const fetched: Fetched[] = [];
  const broker = {
    connectionPool: { pool: [] },
    fetch: async ({ topics }: FetchRequest) => {
      const asked = topics.flatMap((topic) => topic.partitions).map(({ partition, fetchOffset }) => [partition, Number(fetchOffset)] as const);
      return { responses: [{ topicName: TOPIC, partitions: await answer(asked) }] };
    },
  } as unknown as Broker;
  const group = {
    cluster: {
      refreshMetadataIfNecessary: async () => undefined,
      findLeaderForPartitions: () => ({ '1': partitions }),
      findBroker: async () => broker,
    },
    offsetManager: {
      committedOffsets: () => ({ [TOPIC]: Object.fromEntries([...positions].map(([partition, offset]) => [partition, String(offset)])) }),
      nextOffset: (_: string, partition: number) => positions.get(partition),
    },
    assigned: () => [{ topic: TOPIC, partitions }],
    checkForStaleAssignment: () => undefined,
    seekOffsets: async () => undefined,
    heartbeat: async () => undefined,
  } as unknown as FetchingGroup;
  const fetching = new Fetching({
    pace: PACE,
    resumeMs: 100,
    time: realTime,
    isPaused: () => false,
    onFetched: (some) => {
      fetched.push(some);
      positions.set(some.partition, Number(some.lastOffset) + 1);
    },
  });
  return { fetching, fetched, positions, round: () => fetching.fetch(group, '1') };
};

describe('a member of a group', () => {
  it('goes on behind batches that were compacted empty, or lost their last records', async () => {
    const asked: number[] = [];
    const { round, fetched } = memberOf([0], async ([[, offset] = [0, 0]]) => {
      asked.push(offset);
      return [offset === 0 ? answered(0, [0, 1], 5) : offset === 5 ? answered(0, [], 40) : answered(0, [40], 41)];
    });
    for (let n = 0; n < 3; n++) await round();
    expect(asked).toEqual([0, 5, 40]);
    expect(fetched.map(({ messages, lastOffset }) => [messages.map(({ offset }) => offset).join(), lastOffset])).toEqual([['0,1', '4'], ['', '39'], ['40', '40']]);
  });

  it('takes for the end of the log what it may read, not what an open transaction has written', async () => {
    const { round, fetched } = memberOf([0], async () => [answered(0, [0], 1)]);
    await round();
    expect(fetched).toMatchObject([{ highWatermark: '50' }]);
  });

  it('asks for another partition first each time: an answer that is full has no room for the last', async () => {
    const { round, positions } = memberOf([0, 1, 2], async ([first]) => (first ? [answered(first[0], [first[1]], first[1] + 1)] : []));
    for (let n = 0; n < 6; n++) await round();
    expect([...positions]).toEqual([[0, 2], [1, 2], [2, 2]]);
  });

  it('hands over nothing of an answer that it was called away from', async () => {
    const answer = Promise.withResolvers<readonly FetchedPartition[]>();
    const { fetching, round, fetched } = memberOf([0], () => answer.promise);
    const away = round();
    await new Promise((resolve) => void setImmediate(resolve));
    fetching.callAway();
    answer.resolve([answered(0, [0], 1)]);
    await away;
    expect(fetched).toEqual([]);
  });
});
