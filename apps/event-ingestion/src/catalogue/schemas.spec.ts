import { describe, expect, it } from '@jest/globals';
import type { JsonSchema } from '@posthorn/contracts';
import { Schemas } from './schemas.js';

const validatorOf = (schema: JsonSchema) => {
  const schemas = new Schemas();
  return schemas.validatorOf(schemas.keep(schema));
};

/**
 * What each of so many times costs, in this thread's own time: other processes take the processor from long work more often than from short. Systems
 * count that time in steps of up to 10 ms, so it is to be a multiple of those that is measured.
 */
const costOf = (times: number, work: () => unknown): number => {
  const before = process.threadCpuUsage();
  for (let n = 0; n < times; n++) work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / times;
};

describe('a kept schema', () => {
  it('is compiled once, for whoever has the same', () => {
    const schemas = new Schemas();
    const first = schemas.validatorOf(schemas.keep({ type: 'string' }));
    expect(schemas.validatorOf(schemas.keep({ type: 'string' }))).toBe(first);
    expect(schemas.validatorOf(schemas.keep({ type: 'number' }))).not.toBe(first);
    expect([first('a').valid, first(1).valid]).toEqual([true, false]);
  });

  it('takes less room than its text', () => {
    const schemas = new Schemas();
    const schema = { properties: Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`member_${n}`, { type: 'string', maxLength: n, description: `What member ${n} is about` }])) };
    expect(schemas.packedBytes).toBe(0);
    const { bytes, packed } = schemas.keep(schema);
    expect(bytes).toBe(JSON.stringify(schema).length);
    expect(packed.length * 3).toBeLessThan(bytes);
    // Not the beginning of what zlib worked in.
    expect(packed.buffer.byteLength).toBeLessThan(2 * packed.length);
  });

  it('that cannot be compiled fits nothing', () => {
    expect(validatorOf({ requierd: ['a'] })({})).toEqual({
      valid: false,
      errors: [{ path: 'data', message: expect.stringMatching(/^cannot be judged: schema\.requierd is not a keyword/) }],
    });
  });
});

const items = <T>(count: number, item: (n: number) => T): readonly T[] => Array.from({ length: count }, (_, n) => item(n));
const nest = (levels: number): object => (levels === 0 ? {} : { next: nest(levels - 1) });
const all = (count: number, schema: (n: number) => JsonSchema) => ({ allOf: items(count, schema) });

/**
 * Whatever a stranger writes into a schema, an event costs no more than some tens of milliseconds. Told by what it costs to parse an
 * event of 256 KiB on the same machine at the same time, which is one to three.
 */
describe('judging costs no more than some parsings', () => {
  const objects = items(20_000, (n) => ({ n }));
  const letters = items(250_000, (n) => ((n * n) % 7 < 3 ? 'a' : 'b')).join('');
  const twice = { properties: { next: { allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }] } } };
  it.each<[string, JsonSchema, unknown]>([
    ['unique items', { uniqueItems: true }, items(80_000, () => ({}))],
    ['unique items, demanded many times', all(300, () => ({ uniqueItems: true })), objects],
    ['unique numbers, demanded many times', all(900, () => ({ uniqueItems: true })), items(40_000, (n) => n)],
    ['a pattern that backtracks for ever', { pattern: '^(a+)+$' }, `${'a'.repeat(250_000)}b`],
    ['a pattern that no automaton can hold', { pattern: '(a|b)*a(a|b){60}$' }, letters],
    ['many patterns', all(300, (n) => ({ not: { pattern: `.*a.{${n % 9}}c` } })), `${letters}c`],
    ['references that double with every level', { $ref: '#/$defs/a', $defs: { a: twice } }, nest(63)],
    ['items of many alternatives', { items: { anyOf: [...items(500, () => ({ type: 'string' })), {}] } }, items(80_000, () => ({}))],
    ['members, counted many times', all(900, (n) => ({ minProperties: n })), Object.fromEntries(items(25_000, (n) => [`m${n}`, 1]))],
  ])('%s', (_what, schema, value) => {
    const validate = validatorOf(schema);
    const text = JSON.stringify(objects);
    JSON.parse(text);
    validate(value);
    expect(costOf(5, () => validate(value)) / costOf(100, () => JSON.parse(text))).toBeLessThan(100);
  });
});
