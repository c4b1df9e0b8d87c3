import { describe, expect, it } from '@jest/globals';
import type { JsonSchema } from '@posthorn/contracts';
import { compileSchema, type Validate } from './compile.js';
import { assertedFormats } from './formats.js';

const validator = (schema: JsonSchema): Validate => {
  const compiled = compileSchema(schema);
  if (compiled.kind === 'refused') throw new Error(JSON.stringify(compiled.errors));
  return compiled.validate;
};

/** What is wrong with a value, as `path: message`. */
const faultsOf = (schema: JsonSchema, value: unknown): readonly string[] => {
  const verdict = validator(schema)(value);
  return verdict.valid ? [] : verdict.errors.map(({ path, message }) => `${path}: ${message}`);
};

const refusal = (schema: JsonSchema): { readonly path: string; readonly message: string } | undefined => {
  const compiled = compileSchema(schema);
  return compiled.kind === 'refused' ? compiled.errors[0] : undefined;
};

/** Of this thread's own time: while others have the processor it does no work. */
const millisecondsOf = (work: () => unknown): number => {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1_000;
};

const nested = (levels: number): JsonSchema => {
  let schema: JsonSchema = {};
  for (let level = 0; level < levels; level++) schema = { not: schema };
  return schema;
};

const all = (count: number, schemaOf: (n: number) => JsonSchema) => ({ allOf: Array.from({ length: count }, (_, n) => schemaOf(n)) });
const withMembers = (count: number, name: string) => ({
  properties: Object.fromEntries(Array.from({ length: count }, (_, n) => [`${name}${n}`, { type: 'string' }])),
});
/** Of the processor, whatever else it does; the least of some. V8 remembers the code that it has seen, so each schema is a new one. */
const effortToCompile = (members: number): number =>
  Math.min(
    ...['a', 'b', 'c', 'd', 'e'].map((name) => {
      const before = process.cpuUsage();
      validator(withMembers(members, name));
      return process.cpuUsage(before).user;
    }),
  );

const invoice = {
  type: 'object',
  required: ['id', 'lines'],
  additionalProperties: false,
  properties: {
    id: { type: 'string', format: 'uuid' },
    lines: { type: 'array', items: { $ref: '#/$defs/line' } },
    state: { enum: ['open', 'paid', { other: 'x' }] },
  },
  $defs: { line: { type: 'object', required: ['amount'], properties: { amount: { type: 'integer', minimum: 0 } } } },
};
const id = '0190a5a4-0000-7000-8000-000000000000';

describe('a compiled schema', () => {
  it.each<[string, JsonSchema, unknown, readonly string[]]>([
    ['what fits', invoice, { id, lines: [{ amount: 1 }], state: { other: 'x' } }, []],
    ['a wrong type', invoice, { id, lines: [{ amount: 1 }, { amount: '2' }] }, ['data.lines[1].amount: must be integer']],
    ['a missing member', invoice, { id, lines: [{}] }, ['data.lines[0].amount: is missing']],
    ['a member too many', invoice, { id, lines: [], 'due date': 1 }, ['data["due date"]: is not allowed by the schema']],
    ['a format', invoice, { id: 'x', lines: [] }, ['data.id: must match format "uuid"']],
    ['an enum', invoice, { id, lines: [], state: { other: 'y' } }, ['data.state: must be one of the values that the schema lists']],
    ['a date that is none', { format: 'date' }, '2026-02-31', ['data: must match format "date"']],
    ['a format that is nobody\'s', { format: 'money' }, 'x', []],
    ['a name that only looks like an index', { properties: { 0: { type: 'string' } } }, { 0: 1 }, ['data.0: must be string']],
    ['a member that is only inherited', { required: ['constructor'] }, {}, ['data.constructor: is missing']],
    ['every alternative', { anyOf: [{ type: 'string' }, { required: ['a'] }] }, {}, ['data: must be string', 'data.a: is missing']],
    ['items twice, in any order of members', { uniqueItems: true }, [{ a: 1, b: 2 }, { b: 2, a: 1 }], ['data: must not hold an item twice']],
    ['items that are only alike', { uniqueItems: true }, ['1', 1, [['a', 1]], { a: 1 }, '[1]', [1], null, 'null'], []],
    ['true', true, 1, []],
    ['false', false, 1, ['data: is not allowed by the schema']],
    ['a dynamic reference', { $ref: '#/$defs/a', $dynamicRef: '#b', $defs: { a: {}, b: { $dynamicAnchor: 'b', type: 'string' } } }, 1, ['data: must be string']],
    ['an anchor', { $ref: '#a', $defs: { a: { $anchor: 'a', type: 'string' } } }, 1, ['data: must be string']],
    ['a name with a blank', { $ref: '#/$defs/a%20b~1c', $defs: { 'a b/c': { type: 'string' } } }, 1, ['data: must be string']],
    ['annotations of others', { 'x-shop': 1, example: 2, discriminator: { propertyName: 'kind' }, xml: {}, default: 3 }, 1, []],
    ['two patterns', { properties: { a: { pattern: '^a$' }, b: { pattern: '^b$' } } }, { a: 'a', b: 'a' }, ['data.b: must match pattern "^b$"']],
    ['members by pattern', { patternProperties: { '^x_': { type: 'string' } } }, { x_a: 1 }, ['data.x_a: must be string']],
    ['unevaluated members', { allOf: [{ properties: { a: true } }], unevaluatedProperties: false }, { a: 1, b: 2 }, ['data.b: is not allowed by the schema']],
  ])('judges %s', (_what, schema, value, faults) => {
    expect(faultsOf(schema, value)).toEqual(faults);
  });

  it('names the value as it is told to', () => {
    expect(validator({ type: 'string' })(1, ['event_types', 'a.b', 'example'])).toEqual({
      valid: false,
      errors: [{ path: 'event_types["a.b"].example', message: 'must be string' }],
    });
  });

  it('answers the same object for whatever fits', () => {
    const validate = validator(invoice);
    expect(validate({ id, lines: [] })).toBe(validate({ id, lines: [{ amount: 1 }] }));
  });
});

describe('the work of a validator', () => {
  it.each<[string, JsonSchema, unknown]>([
    ['nested repetition', { pattern: '^(a+)+$' }, `${'a'.repeat(40)}b`],
    ['overlapping alternatives', { pattern: '^(a|aa)+$' }, `${'a'.repeat(40)}b`],
  ])('does not explode in patterns: %s', (_what, schema, value) => {
    const validate = validator(schema);
    validate(value);
    expect(millisecondsOf(() => expect(validate(value).valid).toBe(false))).toBeLessThan(1_000);
  });

  const deep = (levels: number): object => (levels === 0 ? {} : { next: deep(levels - 1) });
  it('ends where alternatives double with every level', () => {
    const twice = { $defs: { a: { properties: { next: { allOf: [{ $ref: '#/$defs/a' }, { $ref: '#/$defs/a' }] } } } }, $ref: '#/$defs/a' };
    expect(faultsOf(twice, deep(10))).toEqual([]);
    expect(millisecondsOf(() => expect(faultsOf(twice, deep(60))).toEqual(['data: takes too much work to validate against this schema']))).toBeLessThan(2_000);
    // The next value starts afresh.
    expect(faultsOf(twice, deep(3))).toEqual([]);
  });

  it('ends where definitions double', () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`d${n}`, n === 39 ? {} : { allOf: [{ $ref: `#/$defs/d${n + 1}` }, { $ref: `#/$defs/d${n + 1}` }] }]),
    );
    expect(faultsOf({ $defs, $ref: '#/$defs/d0' }, 1)).toEqual(['data: takes too much work to validate against this schema']);
  });

  const numbers = Array.from({ length: 40_000 }, (_, n) => n);
  const wide = Object.fromEntries(numbers.slice(0, 25_000).map((n) => [`m${n}`, 1]));
  const letters = Array.from({ length: 100_000 }, (_, n) => ((n * n) % 7 < 3 ? 'a' : 'b')).join('');
  it.each<[string, JsonSchema, unknown]>([
    ['numbers are told apart again and again', all(900, () => ({ uniqueItems: true })), numbers],
    ['objects are', all(100, () => ({ uniqueItems: true })), numbers.slice(0, 20_000).map((n) => ({ n }))],
    ['objects are looked for in a list', { items: all(100, () => ({ not: { enum: [{ a: 1 }] } })) }, numbers.slice(0, 20_000).map((n) => ({ n }))],
    ['members are counted', all(900, (n) => ({ minProperties: n })), wide],
    ['members are walked over', all(300, () => ({ additionalProperties: true, propertyNames: true })), wide],
    ['members are compared with all that was evaluated', { ...all(500, (n) => ({ properties: { [`n${n}`]: true } })), unevaluatedProperties: true }, wide],
    ['constants are compared', { items: all(100, () => ({ not: { const: 'x'.repeat(500) } })) }, numbers.slice(0, 1_000)],
    ['names are looked for', { items: { dependentRequired: Object.fromEntries(numbers.slice(0, 2_000).map((n) => [`m${n}`, ['a']])) } }, numbers.slice(0, 20_000).map(() => ({}))],
    ['characters are counted', all(900, () => ({ minLength: 1 })), letters],
    ['a pattern has more places than an automaton can hold', { pattern: '(a|b)*a(a|b){60}$' }, letters],
  ])('ends where %s', (_what, schema, value) => {
    expect(faultsOf(schema, value)).toEqual(['data: takes too much work to validate against this schema']);
  });

  it.each<[string, JsonSchema, unknown]>([
    ['small objects, closed', { items: { type: 'object', required: ['a'], additionalProperties: false, properties: { a: { type: 'integer' } } } }, numbers.slice(0, 30_000).map((n) => ({ a: n }))],
    ['numbers by reference', { items: { $ref: '#/$defs/a' }, $defs: { a: { type: 'number', minimum: 0 } } }, numbers.map((n) => n + 100_000)],
    ['identifiers by pattern', { items: { pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' } }, numbers.slice(0, 6_500).map(() => id)],
    ['a long text in base64', { type: 'string', maxLength: 260_000, pattern: '^[A-Za-z0-9+/]*={0,2}$' }, 'QUJD'.repeat(65_000)],
  ])('leaves room for what fills an event: %s', (_what, schema, value) => {
    expect(faultsOf(schema, value)).toEqual([]);
  });

  it('ends where the stack does', () => {
    const $defs = Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`d${n}`, { $ref: `#/$defs/d${n + 1}` }]));
    const schema = { $defs: { ...$defs, d300: { properties: { next: { $ref: '#/$defs/d0' } } } }, $ref: '#/$defs/d0' };
    expect(faultsOf(schema, deep(60))).toEqual(['data: takes too much work to validate against this schema']);
  });

  it('grows with the items, not with their square', () => {
    const items = Array.from({ length: 60_000 }, (_, n) => n);
    const validate = validator({ uniqueItems: true, items: { anyOf: [{ enum: items.slice(-8_000) }, { maximum: 60_000 }] } });
    expect(validate(items)).toEqual({ valid: true });
    expect(millisecondsOf(() => validate(items))).toBeLessThan(1_000);
  });

  it('bounds what many patterns do to a long text', () => {
    const allOf = Array.from({ length: 500 }, (_, n) => ({ pattern: `(a|b)*a(a|b){${n % 100}}$` }));
    const text = Array.from({ length: 200_000 }, (_, n) => (n * n) % 7 < 3 ? 'a' : 'b').join('');
    expect(millisecondsOf(() => expect(validator({ allOf })(text).valid).toBe(false))).toBeLessThan(10_000);
  });

  it.each(Object.keys(assertedFormats({} as never)))('is in proportion to the text for format %s', (format) => {
    const parts = ['a', '1', ':', '0:', 'a.', '@', 'a@', 'a-', '%', '/', '/~', '{', 'P1', '2026-01-01T', 'http://', '::', '[', ' ', 'é'];
    const validate = validator({ format });
    for (const part of parts) {
      const long = part.repeat(200_000 / part.length);
      for (const text of [long, `http://${long}`, `a@${long}!`]) {
        expect([part, millisecondsOf(() => validate(text)) < 250]).toEqual([part, true]);
      }
    }
  });
});

describe('the work of compiling', () => {
  it('grows with the schema, not with its square', () => {
    effortToCompile(100);
    expect(effortToCompile(1_900) / effortToCompile(100)).toBeLessThan(60);
  });
});

describe('a schema is refused, with the place, when it', () => {
  it.each<[string, JsonSchema, string, RegExp]>([
    ['is too large', { description: 'x'.repeat(65 * 1024) }, 'schema', /larger than 64 KiB/],
    ['is too deep', nested(64), 'schema', /more than 64 levels/],
    ['is deeper than the stack', nested(50_000), 'schema', /more than 64 levels/],
    ['holds too many schemas', { anyOf: Array.from({ length: 2_000 }, () => true) }, 'schema', /more than 2000 schemas/],
    ['is of another draft', { $schema: 'http://json-schema.org/draft-07/schema#' }, 'schema.$schema', /2020-12/],
    ['changes its draft inside', { items: { $schema: 'https://json-schema.org/draft/2020-12/schema' } }, 'schema.items.$schema', /top/],
    ['has an identity inside', { properties: { a: { $id: 'https://elsewhere.example/x' } } }, 'schema.properties.a.$id', /top/],
    ['is not formed like one', { properties: { a: { type: 'strin' } } }, 'schema.properties.a.type', /allowed values/],
    ['lists what is no schema', { allOf: [{}, { allOf: [1] }] }, 'schema.allOf[1].allOf[0]', /must be/],
    ['has a keyword misspelt', { items: { requierd: ['a'] } }, 'schema.items.requierd', /not a keyword/],
    ['has a keyword of OpenAPI 3.0', { nullable: true }, 'schema.nullable', /"null"/],
    ['has a keyword of an older draft', { dependencies: { a: ['b'] } }, 'schema.dependencies', /dependentRequired/],
    ['has our own keyword', { 'posthorn:work': -1_000 }, 'schema["posthorn:work"]', /not a keyword/],
    ['reaches out', { items: { $ref: 'https://elsewhere.example/schema' } }, 'schema.items.$ref', /local/],
    ['reaches a file', { $ref: 'other.json#/a' }, 'schema.$ref', /local/],
    ['reaches out dynamically', { items: { $dynamicRef: 'https://elsewhere.example/schema' } }, 'schema.items.$dynamicRef', /local/],
    ['refers to nothing', { $ref: '#/$defs/a' }, 'schema.$ref', /no schema/],
    ['refers to what is no schema', { $ref: '#/properties', properties: { a: {} } }, 'schema.$ref', /no schema/],
    ['refers to an example', { $ref: '#/examples/0', examples: [{}] }, 'schema.$ref', /no schema/],
    ['refers to itself', { $ref: '#' }, 'schema', /itself/],
    ['refers to itself round a corner', { $defs: { a: { anyOf: [{ $ref: '#/$defs/b' }] }, b: { if: { $ref: '#/$defs/a' } } } }, 'schema.$defs.a', /itself/],
    ['looks ahead', { properties: { x: { pattern: '^(?=a)b' } } }, 'schema.properties.x.pattern', /RE2/],
    ['looks behind', { properties: { x: { pattern: '(?<!a)b' } } }, 'schema.properties.x.pattern', /RE2/],
    ['refers back', { properties: { x: { pattern: String.raw`(a)\1` } } }, 'schema.properties.x.pattern', /RE2/],
    ['has a broken pattern', { patternProperties: { '(': {} } }, 'schema.patternProperties["("]', /RE2/],
    ['has a pattern that is too long', { pattern: 'a'.repeat(1_025) }, 'schema.pattern', /1024 characters/],
    ['has a pattern that is too large', { pattern: 'a{1000}b{1000}' }, 'schema.pattern', /too large/],
    ['gives an anchor twice', { $ref: '#a', $defs: { a: { $anchor: 'a' }, b: { $anchor: 'a' } } }, 'schema', /compiled/],
  ])('%s', (_what, schema, path, message) => {
    const refused = refusal(schema);
    expect(refused?.path).toBe(path);
    expect(refused?.message).toMatch(message);
  });

  it('tells every fault of a kind', () => {
    const compiled = compileSchema({ requierd: [], items: { $ref: 'x', pattern: '(' } }, ['event_types', 'a', 'schema']);
    expect(compiled.kind === 'refused' && compiled.errors.map(({ path }) => path)).toEqual([
      'event_types.a.schema.requierd',
      'event_types.a.schema.items.$ref',
      'event_types.a.schema.items.pattern',
    ]);
  });

  it('is fine with references that go deeper', () => {
    expect(refusal({ properties: { child: { anyOf: [{ $ref: '#' }, { type: 'null' }] } } })).toBeUndefined();
  });
});

describe('the path of a fault', () => {
  it('is no longer than one can read, however long the names in the value', () => {
    const name = 'x'.repeat(100_000);
    const verdict = validator({ additionalProperties: { required: ['a'], anyOf: [{ type: 'string' }, { type: 'null' }] } })({ [name]: { [name]: 1 } });
    expect(verdict.valid).toBe(false);
    for (const { path } of verdict.valid ? [] : verdict.errors) expect(path.length).toBeLessThanOrEqual(1_024);
    const [first] = verdict.valid ? [] : verdict.errors;
    expect(first?.path).toContain('data.xxx');
  });
});
