import { createRequire } from 'node:module';
import { describe, expect, it } from '@jest/globals';
import { crc32c } from './crc32c.js';
import { encodeProduce, type ProducedTopic } from './produce-encoding.js';

const require = createRequire(import.meta.url);
const kafkajsRequest = require('kafkajs/src/protocol/requests/produce/v3/request.js') as (request: object) => {
  encode(): Promise<{ readonly buffer: Buffer }>;
};

const NOW = 1_763_700_000_123;

/** kafkajs stamps by its own clock: the messages say the time. */
const byKafkajs = async (topics: readonly ProducedTopic[]): Promise<Buffer> => {
  const topicData = topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition, messages }) => ({
      partition,
      messages: messages.map((message) => ({ ...message, timestamp: NOW })),
    })),
  }));
  return (await kafkajsRequest({ acks: -1, timeout: 30_000, topicData }).encode()).buffer;
};

const both = async (...topics: ProducedTopic[]): Promise<readonly [ours: string, theirs: string]> => [
  encodeProduce(-1, 30_000, topics, NOW).toString('hex'),
  (await byKafkajs(topics)).toString('hex'),
];

const message = (value: string | Buffer | null, rest: object = {}) => ({ key: 'k', value, ...rest });

describe('a produce request', () => {
  it.each([
    ['a record', [message('v')]],
    ['neither key nor value', [{ key: null, value: null }]],
    ['empty key and value', [{ key: '', value: '' }]],
    ['headers, text and bytes', [message('v', { headers: { schema: '1', é: Buffer.from([0, 255]), empty: '' } })]],
    ['text that is longer in bytes', [message('é€😀'.repeat(100))]],
    ['lengths around those of a varint', [63, 64, 8_191, 8_192, 300_000].map((length) => message('x'.repeat(length)))],
    ['many records', Array.from({ length: 300 }, (_, n) => message(Buffer.alloc(n, n)))],
  ])('with %s has the bytes that kafkajs gives it', async (_, messages) => {
    const [ours, theirs] = await both({ topic: 'posthorn.é.v1', partitions: [{ partition: 3, messages }] });
    expect(ours).toBe(theirs);
  });

  it('to several topics and partitions has the bytes that kafkajs gives it', async () => {
    const partitions = [0, 7, 11].map((partition) => ({ partition, messages: [message(`in ${partition}`), message('2')] }));
    const [ours, theirs] = await both({ topic: 'a', partitions }, { topic: 'b', partitions: partitions.slice(1) });
    expect(ours).toBe(theirs);
  });
});

describe('CRC-32C', () => {
  it('of the examples of RFC 3720, B.4', () => {
    expect(crc32c(Buffer.alloc(32)).toString(16)).toBe('8a9136aa');
    expect(crc32c(Buffer.alloc(32, 0xff)).toString(16)).toBe('62a8ab43');
    expect(crc32c(Buffer.from(Array.from({ length: 32 }, (_, n) => n))).toString(16)).toBe('46dd794e');
  });

  it('of a part of a buffer, whatever its length', () => {
    const bytes = Buffer.from(Array.from({ length: 64 }, (_, n) => (n * 37) & 0xff));
    for (let start = 0; start < 9; start++) {
      for (let end = start; end < 64; end++) expect(crc32c(bytes, start, end)).toBe(crc32c(Buffer.from(bytes.subarray(start, end))));
    }
  });
});
