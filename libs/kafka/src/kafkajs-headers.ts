import { createRequire } from 'node:module';
import { headersByName, type Header, type Headers } from './headers.js';

const require = createRequire(import.meta.url);
const RECORD = 'kafkajs/src/protocol/recordBatch/record/v0/decoder.js';

type RecordDecoder = { readVarIntArray(read: (decoder: RecordDecoder) => Header): readonly Header[] };
type DecodedRecord = { headers: Headers };

/**
 * Gathers the headers of a record in kafkajs' place, which copies all that it has for each one more: 20,000 headers, 200 KB of a record,
 * took minutes in which nothing else was done, and again wherever the partition went next. It is told of none.
 */
export const gatherHeadersOurselves = (): void => {
  const original = require(RECORD) as (decoder: RecordDecoder, batch?: object) => DecodedRecord;
  const module = require.cache[require.resolve(RECORD)];
  if (!module) throw new Error(`kafkajs keeps its decoder of records elsewhere than ${RECORD}`);
  module.exports = (decoder: RecordDecoder, batch?: object): DecodedRecord => {
    const read = decoder.readVarIntArray;
    let headers: Headers | undefined;
    decoder.readVarIntArray = (readHeader) => {
      headers = headersByName(read.call(decoder, readHeader));
      return [];
    };
    const record = original(decoder, batch);
    if (headers) record.headers = headers;
    return record;
  };
};
