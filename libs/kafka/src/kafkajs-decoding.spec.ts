import { describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import './kafkajs-internals.js';
import type { FetchedMessage } from './kafkajs-internals.js';

const require = createRequire(import.meta.url);
const Encoder = require('kafkajs/src/protocol/encoder.js') as new () => { writeInt32(value: number): { writeBuffer(data: Buffer): { readonly buffer: Buffer } } };
const Decoder = require('kafkajs/src/protocol/decoder.js') as new (data: Buffer) => object;
const decodeMessages = require('kafkajs/src/protocol/requests/fetch/v4/decodeMessages.js') as (decoder: object) => Promise<readonly FetchedMessage[]>;
const produceRequest = require('kafkajs/src/protocol/requests/produce/v3/request.js') as (request: object) => { encode(): Promise<{ readonly buffer: Buffer }> };

const GZIP = 1;

/** A compressed batch as a producer of somebody else's writes it. */
const compressed = async (messages: readonly object[]): Promise<Buffer> => {
  const topicData = [{ topic: 't', partitions: [{ partition: 0, messages }] }];
  const { buffer } = await produceRequest({ acks: -1, timeout: 1, compression: GZIP, topicData }).encode();
  // No transaction, acks, timeout, one topic of one letter, one partition, its number, the length of what follows.
  return buffer.subarray(2 + 2 + 4 + 4 + 3 + 4 + 4 + 4);
};

const decoded = (set: Buffer): Promise<readonly FetchedMessage[]> => decodeMessages(new Decoder(new Encoder().writeInt32(set.length).writeBuffer(set).buffer));

describe('a compressed batch', () => {
  it('has of a header that is repeated the last one', async () => {
    const [message] = await decoded(await compressed([{ key: 'k', value: 'v', headers: { twice: ['first', 'last'] } }]));
    expect(String(message?.headers['twice'])).toBe('last');
  });

  it('may have very many headers, and is there all the same at once', async () => {
    const headers = Object.fromEntries(Array.from({ length: 20_000 }, (_, n) => [`h${n}`, 'v']));
    const startedMs = performance.now();
    const [message] = await decoded(await compressed([{ key: 'k', value: 'v', headers }]));
    expect(Object.keys(message?.headers ?? {}).length).toBe(20_000);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
