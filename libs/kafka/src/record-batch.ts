import { headersByName, type Header, type Headers } from './headers.js';
import type { FetchedMessage } from './kafkajs-internals.js';

/**
 * Record batches as a fetch brings them: format 2 and not compressed, as everything is that Posthorn writes (https://kafka.apache.org/documentation/#recordbatch).
 * Each record is copied once, out of an answer that would otherwise stay in memory as long as any of its records; key, value and headers are views of that copy.
 */

/** A record, and what kafkajs' filter of aborted transactions looks at. */
type DecodedMessage = FetchedMessage & { readonly batchContext: { readonly producerId: string; readonly inTransaction: boolean } };

const MAGIC = 2;
/** Where things are in a batch. Its length counts from behind itself. */
const LENGTH_AT = 8;
const AFTER_LENGTH = 12;
const MAGIC_AT = 16;
const ATTRIBUTES_AT = 21;
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

/** The records of a partition, of which the last batch may be cut off; undefined when there is a batch that is for kafkajs: compressed, or of an old format. */
export const decodeRecordSet = (set: Buffer): readonly DecodedMessage[] | undefined => {
  const messages: DecodedMessage[] = [];
  for (let at = 0; at + RECORDS_AT <= set.length; ) {
    const end = at + AFTER_LENGTH + set.readInt32BE(at + LENGTH_AT);
    if (set[at + MAGIC_AT] !== MAGIC || (set.readInt16BE(at + ATTRIBUTES_AT) & COMPRESSION) !== 0) return undefined;
    if (end > set.length) break;
    decodeBatch(set, at, messages);
    at = end;
  }
  return messages;
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
    if (length < 0) return null;
    const from = this.at;
    this.at += length;
    return this.buffer.subarray(from, this.at);
  }

  headers(): Headers {
    const headers: Header[] = [];
    for (let left = this.varint(); left > 0; left--) headers.push({ key: this.#name(), value: this.bytes() });
    return headersByName(headers);
  }

  #name(): string {
    const length = this.varint();
    const from = this.at;
    this.at += length;
    return this.buffer.toString('utf8', from, this.at);
  }

  /** @throws {RangeError} beyond the end: what a record says of itself is not true */
  #byte(): number {
    const byte = this.buffer[this.at++];
    if (byte === undefined) throw new RangeError('a record is longer than its batch says');
    return byte;
  }
}
