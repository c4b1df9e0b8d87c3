import { createRequire } from 'node:module';
import { encodeProduce, type ProducedTopic } from './produce-encoding.js';

const require = createRequire(import.meta.url);
const REQUEST = 'kafkajs/src/protocol/requests/produce/v3/request.js';

type ProduceRequest = {
  readonly acks: number;
  readonly timeout: number;
  readonly transactionalId?: string | null;
  readonly producerId?: unknown;
  readonly compression?: number;
  readonly topicData: readonly ProducedTopic[];
};

/** What kafkajs makes of an encoded body: it reads `buf`, `buffer` and `size()` of its own encoder. */
type Encoded = { readonly buf: Buffer; readonly buffer: Buffer; size(): number };

type Request = {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  readonly expectResponse: () => boolean;
  readonly encode: () => Promise<Encoded>;
};

const encoded = (buffer: Buffer): Encoded => ({ buf: buffer, buffer, size: () => buffer.length });

const RESPONSE_TIMEOUT_MS = 30_000;

/**
 * Puts our encoding of produce requests in the place of kafkajs' (its versions 4 to 7 build on 3, and all are loaded when the first
 * request is made). What we never send, transactions and compressed records, stays with kafkajs.
 */
export const encodeProduceRequestsOurselves = (): void => {
  const original = require(REQUEST) as (request: ProduceRequest) => Request;
  const module = require.cache[require.resolve(REQUEST)];
  if (!module) throw new Error(`kafkajs keeps its produce request elsewhere than ${REQUEST}`);
  module.exports = (request: ProduceRequest): Request => {
    const { acks, timeout = RESPONSE_TIMEOUT_MS, transactionalId, compression, topicData } = request;
    const theirs = original(request);
    if (transactionalId || compression) return theirs;
    return { ...theirs, encode: async () => encoded(encodeProduce(acks, timeout, topicData, Date.now())) };
  };
};
