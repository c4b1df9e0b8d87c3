import { describe, expect, it } from '@jest/globals';
import type { IncomingRecord, Partition } from './incoming.js';
import { Reading } from './reading.js';

const TOPIC = 't';
const NOTHING_DONE = { offset: 0, done: [] };
const VALUE = Buffer.alloc(1_000);
/** More than a record with it counts for. */
const RECORD_BYTES = 1_100;

const reading = ({ windowBytes = Infinity, totalBytes = Infinity, partitions = 1 } = {}) => {
  const records: IncomingRecord[] = [];
  const paused = new Set<number>();
  const read = new Reading({
    windowBytes,
    totalBytes,
    onRecord: (record) => void records.push(record),
    onPaused: ({ partition }) => void paused.add(partition),
    onResumed: ({ partition }) => void paused.delete(partition),
  });
  for (let partition = 0; partition < partitions; partition += 1) read.assign(TOPIC, partition, NOTHING_DONE, 0);
  read.open();
  const partitionOf = (number: number): Partition => read.get(TOPIC, number) as Partition; // Assigned above
  const take = (from: number, count: number, partition = 0, end = from + count): void => {
    const messages = Array.from({ length: count }, (_, n) => ({ offset: String(from + n), timestamp: String(100 + from + n), key: null, value: VALUE, headers: {}, isControlRecord: false }));
    read.handOver(partitionOf(partition), messages, from + count, end);
  };
  const finish = (...offsets: readonly number[]): void => {
    for (const record of records) if (offsets.includes(Number(record.offset))) record.done();
  };
  return { read, records, paused: () => [...paused], partitionOf, take, finish };
};

describe('what a member of a group reads', () => {
  it('is paused partition by partition when there is too much of one in flight, and goes on at half', () => {
    const { take, finish, paused } = reading({ windowBytes: 4 * RECORD_BYTES, partitions: 2 });
    take(0, 3, 0);
    take(0, 1, 1);
    expect(paused()).toEqual([]);
    take(3, 2, 0);
    expect(paused()).toEqual([0]);
    finish(0, 1);
    expect(paused()).toEqual([0]);
    finish(2);
    expect(paused()).toEqual([]);
  });

  it('is paused as a whole when there is too much of all together', () => {
    const { take, finish, paused } = reading({ totalBytes: 4 * RECORD_BYTES, partitions: 3 });
    take(0, 3, 0);
    take(10, 2, 1);
    expect(paused()).toEqual([0, 1, 2]);
    finish(0, 1, 2);
    expect(paused()).toEqual([]);
  });

  it('is not read, and not resumed, while it is stopped; then it is read whatever was paused', () => {
    const { read, take, finish, paused } = reading({ windowBytes: 2 * RECORD_BYTES, partitions: 2 });
    take(0, 3);
    read.stop();
    finish(0, 1, 2);
    expect([read.isOpen, paused()]).toEqual([false, [0, 1]]);
    read.open();
    expect([read.isOpen, read.partitions.map(({ isPaused }) => isPaused)]).toEqual([true, [false, false]]);
  });

  it('is told to the group once: how far all is done, and what is done above that', () => {
    const { read, take, finish } = reading({ partitions: 2 });
    take(0, 5);
    expect(read.changes()).toEqual([]);
    finish(0, 1, 3);
    const [change] = read.changes();
    expect(change).toMatchObject({ offset: 2, metadata: expect.any(String), partition: { partition: 0 } });
    expect([read.isCommitted(TOPIC, 0, 1), read.isCommitted(TOPIC, 0, 3)]).toEqual([false, false]);
    change?.commit();
    expect(read.changes()).toEqual([]);
    expect([1, 2, 3, 4].map((offset) => read.isCommitted(TOPIC, 0, offset))).toEqual([true, false, true, false]);
  });

  it('is paused where what is done is too scattered to be told, until it is not', () => {
    const { read, take, records, paused, finish } = reading();
    take(0, 40_000);
    for (const record of records) if (Number(record.offset) % 2 === 1) record.done();
    const [change] = read.changes();
    expect(change).toMatchObject({ offset: 0, metadata: null });
    change?.commit();
    read.regulate();
    expect([paused(), read.isCommitted(TOPIC, 0, 1)]).toEqual([[0], false]);
    finish(...Array.from({ length: 40_000 }, (_, n) => n));
    read.changes();
    read.regulate();
    expect(paused()).toEqual([]);
  }, 30_000);

  it('keeps in flight what was, when a partition comes back, but for what others have done', () => {
    const { read, take, records, finish } = reading();
    take(0, 5);
    expect(read.assign(TOPIC, 0, { offset: 2, done: [{ start: 3, end: 4 }] }, 9)).toBe(true);
    expect([records.map(({ revoked }) => revoked), read.inFlight]).toEqual([[true, true, false, true, false], 2]);
    finish(0, 1, 2, 3, 4);
    expect([read.inFlight, read.inFlightBytes, read.lag([TOPIC]).get(TOPIC)]).toEqual([0, 0, 4]);
  });

  it('has nothing in flight of a partition that is gone, and counts nothing that is done of it afterwards', async () => {
    const { read, take, records, partitionOf } = reading({ partitions: 2 });
    take(0, 2, 0);
    take(0, 1, 1);
    read.drop(partitionOf(0));
    expect([read.inFlight, read.partitions.length, records.map(({ revoked }) => revoked)]).toEqual([1, 1, [true, true, false]]);
    for (const record of records) record.done();
    await read.idle();
    expect([read.inFlight, read.inFlightBytes]).toEqual([0, 0]);
  });

  it('begins anew where the log did, with nothing in flight', () => {
    const { read, take, records, partitionOf } = reading();
    take(7, 3, 0, 50);
    read.startOver(partitionOf(0));
    expect([read.inFlight, read.lag([TOPIC]).get(TOPIC), partitionOf(0).window.position]).toEqual([0, 0, 0]);
    take(0, 1);
    expect(records.at(-1)).toMatchObject({ offset: '0', revoked: false });
  });

  it('knows how far behind it is, and since when, topic by topic', () => {
    const { read, take, finish } = reading({ partitions: 2 });
    take(0, 2, 0, 10);
    take(4, 1, 1, 6);
    expect([...read.lag([TOPIC, 'other'])]).toEqual([[TOPIC, 12], ['other', 0]]);
    expect([...read.oldestMs([TOPIC, 'other'])]).toEqual([[TOPIC, 100], ['other', undefined]]);
    finish(0, 1);
    expect(read.oldestMs([TOPIC]).get(TOPIC)).toBe(104);
  });
});
