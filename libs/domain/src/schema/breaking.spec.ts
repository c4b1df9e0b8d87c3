import { describe, expect, it } from '@jest/globals';
import type { JsonSchema } from '@posthorn/contracts';
import { breakingChanges } from './breaking.js';

const paths = (before: JsonSchema | undefined, after: JsonSchema | undefined): readonly string[] =>
  breakingChanges(before, after).map(({ path }) => path);

const object = (properties: object, others: object = {}): JsonSchema => ({ type: 'object', properties, ...others });
const withLine = (line: JsonSchema): JsonSchema => ({ properties: { lines: { items: { $ref: '#/$defs/line' } } }, $defs: { line } });

describe('a schema does not break', () => {
  it.each<[string, JsonSchema | undefined, JsonSchema | undefined]>([
    ['unchanged', object({ a: { type: 'string' } }), object({ a: { type: 'string' } })],
    ['without any', undefined, undefined],
    ['when the first one allows everything', undefined, { description: 'Anything' }],
    ['when the last one allowed everything', {}, undefined],
    ['by annotations', { title: 'A', example: 1 }, { title: 'B', description: 'C', default: 3, deprecated: true, 'x-shop': 1 }],
    ['by an annotation inside', object({ a: { description: 'x' } }), object({ a: { examples: [1], readOnly: true } })],
    ['by an optional property', object({ a: {} }), object({ a: {}, b: { type: 'string' } })],
    ['by an optional property where there was no room', object({}, { additionalProperties: false }), object({ b: {} }, { additionalProperties: false })],
    ['by an optional property deep inside', object({ a: object({}) }), object({ a: object({ b: {} }) })],
    ['by room for more properties', object({}, { additionalProperties: false }), object({})],
    ['by another order', { type: ['string', 'null'], enum: [1, 2], required: ['a', 'b'] }, { required: ['b', 'a'], enum: [2, 1], type: ['null', 'string'] }],
    ['by another way to write one value', { enum: ['a'] }, { const: 'a' }],
    ['by a definition that nobody uses', { $defs: { a: { type: 'string' } } }, { $defs: { a: { type: 'number' } } }],
    ['by moving a definition', withLine({ type: 'string' }), { properties: { lines: { items: { $ref: '#/$defs/l' } } }, $defs: { l: { type: 'string' } } }],
    ['by naming a definition', object({ a: object({ b: {} }) }), object({ a: { $ref: '#/$defs/a' } }, { $defs: { a: object({ b: {} }) } })],
    ['by an optional property in a definition', withLine(object({})), withLine(object({ a: {} }))],
    ['by an optional property in a part', { allOf: [true, object({})] }, { allOf: [true, object({ a: {} })] }],
    ['by an annotation in an alternative', { anyOf: [{ type: 'string' }, true] }, { anyOf: [{ type: 'string', title: 'A' }, true] }],
    ['when it is recursive', object({ next: { $ref: '#' } }), object({ next: { $ref: '#' }, more: {} })],
    ['by room for more items after those that are listed', { prefixItems: [true], items: false }, { prefixItems: [true] }],
  ])('%s', (_what, before, after) => {
    expect(breakingChanges(before, after)).toEqual([]);
  });
});

describe('a schema breaks', () => {
  it.each<[string, JsonSchema | undefined, JsonSchema | undefined, string]>([
    ['when it is the first that says something', undefined, { type: 'object' }, 'schema.type'],
    ['when it is gone', { type: 'object' }, undefined, 'schema.type'],
    ['when it says less', object({ a: {} }), {}, 'schema.type'],
    ['by a type less', { type: ['string', 'null'] }, { type: 'string' }, 'schema.type'],
    ['by a type more', { type: 'string' }, { type: ['string', 'null'] }, 'schema.type'],
    ['from integer to number', { type: 'integer' }, { type: 'number' }, 'schema.type'],
    ['from number to integer', { type: 'number' }, { type: 'integer' }, 'schema.type'],
    ['by a property that is gone', object({ a: {}, b: {} }), object({ a: {} }), 'schema.properties.b'],
    ['by another type of a property', object({ 'a b': { type: 'string' } }), object({ 'a b': { type: 'number' } }), 'schema.properties["a b"].type'],
    ['by a property that is required now', object({ a: {} }), object({ a: {} }, { required: ['a'] }), 'schema.required'],
    ['by a new property that is required', object({}), object({ a: {} }, { required: ['a'] }), 'schema.required'],
    ['by a property that is no longer required', object({ a: {} }, { required: ['a'] }), object({ a: {} }), 'schema.required'],
    ['by a property that another requires', {}, { dependentRequired: { a: ['b'] } }, 'schema.dependentRequired.a.required'],
    ['by no room for more properties', object({}), object({}, { additionalProperties: false }), 'schema.additionalProperties'],
    ['by less room for more properties', object({}), object({}, { additionalProperties: { type: 'string' } }), 'schema.additionalProperties.type'],
    ['by what more properties may be', object({}, { additionalProperties: { type: 'string' } }), object({}), 'schema.additionalProperties.type'],
    ['by listing one of these as something else', { additionalProperties: { type: 'string' } }, { additionalProperties: { type: 'string' }, properties: { a: { type: 'null' } } }, 'schema.properties.a.type'],
    ['by a value more', { enum: ['a'] }, { enum: ['a', 'b'] }, 'schema.enum'],
    ['by a value less', { enum: ['a', 'b'] }, { enum: ['a'] }, 'schema.enum'],
    ['by another value', { const: 'a' }, { const: 'b' }, 'schema.const'],
    ['by values at all', {}, { enum: ['a'] }, 'schema.enum'],
    ['by any value', { const: 'a' }, {}, 'schema.const'],
    ['by a lower maximum', { maximum: 10 }, { maximum: 9 }, 'schema.maximum'],
    ['by a higher maximum', { maxLength: 10 }, { maxLength: 11 }, 'schema.maxLength'],
    ['by a minimum', {}, { minimum: 0 }, 'schema.minimum'],
    ['by no minimum', { minItems: 1 }, {}, 'schema.minItems'],
    ['by unique items', {}, { uniqueItems: true }, 'schema.uniqueItems'],
    ['by items that may repeat', { uniqueItems: true }, {}, 'schema.uniqueItems'],
    ['by a pattern', {}, { pattern: '^a' }, 'schema.pattern'],
    ['by another format', { format: 'date' }, { format: 'date-time' }, 'schema.format'],
    ['by another step', { multipleOf: 1 }, { multipleOf: 2 }, 'schema.multipleOf'],
    ['by its items', { items: { type: 'string' } }, { items: { type: 'null' } }, 'schema.items.type'],
    ['by items that were anything', {}, { items: { type: 'null' } }, 'schema.items.type'],
    ['by listed items', { prefixItems: [true] }, { prefixItems: [true, true] }, 'schema.prefixItems'],
    ['by its names', {}, { propertyNames: { maxLength: 3 } }, 'schema.propertyNames.maxLength'],
    ['by an alternative', { anyOf: [{ type: 'string' }] }, { anyOf: [{ type: 'string' }, { type: 'null' }] }, 'schema.anyOf'],
    ['by an optional property in an alternative', { oneOf: [object({})] }, { oneOf: [object({ a: {} })] }, 'schema.oneOf'],
    ['by what is excluded', { not: { type: 'null' } }, {}, 'schema.not'],
    ['by a condition', {}, { if: { type: 'null' }, else: false }, 'schema.if'],
    ['by a part more', { allOf: [true] }, { allOf: [true, true] }, 'schema.allOf'],
    ['by a part', { allOf: [{ type: 'string' }] }, { allOf: [{ type: 'null' }] }, 'schema.allOf[0].type'],
    ['by members by pattern', {}, { patternProperties: { '^x': {} } }, 'schema.patternProperties'],
    ['by a definition in use', withLine({ type: 'string' }), withLine({ type: 'null' }), 'schema.$defs.line.type'],
    ['by a definition in use in an alternative', { anyOf: [{ $ref: '#/$defs/a' }], $defs: { a: { type: 'string' } } }, { anyOf: [{ $ref: '#/$defs/a' }], $defs: { a: { type: 'null' } } }, 'schema.anyOf'],
    ['by a neighbour of a reference', { $ref: '#/$defs/a', $defs: { a: {} } }, { $ref: '#/$defs/a', maxLength: 1, $defs: { a: {} } }, 'schema.maxLength'],
    ['when it is recursive', object({ next: { $ref: '#' } }), object({ next: { $ref: '#' } }, { required: ['next'] }), 'schema.required'],
    ['when nothing is allowed any more', {}, false, 'schema'],
    ['when nothing is allowed in a property any more', object({ a: {} }), object({ a: false }), 'schema.properties.a'],
  ])('%s', (_what, before, after, path) => {
    expect(paths(before, after)).toContain(path);
  });

  it('by nothing but the neighbour of a reference that stays', () => {
    const $defs = { a: object({ b: {} }) };
    expect(paths({ $ref: '#/$defs/a', $defs }, { $ref: '#/$defs/a', maxProperties: 1, $defs })).toEqual(['schema.maxProperties']);
  });

  it('and says for whom', () => {
    expect(breakingChanges(object({ a: { type: 'string' } }, { required: ['a'] }), object({ a: { enum: [1] } }, { required: ['b'] }), ['event_types', 'a.b'])).toEqual([
      { path: 'event_types["a.b"].required', message: 'b is required now: events that were valid may be refused' },
      { path: 'event_types["a.b"].required', message: 'a is no longer required: what subscribers rely on may no longer hold' },
      {
        path: 'event_types["a.b"].properties.a.type',
        message: 'now also takes array, boolean, integer, null, number, object: what subscribers rely on may no longer hold',
      },
      { path: 'event_types["a.b"].properties.a.enum', message: 'only some values are allowed now: events that were valid may be refused' },
    ]);
    expect(breakingChanges({ pattern: 'a' }, { pattern: 'b' })).toEqual([
      { path: 'schema.pattern', message: 'was "a" and changed: whether that breaks cannot be told' },
    ]);
  });
});
