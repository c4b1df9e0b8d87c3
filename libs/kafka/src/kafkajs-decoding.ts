import { createRequire } from 'node:module';
import type { Headers } from './headers.js';
import type { FetchedMessage, FetchedMessages } from './kafkajs-internals.js';
import { decodeRecordSet, nextOffsetOf } from './record-batch.js';

const require = createRequire(import.meta.url);
const DECODER = 'kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js';

type Decoder = { readonly buffer: Buffer; readonly offset: number; readInt32(): number; canReadBytes(length: number): boolean; readBytes(length: number): Buffer };
type Decode = (decoder: Decoder) => Promise<FetchedMessages>;

const copied = (data: Buffer | null): Buffer | null => data && Buffer.from(data);

/** Of an inflated batch, which is as large as its producer liked. */
const detached = (message: FetchedMessage): FetchedMessage => {
  const headers = Object.create(null) as Record<string, Buffer | undefined>;
  for (const name in message.headers) headers[name] = copied(message.headers[name] ?? null) ?? undefined;
  return Object.assign(message, { key: copied(message.key), value: copied(message.value), headers: headers satisfies Headers });
};

/**
 * Puts our decoding of a partition's records in the place of kafkajs' (its versions 5 to 11 of fetch responses build on 4, and all are loaded when the first
 * request is made). Compressed batches and old formats stay with kafkajs.
 */
export const decodeRecordsOurselves = (): void => {
  const original = require(DECODER) as Decode;
  const module = require.cache[require.resolve(DECODER)];
  if (!module) throw new Error(`kafkajs keeps its decoder of fetched records elsewhere than ${DECODER}`);
  module.exports = async (decoder: Decoder): Promise<FetchedMessages> => {
    const { buffer, offset } = decoder;
    const size = buffer.readInt32BE(offset);
    const from = offset + 4;
    if (size <= 0 || from + size > buffer.length) return original(decoder);
    const set = buffer.subarray(from, from + size);
    const decoded = decodeRecordSet(set);
    if (decoded) decoder.readBytes(4 + size);
    const messages = decoded ?? (await original(decoder)).map(detached);
    return Object.assign(messages, { nextOffset: nextOffsetOf(set) });
  };
};
