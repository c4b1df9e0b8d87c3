import { describe, expect, it } from '@jest/globals';
import { lz4Inflated, MAX_INFLATED_BYTES, snappyInflated } from './decompression.js';
import { random } from './random.fixture.js';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const uint32 = (value: number): string => value.toString(16).padStart(8, '0');

/** Written by hand from the format's description; that Kafka's own codecs are understood is held by `test/kafka.test.ts`. */
const snappy: readonly (readonly [string, Buffer, string])[] = [
  ['a literal', hex('05 10 68656c6c6f'), 'hello'],
  ['nothing', hex('00'), ''],
  ['a literal whose length has a byte of its own', Buffer.concat([hex('64 f0 63'), Buffer.alloc(100, 'x')]), 'x'.repeat(100)],
  ['a literal whose length has two', Buffer.concat([hex('ac02 f4 2b01'), Buffer.alloc(300, 'x')]), 'x'.repeat(300)],
  ['a repetition that repeats itself', hex('0a 00 61 15 01'), 'a'.repeat(10)],
  ['a repetition from two bytes back', hex('08 04 6162 16 0200'), 'abababab'],
  ['a repetition at a distance of four bytes', hex('08 0c 61626364 0f 04000000'), 'abcdabcd'],
];

const lz4Frame = (blocks: string, flags = '60'): Buffer => hex(`04224d18 ${flags} 40 00 ${blocks} 00000000`);
const lz4: readonly (readonly [string, Buffer, string])[] = [
  ['a block as it is', lz4Frame('05000080 68656c6c6f'), 'hello'],
  ['a literal', lz4Frame('06000000 50 68656c6c6f'), 'hello'],
  ['a repetition that repeats itself', lz4Frame('05000000 15 61 0100 00'), 'a'.repeat(10)],
  ['a literal of more than fifteen', lz4Frame(`16000000 f0 05 ${'61'.repeat(20)}`), 'a'.repeat(20)],
  ['a repetition into the block before', lz4Frame('04000080 61626364 04000000 00 0400 00', '40'), 'abcdabcd'],
  ['block checksums', lz4Frame('05000080 68656c6c6f ffffffff', '70'), 'hello'],
  ['the size of the content', hex('04224d18 68 40 0500000000000000 00 05000080 68656c6c6f 00000000'), 'hello'],
  ['nothing', lz4Frame(''), ''],
];

/** By its name: Node's own are those of another realm here. */
const rangeError = expect.objectContaining({ name: 'RangeError' });

describe('Snappy', () => {
  it.each(snappy)('%s', (_, input, expected) => {
    expect(snappyInflated(input).toString()).toBe(expected);
  });

  it('as the Java client writes it: blocks behind their lengths', () => {
    const header = '82534e4150505900 00000001 00000001';
    const input = hex(`${header} ${uint32(7)} 05 10 68656c6c6f ${uint32(5)} 0a 00 61 15 01`);
    expect(snappyInflated(input).toString()).toBe(`hello${'a'.repeat(10)}`);
    expect(() => snappyInflated(hex(`${header} ${uint32(9)} 05 10 68656c6c6f`))).toThrow('ends too early');
  });

  it.each([
    ['ends within a literal', hex('05 10 6865')],
    ['ends within a tag', hex('0a 00 61 16 01')],
    ['refers to before its beginning', hex('0a 00 61 15 02')],
    ['refers to itself', hex('0a 00 61 15 00')],
    ['has a length without end', hex('ffffffffffff 00')],
  ])('that %s is an error', (_, input) => {
    expect(() => snappyInflated(input)).toThrow(rangeError);
  });
});

describe('LZ4', () => {
  it.each(lz4)('%s', (_, input, expected) => {
    expect(lz4Inflated(input).toString()).toBe(expected);
  });

  it.each([
    ['is not LZ4', hex('04224d19 60 40 00 00000000')],
    ['wants a dictionary', lz4Frame('', '61')],
    ['has no end', hex('04224d18 60 40 00 05000080 68656c6c6f')],
    ['ends within a block', hex('04224d18 60 40 00 05000080 6865')],
    ['ends within a literal', lz4Frame('02000000 50 68')],
    ['refers to before its beginning', lz4Frame('05000000 15 61 0200 00')],
    ['refers to itself', lz4Frame('05000000 15 61 0000 00')],
  ])('that %s is an error', (_, input) => {
    expect(() => lz4Inflated(input)).toThrow(rangeError);
  });

  it('that says it is more than can be held is an error before it is held', () => {
    const repetition = Buffer.concat([hex('1f 61 0100'), Buffer.alloc(MAX_INFLATED_BYTES / 255 + 1, 0xff), hex('00')]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(repetition.length);
    expect(() => lz4Inflated(Buffer.concat([hex('04224d18 60 40 00'), size, repetition, hex('00000000')]))).toThrow(`more than ${MAX_INFLATED_BYTES}`);
  });
});

it('whatever is damaged in either, the answer is bytes or an error of its own, and soon', () => {
  const below = random(7);
  const errors = new Set<unknown>();
  for (const [inflated, samples] of [[snappyInflated, snappy], [lz4Inflated, lz4]] as const) {
    for (let round = 0; round < 2_000; round++) {
      const [, sample] = samples[below(samples.length)] ?? ['', Buffer.alloc(0)];
      const damaged = Buffer.from(sample);
      for (let n = 0; n < 3 && damaged.length > 0; n++) damaged[below(damaged.length)] = below(256);
      try {
        inflated(damaged.subarray(0, 1 + below(damaged.length)));
      } catch (error) {
        errors.add((error as Error).name); // whatever is thrown has one, or is told as undefined
      }
    }
  }
  expect([...errors]).toEqual(['RangeError']);
});
