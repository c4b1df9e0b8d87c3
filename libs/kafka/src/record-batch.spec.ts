import { describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import { random } from './random.fixture.js';
import { decodeRecordSet, nextOffsetOf } from './record-batch.js';

type Message = { readonly key: string | null; readonly value: string | null; readonly timestamp: number; readonly headers: Readonly<Record<string, string>> };

const require = createRequire(import.meta.url);
const Encoder = require('kafkajs/src/protocol/encoder.js') as new () => { writeInt32(value: number): { writeBuffer(data: Buffer): { readonly buffer: Buffer } } };
const Decoder = require('kafkajs/src/protocol/decoder.js') as new (data: Buffer) => object;
const kafkajsDecode = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (decoder: object) => Promise<readonly Readable[]>;
const kafkajsRequest = require('kafkajs/src/protocol/requests/produce/v3/request.js') as (request: object) => {
  encode(): Promise<{ readonly buffer: Buffer }>;
};

const NOW = 1_763_700_000_123;
const ATTRIBUTES_AT = 21;

/** As kafkajs writes it and a broker stores it: at an offset, with attributes. */
const batch = async (messages: readonly Message[], offset: number, attributes = 0, compression = 0): Promise<Buffer> => {
  const topicData = [{ topic: 't', partitions: [{ partition: 0, messages }] }];
  const { buffer } = await kafkajsRequest({ acks: -1, timeout: 1, compression, topicData }).encode();
  // No transaction, acks, timeout, one topic of one letter, one partition, its number, the length of what follows.
  const set = buffer.subarray(2 + 2 + 4 + 4 + 3 + 4 + 4 + 4);
  set.writeBigInt64BE(BigInt(offset));
  set.writeInt16BE(set.readInt16BE(ATTRIBUTES_AT) | attributes, ATTRIBUTES_AT);
  return set;
};

type Readable = {
  readonly offset: string;
  readonly timestamp: string;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Readonly<Record<string, Buffer | undefined>>;
  readonly isControlRecord: boolean;
  readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean };
};

const inText = ({ offset, timestamp, key, value, headers, isControlRecord, batchContext: { producerId, inTransaction } }: Readable): string =>
  [offset, timestamp, key?.toString('hex'), value?.toString('hex'), JSON.stringify(headers), isControlRecord, producerId, inTransaction].join(' ');

const both = async (set: Buffer): Promise<readonly [ours: readonly string[] | undefined, theirs: readonly string[]]> => {
  const theirs = await kafkajsDecode(new Decoder(new Encoder().writeInt32(set.length).writeBuffer(set).buffer));
  return [decodeRecordSet(set)?.map(inText), theirs.map(inText)];
};

const message = (more: Partial<Message> = {}): Message => ({ key: 'k', value: 'v', timestamp: NOW, headers: {}, ...more });

describe('the records of a partition', () => {
  it.each([
    ['one', [message()]],
    ['without key and value', [message({ key: null, value: null })]],
    ['with empty ones', [message({ key: '', value: '' })]],
    ['with headers', [message({ headers: { schema: '1', é: '€', empty: '' } })]],
    ['of lengths around those of a varint', [63, 64, 8_191, 8_192, 300_000].map((length) => message({ value: 'x'.repeat(length) }))],
    ['stamped long after and long before one another', [0, 5, 2 ** 31, 2 ** 40, -(2 ** 33), -1].map((later) => message({ timestamp: NOW + later }))],
    ['many', Array.from({ length: 300 }, (_, n) => message({ value: String(n) }))],
  ])('are what kafkajs reads: %s', async (_, messages) => {
    for (const offset of [7, 2 ** 45]) {
      const [ours, theirs] = await both(await batch(messages, offset));
      expect(ours).toEqual(theirs);
    }
  });

  it.each([
    ['stamped by the broker', 0x08],
    ['of a transaction', 0x10],
    ['that say how one ended', 0x30],
  ])('are what kafkajs reads: %s', async (_, attributes) => {
    const [ours, theirs] = await both(await batch([message(), message({ timestamp: NOW + 9 })], 3, attributes));
    expect(ours).toEqual(theirs);
  });

  it('are what kafkajs reads, wherever the answer is cut off', async () => {
    const next = random(3);
    const text = (): string => 'y'.repeat(next(90));
    const batches = [0, 4, 9].map((offset) => batch(Array.from({ length: 4 }, () => message({ key: text(), value: text(), headers: { [text()]: text() } })), offset));
    const set = Buffer.concat(await Promise.all(batches));
    for (let length = 61; length <= set.length; length += 7) {
      const [ours, theirs] = await both(set.subarray(0, length));
      expect(ours).toEqual(theirs);
    }
  });

  it('have buffers of their own', async () => {
    const set = await batch([message({ headers: { h: 'x' } })], 0);
    const [decoded] = decodeRecordSet(set) ?? [];
    set.fill(0);
    expect([String(decoded?.key), String(decoded?.value), String(decoded?.headers['h'])]).toEqual(['k', 'v', 'x']);
  });

  it('are left to kafkajs when they are compressed, or of an old format', async () => {
    const plain = await batch([message()], 0);
    expect(decodeRecordSet(Buffer.concat([plain, await batch([message()], 1, 0, 1)]))).toBeUndefined();
    expect(decodeRecordSet(Buffer.from(plain).fill(1, 16, 17))).toBeUndefined();
  });

  it('are left to kafkajs also when one of an old format is all there is, shorter than the head of a batch', () => {
    const old = Buffer.alloc(36);
    old.writeInt32BE(24, 8);
    old.writeInt8(1, 16);
    expect(decodeRecordSet(old)).toBeUndefined();
  });

  it('that are longer than they say end in an error, not in a loop', async () => {
    const set = await batch([message()], 0);
    expect(() => decodeRecordSet(set.fill(0xff, 61))).toThrow(RangeError);
  });

  it.each([48, 0, -12, -61])('of a batch that says that it has %d bytes end in an error, not in a loop', async (length) => {
    const set = await batch([message()], 0);
    set.writeInt32BE(length, 8);
    expect(() => decodeRecordSet(set)).toThrow(RangeError);
  });

  it('with a header that says more or less than there is end in an error', async () => {
    const set = await batch([message({ headers: { name: 'text' } })], 0);
    const name = set.indexOf('name') - 1;
    const value = set.indexOf('text') - 1;
    // Zigzag: 5 bytes of a value of 4, and a name of -4.
    expect(() => decodeRecordSet(Buffer.from(set).fill(10, value, value + 1))).toThrow(RangeError);
    expect(() => decodeRecordSet(Buffer.from(set).fill(7, name, name + 1))).toThrow(RangeError);
  });
});

describe('reading goes on', () => {
  const LAST_OFFSET_DELTA_AT = 23;

  it('behind the last batch that is there whole, compressed or not', async () => {
    const [first, second] = [await batch([message(), message()], 7), await batch([message()], 9, 0, 1)];
    const set = Buffer.concat([first, second]);
    expect([first, set, set.subarray(0, set.length - 1), first.subarray(0, 70)].map(nextOffsetOf)).toEqual([9, 10, 9, undefined]);
  });

  it('behind the offsets that a batch had before it was compacted', async () => {
    const set = await batch([message(), message()], 7);
    set.writeInt32BE(9, LAST_OFFSET_DELTA_AT);
    const empty = Buffer.from(set.subarray(0, 61));
    empty.writeInt32BE(49, 8);
    empty.writeInt32BE(0, 57);
    expect([nextOffsetOf(set), decodeRecordSet(empty), nextOffsetOf(empty)]).toEqual([17, [], 17]);
  });

  it('where an old format says, whose messages have no more than their offset', async () => {
    const set = await batch([message()], 7);
    const old = Buffer.from(set).fill(1, 16, 17);
    expect([nextOffsetOf(Buffer.concat([set, old])), nextOffsetOf(old), nextOffsetOf(Buffer.alloc(0))]).toEqual([8, undefined, undefined]);
  });
});
