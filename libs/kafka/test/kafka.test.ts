import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import kafkajs, { type Admin, type ISocketFactory } from 'kafkajs';
import { connect as dial, type Socket } from 'node:net';
import { Kafka, type Consumption, type ConsumeOptions, type IncomingRecord, type KafkaOptions, type Logger } from '../src/index.js';
import { removeTopics } from '../src/testing.js';

/** A join waits for the other members, an outage for its end. */
jest.setTimeout(30_000);

const brokers = (process.env['POSTHORN_KAFKA_BROKERS'] ?? '').split(',');
const topicPrefix = `t${randomBytes(5).toString('hex')}`;
const log = { debug: jest.fn(), info: jest.fn(), warn: jest.fn(), error: jest.fn(), fatal: jest.fn() } satisfies Logger;
const exit = jest.fn();

const connect = (options: KafkaOptions = {}): Kafka =>
  new Kafka({ brokers, ssl: false, clientId: 'kafka-test', topicPrefix }, log, { partitions: 2, exit, ...options });

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => void setTimeout(resolve, 5));
};

let admin: Admin;
let kafka: Kafka;
/** Two partitions, of its own for every test. */
let topic: string;

beforeAll(async () => {
  admin = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).admin();
  await admin.connect();
});

afterAll(async () => {
  const { groups } = await admin.listGroups();
  await admin.deleteGroups(groups.map(({ groupId }) => groupId).filter((groupId) => groupId.startsWith(topicPrefix)));
  await admin.disconnect();
  await removeTopics(brokers.join(), topicPrefix);
});

beforeEach(async () => {
  kafka = connect();
  topic = `${topicPrefix}.${randomBytes(4).toString('hex')}`;
  await admin.createTopics({ topics: [{ topic, numPartitions: 2 }], waitForLeaders: true });
});

afterEach(async () => {
  await kafka.close();
  if (exit.mock.calls.length > 0) throw new Error(`the process would have ended: ${JSON.stringify(exit.mock.calls)}`);
});

const produce = async (values: readonly string[], partition?: number): Promise<void> => {
  const producer = await kafka.producer();
  await Promise.all(values.map((value) => producer.send({ topic, partition, key: value, value, headers: { h: value } })));
};

const numbers = (count: number, from = 0): readonly string[] => Array.from({ length: count }, (_, i) => String(from + i));

const consume = (options: Partial<ConsumeOptions> & Pick<ConsumeOptions, 'onRecord'>, by = kafka): Promise<Consumption> =>
  by.consume({ groupId: `${topic}.group`, topics: [topic], ...options });

const valueOf = ({ value }: IncomingRecord): string => String(value);

const committed = async (): Promise<readonly (readonly [partition: number, offset: string])[]> => {
  const [answer] = await admin.fetchOffsets({ groupId: `${topic}.group`, topics: [topic] });
  return (answer?.partitions ?? []).map(({ partition, offset }) => [partition, offset] as const).toSorted(([a], [b]) => a - b);
};

describe('producer and consumer', () => {
  it('bring every record over, in order per partition, with key, headers, place and time', async () => {
    const records: IncomingRecord[] = [];
    const consumption = await consume({
      onRecord: (record) => {
        records.push(record);
        record.done();
      },
    });
    // The first group of a new broker may have to wait until there is a coordinator.
    await until(() => consumption.assigned);
    const startedMs = Date.now();
    await produce(numbers(500));
    await until(() => records.length === 500);
    expect(new Set(records.map(valueOf)).size).toBe(500);
    for (const partition of [0, 1]) {
      const values = records.filter((record) => record.partition === partition).map((record) => Number(valueOf(record)));
      expect(values).toEqual(values.toSorted((a, b) => a - b));
    }
    const [first] = records;
    expect(first).toMatchObject({ topic, revoked: false });
    expect([String(first?.key), String(first?.headers['h'])]).toEqual([String(first?.value), String(first?.value)]);
    expect(Math.abs((first?.timestampMs ?? 0) - startedMs)).toBeLessThan(5_000);
    expect([consumption.inFlight, consumption.inFlightBytes, consumption.lag.get(topic)]).toEqual([0, 0, 0]);
  });

  it('read from the beginning what was there before the group', async () => {
    await produce(['early']);
    const seen: string[] = [];
    await consume({ onRecord: (record) => void seen.push(valueOf(record)), drainMs: 0 });
    await until(() => seen.length > 0);
    expect(seen).toEqual(['early']);
  });

  it('send again after a restart only what was not done, though it was done out of order', async () => {
    await produce(numbers(100), 0);
    const held: IncomingRecord[] = [];
    const first = await consume({ onRecord: (record) => void held.push(record), drainMs: 50 });
    await until(() => held.length === 100);
    for (const record of held) if (Number(valueOf(record)) % 3 !== 0) record.done();
    expect(first.lag.get(topic)).toBe(100);
    await first.close();
    expect(held.filter(({ revoked }) => revoked)).toHaveLength(34);
    expect(await committed()).toEqual([[0, '0'], [1, '-1']]);

    const again: string[] = [];
    const second = await consume({
      onRecord: (record) => {
        again.push(valueOf(record));
        record.done();
      },
    });
    await produce(['last'], 0);
    await until(() => again.includes('last'));
    expect(again).toEqual([...numbers(100).filter((value) => Number(value) % 3 === 0), 'last']);
    await second.close();
    expect((await committed())[0]).toEqual([0, '101']);
  });

  it('commit on their own while running', async () => {
    const consumption = await consume({ onRecord: (record) => record.done() });
    await produce(numbers(10), 1);
    let offsets = await committed();
    while (offsets[1]?.[1] !== '10') offsets = await committed();
    expect(consumption.lag.get(topic)).toBe(0);
  });

  it('pause at the bytes of the window, whatever is waiting, and go on', async () => {
    const value = Buffer.alloc(10_000);
    const producer = await kafka.producer();
    await Promise.all(Array.from({ length: 600 }, () => producer.send({ topic, partition: 0, value })));
    const held: IncomingRecord[] = [];
    let done = 0;
    let mostBytes = 0;
    const consumption = await consume({ windowBytes: 200_000, onRecord: (record) => void held.push(record) });
    await until(() => held.length > 0);
    while (done < 600) {
      mostBytes = Math.max(mostBytes, consumption.inFlightBytes);
      const record = held.shift();
      if (record) record.done();
      else await new Promise(setImmediate);
      if (record) done++;
    }
    // A fetch brings up to 256 KiB of a partition, or a batch that is larger, which may have 1 MiB, and is handed over whole.
    expect(mostBytes).toBeLessThan(200_000 + 1024 * 1024 + 20_000);
    expect(consumption.inFlight).toBe(0);
  });

  it('pause all partitions when the total is full', async () => {
    const value = Buffer.alloc(10_000);
    const producer = await kafka.producer();
    for (const partition of [0, 1]) {
      await Promise.all(Array.from({ length: 300 }, () => producer.send({ topic, partition, value })));
    }
    const held: IncomingRecord[] = [];
    const consumption = await consume({ totalBytes: 100_000, drainMs: 0, onRecord: (record) => void held.push(record) });
    await until(() => held.length > 0);
    let done = 0;
    while (done < 600) {
      expect(consumption.inFlightBytes).toBeLessThan(2 * 1024 * 1024 + 120_000);
      const record = held.shift();
      if (record) record.done();
      else await new Promise(setImmediate);
      if (record) done++;
    }
  });

  it('wait on close for what is in flight', async () => {
    const held: IncomingRecord[] = [];
    const consumption = await consume({ onRecord: (record) => void held.push(record) });
    await produce(numbers(5), 0);
    await until(() => held.length === 5);
    let isClosed = false;
    const closed = consumption.close().then(() => (isClosed = true));
    for (const record of held) {
      expect(isClosed).toBe(false);
      record.done();
    }
    await closed;
    expect((await committed())[0]).toEqual([0, '5']);
  });

  it('report a partition that makes no progress', async () => {
    const stalls: unknown[] = [];
    const consumption = await consume({ stallMs: 100, drainMs: 0, onStalled: (stall) => void stalls.push(stall), onRecord: () => undefined });
    await produce(['stuck'], 1);
    await until(() => consumption.stalled !== undefined);
    expect(consumption.stalled).toContain(`${topic} partition 1 has been at offset 0`);
    await until(() => stalls.length > 0);
    expect(stalls).toMatchObject([{ topic, partition: 1, offset: '0' }]);
    log.error.mockClear();
  });
});

/** Waits that the broker was asked for, in fetches that were sent through these sockets: ms. */
const fetchWaits = (): { readonly waits: number[]; readonly socketFactory: ISocketFactory } => {
  const waits: number[] = [];
  return {
    waits,
    socketFactory: ({ host, port, onConnect }) => {
      const socket = dial({ host, port }, onConnect);
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
      socket.write = (...args: unknown[]) => {
        const [request] = args;
        // Length, kind, version, number, client's name, replica, wait.
        if (Buffer.isBuffer(request) && request.readInt16BE(4) === FETCH) waits.push(request.readInt32BE(14 + request.readInt16BE(12) + 4));
        return write(...args);
      };
      return socket;
    },
  };
};

const FETCH = 1;

describe('transactions of other producers', () => {
  it('that were aborted are not handed over, however they overlap and whatever their keys', async () => {
    const client = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING });
    const [outer, inner] = ['outer', 'inner'].map((name) => client.producer({ transactionalId: `${topic}.${name}`, maxInFlightRequests: 1, idempotent: true }));
    const begun = [];
    for (const producer of [outer, inner]) {
      await producer?.connect();
      begun.push(await producer?.transaction());
    }
    const [first, second] = begun;
    const sent = (value: string) => ({ topic, messages: [{ partition: 0, key: Buffer.alloc(4), value }] });
    for (const value of ['outer 1', 'outer 2']) await first?.send(sent(value));
    await second?.send(sent('inner 1'));
    await first?.send(sent('outer 3'));
    await second?.abort();
    await first?.send(sent('outer 4'));
    await first?.abort();
    const third = await outer?.transaction();
    await third?.send(sent('committed'));
    await third?.commit();
    await produce(['plain'], 0);
    const seen: string[] = [];
    const consumption = await consume({
      onRecord: (record) => {
        seen.push(valueOf(record));
        record.done();
      },
    });
    await until(() => seen.includes('plain'));
    expect([seen, consumption.lag.get(topic)]).toEqual([['committed', 'plain'], 0]);
    await Promise.all([outer?.disconnect(), inner?.disconnect()]);
  });
});

describe('when nothing comes', () => {
  it('a consumer and a follower ask for it once in seconds, and have at once what comes then', async () => {
    const { waits, socketFactory } = fetchWaits();
    const quiet = connect({ socketFactory });
    const seen: string[] = [];
    try {
      const consumption = await consume({ onRecord: (record) => (seen.push(`consumed ${valueOf(record)}`), record.done()) }, quiet);
      const following = await quiet.follow({ topic, onRecord: ({ value }) => void seen.push(`followed ${String(value)}`) });
      await Promise.all([following.caughtUp, until(() => consumption.assigned && waits.length >= 2)]);
      expect(waits).toEqual([5_000, 5_000]);
      const startedMs = performance.now();
      await produce(['x']);
      await until(() => seen.length === 2);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      await until(() => waits.length === 4);
      expect(waits).toEqual([5_000, 5_000, 5_000, 5_000]);
    } finally {
      await quiet.close();
    }
  });

  it('a consumer and a follower are closed without waiting for it', async () => {
    const { waits, socketFactory } = fetchWaits();
    const quiet = connect({ socketFactory });
    await consume({ onRecord: () => undefined }, quiet);
    await quiet.follow({ topic, onRecord: () => undefined });
    await until(() => waits.length >= 2);
    const startedMs = performance.now();
    await quiet.close();
    expect(performance.now() - startedMs).toBeLessThan(2_000);
  });

  it('a member hears soon that another one has joined, and stays one for longer than a session', async () => {
    const { waits, socketFactory } = fetchWaits();
    const quiet = connect({ socketFactory });
    try {
      let isRevoked = false;
      const first = await consume({ onRecord: () => undefined, onRevoked: () => (isRevoked = true) }, quiet);
      // Three waits of five seconds: the session of ten is kept by heartbeats alone.
      await until(() => waits.length >= 4);
      expect([first.assigned, isRevoked]).toEqual([true, false]);
      const startedMs = performance.now();
      const second = await consume({ onRecord: () => undefined });
      await until(() => isRevoked && first.assigned && second.assigned);
      expect(performance.now() - startedMs).toBeLessThan(4_000);
    } finally {
      await quiet.close();
    }
  });

  it('a partition that was left out is read again as soon as it is resumed', async () => {
    const { waits, socketFactory } = fetchWaits();
    const quiet = connect({ socketFactory });
    const held: IncomingRecord[] = [];
    try {
      await produce(['a', 'b'], 0);
      await consume({ windowBytes: 2, onRecord: (record) => void held.push(record) }, quiet);
      await until(() => held.length === 2);
      await produce(['c'], 0);
      // The other partition is waited for, in vain, and then for long.
      await until(() => waits.at(-2) === 100 && waits.at(-1) === 5_000);
      const startedMs = performance.now();
      for (const record of held) record.done();
      await until(() => held.length === 3);
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      held.at(-1)?.done();
    } finally {
      await quiet.close();
    }
  });
});

describe('a rebalance', () => {
  it('loses no record and repeats at most those in flight', async () => {
    const total = 3_000;
    const done = new Map<string, number>();
    const handed = new Map<string, number>();
    const waiting: IncomingRecord[] = [];
    let mostInFlight = 0;
    const onRecord = (record: IncomingRecord): void => {
      handed.set(valueOf(record), (handed.get(valueOf(record)) ?? 0) + 1);
      waiting.push(record);
      mostInFlight = Math.max(mostInFlight, waiting.length);
    };
    /** Finishes records in an order of its own, a few at a time, and now and then leaves one for later. */
    const work = setInterval(() => {
      for (let i = 0; i < 40 && waiting.length > 0; i++) {
        const [record] = waiting.splice((i * 7919) % waiting.length, 1);
        if (!record || record.revoked) continue;
        done.set(valueOf(record), (done.get(valueOf(record)) ?? 0) + 1);
        record.done();
      }
    }, 2);
    const others = [connect(), connect()];
    try {
      const first = await consume({ onRecord, drainMs: 20 });
      const producer = await kafka.producer();
      const sending = Promise.all(numbers(total).map((value) => producer.send({ topic, key: value, value })));
      await until(() => done.size > 200);
      const [b, c] = others;
      const second = b && (await consume({ onRecord, drainMs: 20 }, b));
      await until(() => done.size > 800);
      await first.close();
      await until(() => done.size > 1_200);
      const third = c && (await consume({ onRecord, drainMs: 20 }, c));
      await sending;
      await until(() => done.size === total);
      await second?.close();
      await third?.close();
    } finally {
      clearInterval(work);
      await Promise.all(others.map((other) => other.close()));
    }
    expect(done.size).toBe(total);
    const repeated = [...handed.values()].reduce((sum, times) => sum + times - 1, 0);
    expect(repeated).toBeLessThanOrEqual(3 * mostInFlight);
    const offsets = await committed();
    expect(offsets.reduce((sum, [, offset]) => sum + Number(offset), 0)).toBe(total);
  });

  it('drains before it gives a partition away, and repeats nothing then', async () => {
    const handed: string[] = [];
    const waiting: IncomingRecord[] = [];
    const revoked: number[] = [];
    const onRecord = (record: IncomingRecord): void => {
      handed.push(valueOf(record));
      waiting.push(record);
    };
    const assigned = new Map<number, number>();
    const consumption = await consume({
      onRecord: (record) => {
        if (!assigned.has(record.partition)) throw new Error('a record of a partition that is not ours yet');
        onRecord(record);
      },
      onAssigned: (_, partition, offset) => void assigned.set(partition, offset),
      onRevoked: (_, partition) => void revoked.push(partition),
    });
    await produce(numbers(50));
    await until(() => handed.length === 50);
    expect(new Set(assigned.values())).toEqual(new Set([0]));
    const other = connect();
    try {
      const joining = consume({ onRecord }, other);
      // The first member is held up by what it has in flight; the other must wait for it.
      await until(() => log.info.mock.calls.some(([, message]) => message === 'waiting for the records in flight before the group changes'));
      for (const record of waiting) record.done();
      await joining;
      await until(() => revoked.length === 1);
      for (const [partition] of assigned) {
        // What the group has been told, of the partitions that have stayed.
        const offset = consumption.committed(topic, partition);
        expect(offset).toBe(revoked.includes(partition) ? undefined : assigned.get(partition));
        expect(offset).not.toBe(0);
      }
      await produce(numbers(50, 50));
      await until(() => handed.length === 100);
      expect(new Set(handed).size).toBe(100);
      expect(waiting.some((record) => record.revoked)).toBe(false);
      for (const record of waiting) record.done();
    } finally {
      await other.close();
    }
  });

  it('keeps what is in flight of partitions that stay', async () => {
    const handed: IncomingRecord[] = [];
    const theirs: string[] = [];
    let isRevoked = false;
    await consume({ onRecord: (record) => void handed.push(record), onRevoked: () => (isRevoked = true), drainMs: 0 });
    await produce(numbers(50));
    await until(() => handed.length === 50);
    const other = connect();
    try {
      await consume(
        {
          onRecord: (record) => {
            theirs.push(valueOf(record));
            record.done();
          },
        },
        other,
      );
      await until(() => isRevoked);
      const lost = handed.filter(({ revoked }) => revoked);
      await until(() => theirs.length === lost.length);
      expect(lost.map(valueOf).toSorted()).toEqual(theirs.toSorted());
      const kept = handed.filter(({ revoked }) => !revoked);
      expect(kept.length).toBeGreaterThan(0);
      for (const record of handed) record.done();
      await produce(['more'], kept[0]?.partition);
      await until(() => handed.length === 51);
      expect(valueOf(handed.at(-1) as IncomingRecord)).toBe('more');
      handed.at(-1)?.done();
    } finally {
      await other.close();
    }
  });
});

describe('an outage', () => {
  it('is survived by producer, consumer and follower, without loss', async () => {
    const sockets = new Set<Socket>();
    let isDown = false;
    const cut = connect({
      socketFactory: ({ host, port, onConnect }) => {
        const socket = dial({ host, port: isDown ? 1 : port }, onConnect);
        sockets.add(socket);
        return socket;
      },
    });
    const consumed = new Set<string>();
    const followed = new Set<string>();
    try {
      const producer = await cut.producer();
      const send = (value: string) => producer.send({ topic, key: value, value });
      await consume(
        {
          onRecord: (record) => {
            consumed.add(valueOf(record));
            record.done();
          },
        },
        cut,
      );
      const following = await cut.follow({ topic, onRecord: ({ value }) => void followed.add(String(value)) });
      await Promise.all(numbers(100).map(send));
      await until(() => consumed.size === 100 && followed.size === 100);
      isDown = true;
      for (const socket of sockets) socket.destroy(new Error('cut'));
      const sending = Promise.all(numbers(100, 100).map(send));
      const hasty = producer.send({ topic, value: 'hasty' }, { deadlineMs: 300 });
      await expect(hasty).rejects.toMatchObject({ code: 'unavailable' });
      await expect(cut.ping()).rejects.toMatchObject({ code: 'unavailable' });
      isDown = false;
      await sending;
      await until(() => numbers(200).every((value) => consumed.has(value) && followed.has(value)));
      await following.readToEnd();
      await cut.ping();
    } finally {
      await cut.close();
    }
  });

  it.each([
    ['JoinGroup', 11],
    ['SyncGroup', 14],
    ['OffsetFetch', 9],
  ])('leaves nobody in the group when the consumer is closed on its way back, at its %s', async (_request, apiKey) => {
    const sockets = new Set<Socket>();
    let isDown = false;
    let wasDown = false;
    let closing: Promise<void> | undefined;
    const cut = connect({
      socketFactory: ({ host, port, onConnect }) => {
        const socket = dial({ host, port: isDown ? 1 : port }, onConnect);
        sockets.add(socket);
        const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
        socket.write = (...args: unknown[]) => {
          const [request] = args;
          // Its length, then its kind.
          if (wasDown && Buffer.isBuffer(request) && request.readInt16BE(4) === apiKey) closing ??= consumption.close();
          return write(...args);
        };
        return socket;
      },
    });
    const consumption = await consume({ onRecord: (record) => record.done() }, cut);
    isDown = true;
    for (const socket of sockets) socket.destroy(new Error('cut'));
    await until(() => !consumption.assigned);
    wasDown = true;
    isDown = false;
    await until(() => closing !== undefined);
    await closing;
    const next = await consume({ onRecord: (record) => record.done() });
    await until(() => next.assigned);
    const { groups } = await admin.describeGroups([`${topic}.group`]);
    expect(groups.map(({ members }) => members.length)).toEqual([1]);
    await cut.close();
    await until(() => [...sockets].every(({ destroyed }) => destroyed));
  });
});

it('the ends of a topic are told as soon as it is made, whoever leads its partitions by then', async () => {
  const young = `${topic}.young`;
  const [ends] = await Promise.all([kafka.ends(young), admin.createTopics({ topics: [{ topic: young, numPartitions: 20 }] })]);
  expect([...ends.values()]).toEqual(Array.from({ length: 20 }, () => 0));
});

describe('producer', () => {
  it('has a record that is too large for the topic refused alone', async () => {
    const producer = await kafka.producer();
    const small = numbers(20).map((value) => producer.send({ topic, key: value, value }));
    // Above the broker's default of 1 MiB, which this topic has, below ours.
    const large = producer.send({ topic, key: 'large', value: Buffer.alloc(1_500_000) });
    const more = numbers(20, 20).map((value) => producer.send({ topic, key: value, value }));
    await expect(large).rejects.toMatchObject({ code: 'refused' });
    await Promise.all([...small, ...more]);
    const seen = new Set<string>();
    const following = await kafka.follow({ topic, onRecord: ({ value }) => void seen.add(String(value)) });
    await following.caughtUp;
    expect(seen).toEqual(new Set(numbers(40)));
  });

  it('refuses a topic that does not exist', async () => {
    const producer = await kafka.producer();
    await expect(producer.send({ topic: `${topicPrefix}.none`, value: 'x' })).rejects.toMatchObject({ code: 'refused' });
  });
});

describe('follow', () => {
  it('reads from the beginning, knows when it has caught up, and goes on', async () => {
    await produce(numbers(1_000));
    const seen: string[] = [];
    const following = await kafka.follow({ topic, onRecord: ({ value }) => void seen.push(String(value)) });
    await following.caughtUp;
    expect(new Set(seen).size).toBe(1_000);
    expect(following.lag).toBe(0);
    await produce(['one more']);
    await following.readToEnd();
    expect(seen.at(-1)).toBe('one more');
    const { groups } = await admin.listGroups();
    expect(groups.filter(({ groupId }) => groupId.includes('follow'))).toEqual([]);
  });
});

describe('ensureTopics', () => {
  it('creates what is missing, also when several do it at once, and leaves what is there', async () => {
    const other = connect();
    try {
      const names = ['events.inbound', 'registry.state'] as const;
      await Promise.all([kafka.ensureTopics(names), other.ensureTopics(names)]);
      log.warn.mockClear();
      await kafka.ensureTopics(names);
      expect(log.warn).not.toHaveBeenCalled();
      expect(await kafka.partitions(kafka.topic('events.inbound'))).toBe(2);
      expect(await kafka.partitions(kafka.topic('registry.state'))).toBe(1);
      const more = connect({ partitions: 5 });
      await more.ensureTopics(['events.inbound']);
      await more.close();
      expect(log.warn).toHaveBeenCalledWith(
        { topic: kafka.topic('events.inbound'), differences: ['2 partitions, not 5'] },
        'topic is not as intended',
      );
    } finally {
      await other.close();
    }
  });

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('reads what is stored in %s', async (compression) => {
    const compressed = `${topic}.${compression}`;
    const configEntries = [{ name: 'compression.type', value: compression }];
    await admin.createTopics({ topics: [{ topic: compressed, numPartitions: 1, configEntries }], waitForLeaders: true });
    const noise = randomBytes(300_000);
    const values = [
      Buffer.from('short'),
      Buffer.alloc(0),
      Buffer.alloc(500_000, 'a'),
      noise,
      // Repetitions near and far, literals of every length.
      Buffer.concat(Array.from({ length: 2_000 }, (_, n) => Buffer.concat([Buffer.from(`{"n":${n},"x":`), noise.subarray(n * 7, n * 7 + (n % 300)), Buffer.alloc(n % 67, n)]))),
    ];
    const producer = await kafka.producer();
    for (let i = 0; i < 3; i++) await Promise.all(values.map((value) => producer.send({ topic: compressed, value })));

    const read: (Buffer | null)[] = [];
    const follower = await kafka.follow({ topic: compressed, onRecord: ({ value }) => void read.push(value && Buffer.from(value)) });
    await follower.caughtUp;
    expect(read).toHaveLength(3 * values.length);
    for (const [i, value] of read.entries()) expect(value?.equals(values[i % values.length] ?? noise)).toBe(true);
    const consumed: IncomingRecord[] = [];
    await consume({ topics: [compressed], onRecord: (record) => (consumed.push(record), record.done()) });
    await until(() => consumed.length === read.length);
  });

  it('has the broker store uncompressed what a producer compressed, and inflate it once for all readers', async () => {
    const { CompressionCodecs: codecs, CompressionTypes } = kafkajs;
    const gzip = codecs[CompressionTypes.GZIP];
    await kafka.ensureTopics(['events.inbound']);
    const inbound = kafka.topic('events.inbound');
    const foreign = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await foreign.connect();
    await foreign.send({ topic: inbound, compression: CompressionTypes.GZIP, messages: [{ value: 'z'.repeat(10_000) }] });
    await foreign.disconnect();
    try {
      codecs[CompressionTypes.GZIP] = () => {
        throw new Error('arrived compressed');
      };
      const lengths: number[] = [];
      const following = await kafka.follow({ topic: inbound, onRecord: ({ value }) => void lengths.push(value?.length ?? 0) });
      await following.caughtUp;
      expect(lengths).toContain(10_000);
    } finally {
      codecs[CompressionTypes.GZIP] = gzip;
    }
  });

  it("has the broker's clock stamp the topics that say so", async () => {
    await kafka.ensureTopics(['events.inbound']);
    const inbound = kafka.topic('events.inbound');
    const foreign = new kafkajs.Kafka({ brokers, logLevel: kafkajs.logLevel.NOTHING }).producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await foreign.connect();
    const startedMs = Date.now();
    await foreign.send({ topic: inbound, messages: [{ value: 'old', timestamp: '1000' }] });
    await foreign.disconnect();
    const stamps: number[] = [];
    await consume({
      topics: [inbound],
      onRecord: (record) => {
        stamps.push(record.timestampMs);
        record.done();
      },
    });
    const isOurs = (): boolean => stamps.some((stamp) => Math.abs(stamp - startedMs) < 5_000);
    await until(() => stamps.length > 0 && (isOurs() || stamps.includes(1_000)));
    expect(stamps).not.toContain(1_000);
  });
});

describe('a handler that throws', () => {
  it('ends the process', async () => {
    const reasons: string[] = [];
    const own = connect({ exit: (_, reason) => void reasons.push(reason) });
    await produce(['x'], 0);
    await consume(
      {
        drainMs: 0,
        onRecord: () => {
          throw new Error('a bug');
        },
      },
      own,
    );
    await until(() => reasons.length > 0);
    expect(reasons).toEqual(['the handler of a record threw']);
    await own.close();
  });
});
