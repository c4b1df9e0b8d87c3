import { headersByName, type Header, type Headers } from './headers.js';
import type { FetchedMessage } from './kafkajs-internals.js';

/**
 * Record batches as a fetch brings them: format 2 and not compressed, as everything is that Posthorn writes (https://kafka.apache.org/documentation/#recordbatch).
 * Each record is copied once, out of an answer that would otherwise stay in memory as long as any of its records; key, value and headers are views of that copy.
 */

type DecodedMessage = Required<FetchedMessage>;

const MAGIC = 2;
/** Where things are in a batch. Its length counts from behind itself. */
const LENGTH_AT = 8;
const AFTER_LENGTH = 12;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const FIRST_TIMESTAMP_AT = 27;
const MAX_TIMESTAMP_AT = 35;
const PRODUCER_ID_AT = 43;
const COUNT_AT = 57;
const RECORDS_AT = 61;
const COMPRESSION = 0x07;
const STAMPED_BY_BROKER = 0x08;
const IN_TRANSACTION = 0x10;
const CONTROL = 0x20;
const TWO_TO_THE_32 = 2 ** 32;

type Extent = { readonly at: number; readonly end: number };

/** The records of a partition, of which the last batch may be cut off; undefined when there is something for kafkajs: a compressed batch, or an old format. */
export const decodeRecordSet = (set: Buffer): readonly DecodedMessage[] | undefined => {
  // A message of an old format may be shorter than a batch's head.
  if (set.length > MAGIC_AT && set[MAGIC_AT] !== MAGIC) return undefined;
  const messages: DecodedMessage[] = [];
  for (const { at } of batchesOf(set)) {
    if ((set.readInt16BE(at + ATTRIBUTES_AT) & COMPRESSION) !== 0) return undefined;
    decodeBatch(set, at, messages);
  }
  return messages;
};

/** The batches that are there whole, up to the first of an old format. @throws {RangeError} when one is shorter than its own head, so that it would not end */
const batchesOf = function* (set: Buffer): Generator<Extent> {
  for (let at = 0; at + RECORDS_AT <= set.length && set[at + MAGIC_AT] === MAGIC; ) {
    const end = at + AFTER_LENGTH + set.readInt32BE(at + LENGTH_AT);
    if (end < at + RECORDS_AT) throw new RangeError('a batch is shorter than its head');
    if (end > set.length) return;
    yield { at, end };
    at = end;
  }
};

/**
 * One past the last offset of the batches that are there whole, compressed ones too; undefined when there is none, or the first is of an old format.
 * Compaction leaves a batch the offsets that it had when it takes records out, and of an idempotent producer's last one the head when it takes all.
 */
export const nextOffsetOf = (set: Buffer): number | undefined => {
  let next: number | undefined;
  for (const { at } of batchesOf(set)) next = int64(set, at) + set.readInt32BE(at + LAST_OFFSET_DELTA_AT) + 1;
  return next;
};

const decodeBatch = (set: Buffer, at: number, messages: DecodedMessage[]): void => {
  const attributes = set.readInt16BE(at + ATTRIBUTES_AT);
  const isControlRecord = (attributes & CONTROL) !== 0;
  const firstOffset = int64(set, at);
  const firstTimestamp = int64(set, at + FIRST_TIMESTAMP_AT);
  const stamp = (attributes & STAMPED_BY_BROKER) === 0 ? undefined : String(int64(set, at + MAX_TIMESTAMP_AT));
  const batchContext = { producerId: String(int64(set, at + PRODUCER_ID_AT)), inTransaction: (attributes & IN_TRANSACTION) !== 0 };
  const reader = new Reader(set, at + RECORDS_AT);
  for (let left = set.readInt32BE(at + COUNT_AT); left > 0; left--) {
    const length = reader.varint();
    const next = reader.at + length;
    const record = new Reader(Buffer.from(set.subarray(reader.at, next)), 1);
    const timestamp = firstTimestamp + record.varint();
    messages.push({
      timestamp: stamp ?? String(timestamp),
      offset: String(firstOffset + record.varint()),
      key: record.bytes(),
      value: record.bytes(),
      headers: record.headers(),
      isControlRecord,
      batchContext,
    });
    reader.at = next;
  }
};

/** Exact up to 2^53, which neither offsets nor times come near. */
const int64 = (buffer: Buffer, at: number): number => buffer.readInt32BE(at) * TWO_TO_THE_32 + buffer.readUInt32BE(at + 4);

class Reader {
  constructor(
    private readonly buffer: Buffer,
    public at: number,
  ) {}

  /** Seven bits a byte, the lowest first; the sign is the lowest bit of all. A record's deltas may have more than 32 bits. */
  varint(): number {
    let byte = this.#byte();
    let value = byte & 0x7f;
    for (let weight = 128; byte >= 0x80; weight *= 128) {
      byte = this.#byte();
      value += (byte & 0x7f) * weight;
    }
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  bytes(): Buffer | null {
    const length = this.varint();
    return length < 0 ? null : this.#take(length);
  }

  headers(): Headers {
    const headers: Header[] = [];
    for (let left = this.varint(); left > 0; left--) headers.push({ key: this.#take(this.varint()).toString(), value: this.bytes() });
    return headersByName(headers);
  }

  /** @throws {RangeError} when there is not so much, or less than nothing: to go back would be to go round */
  #take(length: number): Buffer {
    const from = this.at;
    this.at += length;
    if (length < 0 || this.at > this.buffer.length) throw new RangeError('a record says more of itself than there is');
    return this.buffer.subarray(from, this.at);
  }

  /** @throws {RangeError} beyond the end: what a record says of itself is not true */
  #byte(): number {
    const byte = this.buffer[this.at++];
    if (byte === undefined) throw new RangeError('a record is longer than its batch says');
    return byte;
  }
}
