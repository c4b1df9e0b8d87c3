import { describe, expect, it } from '@jest/globals';
import { compileSchema } from './compile.js';
import { typesOfOpenApi } from './open-api.js';

const document = (webhooks: unknown, components: object = {}) => ({ openapi: '3.1.0', info: { title: 'Shop', version: '1' }, webhooks, components });
const posted = (media: object, operation: object = {}) => ({ post: { ...operation, requestBody: { content: { 'application/json': media } } } });
const only = (webhooks: unknown, components?: object) => {
  const { types, errors } = typesOfOpenApi(document(webhooks, components));
  expect(errors).toEqual([]);
  expect(types).toHaveLength(1);
  return types[0];
};

describe('an OpenAPI document', () => {
  it('gives a type for each webhook, with description, schema and example', () => {
    const schema = { type: 'object', properties: { amount: { type: 'integer' } } };
    expect(only({ 'invoice.paid': posted({ schema, example: { amount: 1 } }, { description: 'Paid', summary: 'No' }) })).toEqual({
      name: 'invoice.paid',
      place: ['webhooks', 'invoice.paid', 'post', 'requestBody', 'content', 'application/json', 'schema'],
      description: 'Paid',
      schema,
      example: { amount: 1 },
    });
  });

  it('gives a type without a schema where there is no body', () => {
    expect(only({ ping: { summary: 'A sign of life', post: {} } })).toEqual({ name: 'ping', place: ['webhooks', 'ping', 'post'], description: 'A sign of life' });
  });

  it('takes along what a schema refers to, and keeps its references local', () => {
    const components = {
      schemas: {
        Line: { properties: { parent: { $ref: '#/components/schemas/Line' }, money: { $ref: '#/components/schemas/Money/properties/amount' } } },
        Money: { properties: { amount: { type: 'integer' } }, example: { $ref: '#/not/a/reference' } },
        Unused: {},
      },
    };
    const type = only({ a: posted({ schema: { items: { $ref: '#/components/schemas/Line' } } }) }, components);
    expect(type?.schema).toEqual({
      items: { $ref: '#/$defs/Line' },
      $defs: {
        Line: { properties: { parent: { $ref: '#/$defs/Line' }, money: { $ref: '#/$defs/Money/properties/amount' } } },
        Money: components.schemas.Money,
      },
    });
    const compiled = compileSchema(type?.schema ?? false);
    expect(compiled.kind === 'compiled' && compiled.validate([{ parent: { money: 'x' } }])).toMatchObject({ errors: [{ path: 'data[0].parent.money' }] });
  });

  it.each([{ const: 'a.b' }, { enum: ['a.b'] }])('takes the schema and the example of data out of a body with a type of %j', (type) => {
    const components = { schemas: { Body: { properties: { type, timestamp: {}, data: { $ref: '#/components/schemas/Data' } } }, Data: { type: 'string' } } };
    const media = { schema: { $ref: '#/components/schemas/Body' }, examples: { one: { value: { type: 'a.b', data: 'x' } } } };
    expect(only({ 'a.b': posted(media) }, components)).toMatchObject({ schema: { $ref: '#/$defs/Data', $defs: { Data: { type: 'string' } } }, example: 'x' });
  });

  it('leaves a body whole that only has a member named data', () => {
    const schema = { properties: { type: { type: 'string' }, data: {} }, examples: [{ data: 1 }] };
    expect(only({ a: posted({ schema }) })).toMatchObject({ schema, example: { data: 1 } });
  });

  it('follows references to path items, bodies and examples', () => {
    const components = {
      pathItems: { Paid: { post: { requestBody: { $ref: '#/components/requestBodies/Paid' } } } },
      requestBodies: { Paid: { content: { 'application/json; charset=utf-8': { examples: { one: { $ref: '#/components/examples/One' } } } } } },
      examples: { One: { value: false } },
    };
    expect(only({ paid: { $ref: '#/components/pathItems/Paid' } }, components)).toMatchObject({ name: 'paid', example: false });
  });

  const large = { schemas: { A: { description: 'x'.repeat(40_000), not: { $ref: '#/components/schemas/B' } }, B: { description: 'x'.repeat(40_000) } } };
  it.each<[string, unknown, object, string]>([
    ['a name that is none', { 'Order Created': posted({}) }, {}, 'webhooks["Order Created"]'],
    ['no webhooks', undefined, {}, 'webhooks'],
    ['what is not posted', { a: { get: {} } }, {}, 'webhooks.a.post'],
    ['a body that is not JSON', { a: { post: { requestBody: { content: { 'text/plain': {} } } } } }, {}, 'webhooks.a.post.requestBody.content'],
    ['a path item that is not there', { a: { $ref: '#/components/pathItems/A' } }, {}, 'webhooks.a'],
    ['a path item elsewhere', { a: { $ref: 'https://elsewhere.example/a' } }, {}, 'webhooks.a'],
    ['a path item that is itself', { a: { $ref: '#/webhooks/a' } }, {}, 'webhooks.a'],
    ['a schema that is not there', { a: posted({ schema: { not: { $ref: '#/components/schemas/A' } } }) }, {}, 'webhooks.a.post.requestBody.content["application/json"].schema'],
    ['a reference elsewhere', { a: posted({ schema: { not: { $ref: 'a.json' } } }) }, {}, 'webhooks.a.post.requestBody.content["application/json"].schema.$ref'],
    ['what is too large as a whole', { a: posted({ schema: { not: { $ref: '#/components/schemas/A' } } }) }, large, 'webhooks.a.post.requestBody.content["application/json"].schema'],
  ])('is refused for %s', (_what, webhooks, components, path) => {
    expect(typesOfOpenApi(document(webhooks, components)).errors).toEqual([{ path, message: expect.any(String) }]);
  });

  it('tells all its errors', () => {
    const { types, errors } = typesOfOpenApi(document({ A: posted({}), b: {}, c: posted({}) }));
    expect(types.map(({ name }) => name)).toEqual(['c']);
    expect(errors.map(({ path }) => path)).toEqual(['webhooks.A', 'webhooks.b.post']);
  });
});
