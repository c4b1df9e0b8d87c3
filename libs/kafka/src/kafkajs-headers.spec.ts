import { createRequire } from 'node:module';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { gatherHeadersOurselves } from './kafkajs-headers.js';

const require = createRequire(import.meta.url);
const RECORD = 'kafkajs/src/protocol/recordBatch/record/v0/decoder.js';
type Decoded = { readonly headers: Readonly<Record<string, unknown>>; readonly value: Buffer };

const varint = (value: number): Buffer => {
  const bytes: number[] = [];
  let rest = 2 * value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.from([...bytes, rest]);
};
const text = (value: string): Buffer => Buffer.concat([varint(Buffer.byteLength(value)), Buffer.from(value)]);

/** Attributes, the two deltas, no key, a value of one byte, and these headers, each with the value `v`. */
const recordWith = (names: readonly string[]): Buffer =>
  Buffer.concat([Buffer.from([0, 0, 0, 1]), text('1'), varint(names.length), ...names.flatMap((name) => [text(name), text('v')])]);

const decoded = (names: readonly string[]): Decoded => {
  const Decoder = require('kafkajs/src/protocol/decoder.js') as new (bytes: Buffer) => object;
  const decode = require(RECORD) as (decoder: object, batch: object) => Decoded;
  return decode(new Decoder(recordWith(names)), { firstOffset: '0', firstTimestamp: '0', magicByte: 2 });
};

beforeAll(gatherHeadersOurselves);

const V = Buffer.from('v');

describe('the headers of a record', () => {
  it('are there by name, of repeated ones the last', () => {
    const { headers, value } = decoded(['a', 'b', '__proto__', 'constructor', 'b', 'b']);
    expect(Object.entries(headers)).toEqual([['a', V], ['b', V], ['__proto__', V], ['constructor', V]]);
    expect(value).toEqual(Buffer.from('1'));
  });

  it('may be very many, and are there all the same at once', () => {
    const names = Array.from({ length: 50_000 }, (_, n) => `h${n}`);
    const startedMs = performance.now();
    expect(Object.keys(decoded(names).headers).length).toBe(50_000);
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });
});
