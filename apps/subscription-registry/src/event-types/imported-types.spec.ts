import { describe, expect, it } from '@jest/globals';
import { importedTypes } from './imported-types.js';

describe('an import', () => {
  it('is a list of types', () => {
    expect(importedTypes({ event_types: { a: { description: 'A', example: null }, 'b.c': { schema: true } } })).toEqual({
      types: [
        { name: 'a', place: ['event_types', 'a'], description: 'A', example: null },
        { name: 'b.c', place: ['event_types', 'b.c'], schema: true },
      ],
      errors: [],
    });
  });

  it('is a list of schemas', () => {
    expect(importedTypes({ schemas: { a: true } })).toEqual({ types: [{ name: 'a', place: ['schemas', 'a'], schema: true }], errors: [] });
  });

  it('is an OpenAPI document, whatever else it has', () => {
    expect(importedTypes({ openapi: '3.1.0', webhooks: { a: { post: {} } }, schemas: {} }).types.map(({ name }) => name)).toEqual(['a']);
  });

  it('names what is no event type', () => {
    expect(importedTypes({ schemas: { 'Order Created': true, b: true } }).errors.map(({ path }) => path)).toEqual(['schemas["Order Created"]']);
  });

  it('names what is described too long', () => {
    const long = { openapi: '3.1.0', webhooks: { a: { description: 'x'.repeat(4_097), post: {} } } };
    expect(importedTypes(long).errors).toEqual([{ path: 'webhooks.a.post.description', message: 'has more than 4096 characters' }]);
  });

  it('has a thousand types at most', () => {
    const schemas = Object.fromEntries(Array.from({ length: 1_001 }, (_, n) => [`t${n}`, true]));
    expect(importedTypes({ schemas })).toEqual({ types: [], errors: [{ path: '', message: 'more than 1000 event types' }] });
  });
});
