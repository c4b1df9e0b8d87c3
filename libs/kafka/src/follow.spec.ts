import { describe, expect, it, jest } from '@jest/globals';
import { TopicFollowing, type Source } from './follow.js';
import type { FetchedMessage, FetchedPartition } from './kafkajs-internals.js';
import type { Logger } from './settings.js';

const message = (offset: number, more: Partial<FetchedMessage> = {}): FetchedMessage => ({
  offset: String(offset),
  timestamp: '7',
  key: null,
  value: Buffer.from(String(offset)),
  headers: {},
  isControlRecord: false,
  ...more,
});

/** A topic of one broker. A fetch beyond the end waits for `append`, as a broker does, or until it is called away. */
class FakeTopic implements Source {
  #appended: (() => void)[] = [];
  failures: Error[] = [];
  offsetFailures: Error[] = [];
  refreshed = 0;

  constructor(
    readonly logs: FetchedMessage[][],
    readonly ends: number[] = logs.map((log) => Number(log.at(-1)?.offset ?? -1) + 1),
    readonly starts: number[] = logs.map(() => 0),
  ) {}

  append(partition: number, added: FetchedMessage): void {
    this.logs[partition]?.push(added);
    this.ends[partition] = Number(added.offset) + 1;
    for (const wake of this.#appended.splice(0)) wake();
  }

  wake(): void {
    for (const wake of this.#appended.splice(0)) wake();
  }

  connect = async (): Promise<void> => undefined;
  disconnect = async (): Promise<void> => undefined;
  leaders = async () => [this.logs.map((_, partition) => partition)];

  async offsets(end: 'first' | 'last') {
    const failure = this.offsetFailures.shift();
    if (failure) throw failure;
    return new Map((end === 'first' ? this.starts : this.ends).entries());
  }

  async refresh(): Promise<void> {
    this.refreshed++;
  }

  async fetch(positions: ReadonlyMap<number, number>, _maxWaitMs: number, signal: AbortSignal): Promise<readonly FetchedPartition[]> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    if ([...positions].every(([partition, offset]) => offset >= (this.ends[partition] ?? 0))) {
      await new Promise<void>((resolve, reject) => {
        this.#appended.push(resolve);
        signal.addEventListener('abort', () => reject(new Error('called away')));
      });
    }
    return [...positions].map(([partition, offset]) => ({
      partition,
      highWatermark: String(this.ends[partition]),
      lastStableOffset: String(this.ends[partition]),
      messages: (this.logs[partition] ?? []).filter((each) => Number(each.offset) >= offset).slice(0, 3),
    }));
  }
}

const follow = async (topic: FakeTopic, whenReady?: () => Promise<void>) => {
  const seen: string[] = [];
  const log = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() } satisfies Logger;
  const exit = jest.fn();
  const following = new TopicFollowing(
    { topic: 't', onRecord: ({ partition, offset }) => void seen.push(`${partition}:${offset}`), whenReady },
    topic,
    log,
    exit,
  );
  await following.start();
  const close = (): Promise<void> => following.close();
  return { following, seen, close, log };
};

/** Lets everything run that needs no further input. */
const settled = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const answer = (type: string): Error => Object.assign(new Error(type), { type });

describe('follow', () => {
  it('reads every partition to its end and goes on', async () => {
    const topic = new FakeTopic([[0, 1, 2, 3, 4].map((offset) => message(offset)), [message(0)]]);
    const { following, seen, close } = await follow(topic);
    await following.caughtUp;
    expect(seen.toSorted()).toEqual(['0:0', '0:1', '0:2', '0:3', '0:4', '1:0']);
    expect(following.lag).toBe(0);
    topic.append(1, message(1));
    await following.readToEnd();
    expect(seen).toContain('1:1');
    await close();
  });

  it('fetches no more until its reader is ready for it', async () => {
    const topic = new FakeTopic([[0, 1, 2, 3, 4].map((offset) => message(offset))]);
    const asked: (() => void)[] = [];
    const { following, seen, close } = await follow(topic, () => new Promise((resolve) => void asked.push(resolve)));
    await settled();
    expect([asked.length, seen]).toEqual([1, []]);
    asked[0]?.();
    await settled();
    expect([asked.length, seen]).toEqual([2, ['0:0', '0:1', '0:2']]);
    asked[1]?.();
    await following.caughtUp;
    expect(seen).toHaveLength(5);
    const closed = close();
    for (const answer of asked) answer();
    await closed;
  });

  it('has caught up with an empty topic at once', async () => {
    const { following, close } = await follow(new FakeTopic([[], []]));
    await expect(following.caughtUp).resolves.toBeUndefined();
    await close();
  });

  it('waits for a topic that has just been made, and for no other trouble', async () => {
    const topic = new FakeTopic([[message(0)]]);
    topic.offsetFailures = ['UNKNOWN_TOPIC_OR_PARTITION', 'NOT_LEADER_FOR_PARTITION', 'LEADER_NOT_AVAILABLE'].map(answer);
    const { following, seen, close } = await follow(topic);
    await following.caughtUp;
    expect([seen, topic.refreshed]).toEqual([['0:0'], 3]);
    await close();

    const forbidden = new FakeTopic([[]]);
    forbidden.offsetFailures = [answer('TOPIC_AUTHORIZATION_FAILED')];
    await expect(follow(forbidden)).rejects.toThrow('TOPIC_AUTHORIZATION_FAILED');
  });

  it('catches up when the last offsets were compacted away and only an empty batch is left', async () => {
    const { following, seen, close } = await follow(new FakeTopic([[message(0), message(4)], [message(0)]], [9, 1]));
    await following.caughtUp;
    expect(seen.toSorted()).toEqual(['0:0', '0:4', '1:0']);
    expect(following.lag).toBe(0);
    await close();
  });

  it('steps at once over what was compacted away from the end of a segment, behind which nothing more is fetched', async () => {
    const topic = new FakeTopic([[0, 1, 2, 10].map((offset) => message(offset))]);
    let fetches = 0;
    topic.fetch = async (positions, _, signal) => {
      const [position = 0] = positions.values();
      if (position > 10 || ++fetches > 5) await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('called away'))));
      // Of two segments: a batch of which the last records are gone with an empty one behind it, and one record.
      const [first, next] = position < 5 ? [0, 5] : position < 10 ? [10, 10] : [10, 11];
      const messages = (topic.logs[0] ?? []).filter(({ offset }) => Number(offset) >= first && Number(offset) < next);
      return [{ partition: 0, highWatermark: '11', lastStableOffset: '11', messages: Object.assign(messages, { nextOffset: next }) }];
    };
    topic.starts[0] = 3;
    const { following, seen, close } = await follow(topic);
    await following.caughtUp;
    expect([seen, fetches]).toEqual([['0:10'], 3]);
    await close();
  });

  it('asks for another partition first each time: an answer that is full has no room for the last', async () => {
    const topic = new FakeTopic([[message(0), message(1), message(2)], [message(0)], [message(0)]]);
    const { fetch } = topic;
    const asked: number[] = [];
    topic.fetch = (positions, maxWaitMs, signal) => {
      const [first = [0, 0]] = positions;
      asked.push(first[0]);
      return fetch.call(topic, positions, maxWaitMs, signal).then((all) => all.filter(({ partition }) => partition === first[0]));
    };
    const { following, close } = await follow(topic);
    await following.caughtUp;
    expect(asked.slice(0, 3)).toEqual([0, 1, 2]);
    await close();
  });

  it('passes over control records, and over records of a batch that began before', async () => {
    const { following, seen, close } = await follow(new FakeTopic([[message(0), message(1, { isControlRecord: true })]]));
    await following.caughtUp;
    expect(seen).toEqual(['0:0']);
    await close();
  });

  it('goes on where it was after a failure', async () => {
    const topic = new FakeTopic([[message(0), message(1)]]);
    topic.failures = [new Error('Closed connection'), new Error('Closed connection')];
    const { following, seen, close } = await follow(topic);
    await following.caughtUp;
    expect([seen, topic.refreshed]).toEqual([['0:0', '0:1'], 2]);
    await close();
  });

  it('begins anew, and says so, when the log no longer has its place', async () => {
    const topic = new FakeTopic([[message(0)]]);
    const { following, seen, close, log } = await follow(topic);
    await following.caughtUp;
    topic.starts[0] = 10;
    topic.ends[0] = 10;
    topic.failures = [Object.assign(new Error('gone'), { type: 'OFFSET_OUT_OF_RANGE' })];
    topic.wake();
    await following.readToEnd();
    topic.append(0, message(12));
    await following.readToEnd();
    expect(seen).toEqual(['0:0', '0:12']);
    expect(log.error).toHaveBeenCalledTimes(1);
    await close();
  });

  it('rejects those who still wait when it is closed', async () => {
    const topic = new FakeTopic([[]]);
    const { following, close } = await follow(topic);
    topic.ends[0] = 5;
    topic.failures = Array.from({ length: 1_000 }, () => new Error('down'));
    const outcome = Promise.allSettled([following.readToEnd()]);
    await close();
    expect(await outcome).toMatchObject([{ status: 'rejected', reason: { code: 'closed' } }]);
  });
});
