import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const RECORD = 'kafkajs/src/protocol/recordBatch/record/v0/decoder.js';

type Header = { readonly key: string; readonly value: Buffer | null };
type Headers = Record<string, Buffer | null | (Buffer | null)[]>;
type RecordDecoder = { readVarIntArray(read: (decoder: RecordDecoder) => Header): readonly Header[] };
type DecodedRecord = { headers: Headers };

/** By name, whatever that is; of one that is repeated all values, in their order. */
export const headersByName = (headers: readonly Header[]): Headers => {
  const byName = Object.create(null) as Headers;
  for (const { key, value } of headers) {
    const before = byName[key];
    if (before === undefined) byName[key] = value;
    else if (Array.isArray(before)) before.push(value);
    else byName[key] = [before, value];
  }
  return byName;
};

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
