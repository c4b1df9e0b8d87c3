/**
 * Snappy and LZ4, as Kafka's producers write them; both are a sequence of bytes as they are, and of repetitions of what is already there.
 * @see https://github.com/google/snappy/blob/main/format_description.txt
 * @see https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md
 */

/** What a batch may be inflated to: a few bytes can say that they are a gigabyte. */
export const MAX_INFLATED_BYTES = 64 * 1024 * 1024;

class Inflated {
  #bytes: Buffer;
  #length = 0;

  constructor(expectedBytes: number) {
    this.#bytes = Buffer.allocUnsafe(expectedBytes);
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  copy(input: Buffer, start: number, length: number): void {
    if (start + length > input.length) throw new RangeError('compressed data ends too early');
    this.#reserve(length);
    input.copy(this.#bytes, this.#length, start, start + length);
    this.#length += length;
  }

  /** What began `distance` bytes ago; where that is less than the length, it repeats itself. */
  repeat(distance: number, length: number): void {
    if (distance < 1 || distance > this.#length) throw new RangeError('compressed data refers to what is before its beginning');
    this.#reserve(length);
    const from = this.#length - distance;
    // What has been repeated already can be copied with the rest: the runs double.
    for (let left = length; left > 0; ) {
      const run = Math.min(left, this.#length - from);
      this.#bytes.copyWithin(this.#length, from, from + run);
      this.#length += run;
      left -= run;
    }
  }

  #reserve(more: number): void {
    const length = this.#length + more;
    if (length > MAX_INFLATED_BYTES) throw new RangeError(`compressed data is more than ${MAX_INFLATED_BYTES} bytes`);
    if (length <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.min(MAX_INFLATED_BYTES, Math.max(length, 2 * this.#bytes.length)));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** @throws {RangeError} beyond the end */
const byteAt = (input: Buffer, at: number): number => input.readUInt8(at);

type Varint = { readonly value: number; readonly end: number };

const varintAt = (input: Buffer, at: number): Varint => {
  let value = 0;
  for (let i = 0; i < 5; i++) {
    const byte = byteAt(input, at + i);
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: at + i + 1 };
  }
  throw new RangeError('a length of more than five bytes');
};

/** Tags of literals from 60 on say how many bytes their length has. */
const SNAPPY_LONG_LITERAL = 60;

const snappyBlock = (input: Buffer, out: Inflated): void => {
  const { end } = varintAt(input, 0);
  for (let at = end; at < input.length; ) {
    const tag = byteAt(input, at++);
    const upper = tag >> 2;
    if ((tag & 3) === 0) {
      const lengthBytes = Math.max(0, upper - SNAPPY_LONG_LITERAL + 1);
      const length = (lengthBytes === 0 ? upper : input.readUIntLE(at, lengthBytes)) + 1;
      out.copy(input, at + lengthBytes, length);
      at += lengthBytes + length;
    } else if ((tag & 3) === 1) {
      out.repeat(((tag >> 5) << 8) | byteAt(input, at), (upper & 7) + 4);
      at += 1;
    } else if ((tag & 3) === 2) {
      out.repeat(input.readUInt16LE(at), upper + 1);
      at += 2;
    } else {
      out.repeat(input.readUInt32LE(at), upper + 1);
      at += 4;
    }
  }
};

/** The Java client writes blocks one after the other, each behind its length, after this and two version numbers; others write one block. */
const SNAPPY_STREAM = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0]);
const SNAPPY_STREAM_HEADER_BYTES = SNAPPY_STREAM.length + 8;

/** @throws {RangeError} */
export const snappyInflated = (input: Buffer): Buffer => {
  const out = new Inflated(Math.min(4 * input.length, MAX_INFLATED_BYTES));
  if (!input.subarray(0, SNAPPY_STREAM.length).equals(SNAPPY_STREAM)) {
    snappyBlock(input, out);
    return out.bytes;
  }
  for (let at = SNAPPY_STREAM_HEADER_BYTES; at < input.length; ) {
    const length = input.readUInt32BE(at);
    if (at + 4 + length > input.length) throw new RangeError('compressed data ends too early');
    snappyBlock(input.subarray(at + 4, at + 4 + length), out);
    at += 4 + length;
  }
  return out.bytes;
};

const LZ4_MAGIC = 0x184d2204;
const LZ4_HAS_BLOCK_CHECKSUMS = 0x10;
const LZ4_HAS_SIZE = 0x08;
const LZ4_HAS_DICTIONARY = 0x01;
const LZ4_STORED = 0x8000_0000;
/** The shortest repetition; shorter ones do not pay. */
const LZ4_MIN_REPETITION = 4;

/** A length of 15 goes on in the bytes behind it, for as long as they are 255. */
const lz4Length = (input: Buffer, at: number, nibble: number): Varint => {
  let value = nibble;
  let end = at;
  if (nibble < 15) return { value, end };
  for (let byte = 255; byte === 255; ) {
    byte = byteAt(input, end++);
    value += byte;
  }
  return { value, end };
};

const lz4Block = (input: Buffer, out: Inflated): void => {
  for (let at = 0; at < input.length; ) {
    const token = byteAt(input, at++);
    const literal = lz4Length(input, at, token >> 4);
    out.copy(input, literal.end, literal.value);
    at = literal.end + literal.value;
    // The last sequence of a block is without a repetition.
    if (at >= input.length) return;
    const distance = input.readUInt16LE(at);
    const repetition = lz4Length(input, at + 2, token & 15);
    out.repeat(distance, repetition.value + LZ4_MIN_REPETITION);
    at = repetition.end;
  }
};

/** Checksums are not looked at: Kafka's own, over the whole batch, has been. @throws {RangeError} */
export const lz4Inflated = (input: Buffer): Buffer => {
  const out = new Inflated(Math.min(4 * input.length, MAX_INFLATED_BYTES));
  if (input.readUInt32LE(0) !== LZ4_MAGIC) throw new RangeError('not an LZ4 frame');
  const flags = byteAt(input, 4);
  if ((flags & LZ4_HAS_DICTIONARY) !== 0) throw new RangeError('an LZ4 frame with a dictionary that we do not have');
  const checksumBytes = (flags & LZ4_HAS_BLOCK_CHECKSUMS) === 0 ? 0 : 4;
  let at = (flags & LZ4_HAS_SIZE) === 0 ? 7 : 15;
  for (let size = input.readUInt32LE(at); size !== 0; size = input.readUInt32LE(at)) {
    const isStored = size >= LZ4_STORED;
    const length = isStored ? size - LZ4_STORED : size;
    if (at + 4 + length > input.length) throw new RangeError('compressed data ends too early');
    if (isStored) out.copy(input, at + 4, length);
    else lz4Block(input.subarray(at + 4, at + 4 + length), out);
    at += 4 + length + checksumBytes;
  }
  return out.bytes;
};
