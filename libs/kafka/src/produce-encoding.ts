import { crc32c } from './crc32c.js';

/** A record as kafkajs hands it to the encoding of a produce request. */
export type ProducedMessage = {
  readonly key?: Buffer | string | null;
  readonly value: Buffer | string | null;
  readonly headers?: Readonly<Record<string, Buffer | string>>;
  readonly timestamp?: string | number | null;
};

export type ProducedTopic = {
  readonly topic: string;
  readonly partitions: readonly { readonly partition: number; readonly messages: readonly ProducedMessage[] }[];
};

const BATCH_HEAD = 61;
/** From the leader epoch on: what a batch's length counts, less its records. */
const BATCH_LENGTH_OVERHEAD = BATCH_HEAD - 12;
const CRC_AT = 17;
const CRC_FROM = 21;
const MAGIC = 2;
const NO_PRODUCER = -1n;

/** Bytes of a zigzag varint of at most 32 bits. */
const varintSize = (value: number): number => {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : zigzag < 0x1000_0000 ? 4 : 5;
};

const byteLength = (text: Buffer | string): number => (typeof text === 'string' ? Buffer.byteLength(text) : text.length);

const bytesSize = (bytes: Buffer | string | null | undefined): number => {
  if (bytes === null || bytes === undefined) return 1;
  const length = byteLength(bytes);
  return varintSize(length) + length;
};

/** What follows a record's own length: attributes, the two deltas, key, value, headers. */
const bodySize = ({ key, value, headers = {} }: ProducedMessage, offsetDelta: number): number => {
  let size = 2 + varintSize(offsetDelta) + bytesSize(key) + bytesSize(value);
  let count = 0;
  for (const name in headers) {
    size += bytesSize(name) + bytesSize(headers[name]);
    count += 1;
  }
  return size + varintSize(count);
};

/**
 * The body of a produce request (versions 3 to 7, without a transaction, records uncompressed, batch format 2), written once into one
 * buffer of its exact size. kafkajs makes a zeroed buffer for each record and each header, and copies the whole six times.
 * @see https://kafka.apache.org/documentation/#messageformat
 */
export const encodeProduce = (acks: number, timeoutMs: number, topics: readonly ProducedTopic[], nowMs: number): Buffer => {
  const sizes: number[] = [];
  let total = 2 + 2 + 4 + 4;
  for (const { topic, partitions } of topics) {
    total += 2 + Buffer.byteLength(topic) + 4;
    for (const { messages } of partitions) {
      total += 8 + BATCH_HEAD;
      messages.forEach((message, offsetDelta) => {
        const size = bodySize(message, offsetDelta);
        sizes.push(size);
        total += varintSize(size) + size;
      });
    }
  }
  const writer = new Writer(Buffer.allocUnsafe(total));
  writer.int16(-1);
  writer.int16(acks);
  writer.int32(timeoutMs);
  writer.int32(topics.length);
  let record = 0;
  for (const { topic, partitions } of topics) {
    writer.int16(Buffer.byteLength(topic));
    writer.raw(topic);
    writer.int32(partitions.length);
    for (const { partition, messages } of partitions) {
      writer.int32(partition);
      writeBatch(writer, messages, sizes.slice(record, record + messages.length), nowMs);
      record += messages.length;
    }
  }
  return writer.buffer;
};

const writeBatch = (writer: Writer, messages: readonly ProducedMessage[], sizes: readonly number[], nowMs: number): void => {
  const recordsSize = sizes.reduce((sum, size) => sum + varintSize(size) + size, 0);
  writer.int32(BATCH_HEAD + recordsSize);
  const start = writer.at;
  const timestamp = BigInt(nowMs);
  writer.int64(0n);
  writer.int32(BATCH_LENGTH_OVERHEAD + recordsSize);
  writer.int32(0);
  writer.int8(MAGIC);
  writer.int32(0);
  writer.int16(0);
  writer.int32(messages.length - 1);
  writer.int64(timestamp);
  writer.int64(timestamp);
  writer.int64(NO_PRODUCER);
  writer.int16(0);
  writer.int32(0);
  writer.int32(messages.length);
  messages.forEach((message, offsetDelta) => writeRecord(writer, message, offsetDelta, sizes[offsetDelta] ?? 0));
  writer.buffer.writeUInt32BE(crc32c(writer.buffer, start + CRC_FROM, writer.at), start + CRC_AT);
};

const writeRecord = (writer: Writer, { key, value, headers = {} }: ProducedMessage, offsetDelta: number, size: number): void => {
  writer.varint(size);
  writer.int8(0);
  // Every record of a request carries its time.
  writer.varint(0);
  writer.varint(offsetDelta);
  writer.bytes(key);
  writer.bytes(value);
  let count = 0;
  for (const _ in headers) count += 1;
  writer.varint(count);
  for (const name in headers) {
    writer.bytes(name);
    writer.bytes(headers[name]);
  }
};

/** Big-endian numbers, zigzag varints and bytes, one after the other. */
class Writer {
  at = 0;

  constructor(readonly buffer: Buffer) {}

  int8(value: number): void {
    this.at = this.buffer.writeInt8(value, this.at);
  }

  int16(value: number): void {
    this.at = this.buffer.writeInt16BE(value, this.at);
  }

  int32(value: number): void {
    this.at = this.buffer.writeInt32BE(value, this.at);
  }

  int64(value: bigint): void {
    this.at = this.buffer.writeBigInt64BE(value, this.at);
  }

  varint(value: number): void {
    let zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
    while (zigzag >= 0x80) {
      this.buffer[this.at++] = (zigzag & 0x7f) | 0x80;
      zigzag >>>= 7;
    }
    this.buffer[this.at++] = zigzag;
  }

  bytes(bytes: Buffer | string | null | undefined): void {
    if (bytes === null || bytes === undefined) {
      this.varint(-1);
      return;
    }
    this.varint(byteLength(bytes));
    this.raw(bytes);
  }

  raw(bytes: Buffer | string): void {
    this.at += typeof bytes === 'string' ? this.buffer.write(bytes, this.at) : bytes.copy(this.buffer, this.at);
  }
}
