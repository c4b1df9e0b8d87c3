import { fastify } from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JSON_BODY_DEPTH, readJsonBodies } from './json-body.js';
import { problemOf } from './problem.js';

const app = fastify();
beforeAll(async () => {
  readJsonBodies(app);
  app.setErrorHandler((error, _request, reply) => {
    const problem = problemOf(error);
    return reply.code(problem.status).send(problem.body);
  });
  app.post('/', ({ body }) => ({ body }));
  await app.ready();
});
afterAll(() => app.close());

const post = async (payload: string | Buffer) => {
  const response = await app.inject({ method: 'POST', url: '/', headers: { 'content-type': 'application/json; charset=utf-8' }, payload });
  return { status: response.statusCode, answer: response.json<Record<string, unknown>>() };
};

const arrays = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
const objects = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

describe('a body in JSON', () => {
  it.each([
    ['a scalar', '"ü"'],
    ['the deepest arrays', arrays(JSON_BODY_DEPTH)],
    ['the deepest objects', objects(JSON_BODY_DEPTH)],
    ['brackets in texts', JSON.stringify(['['.repeat(1_000), '"\\', '{'.repeat(1_000)])],
    ['many beside each other', `[${'[],'.repeat(1_000)}[]]`],
    ['a byte order mark', '\ufeff{"a":1}'],
  ])('is read with %s', async (_what, text) => {
    expect(await post(text)).toEqual({ status: 200, answer: { body: JSON.parse(text.replace('\ufeff', '')) as unknown } });
  });

  it.each([
    ['arrays', arrays(JSON_BODY_DEPTH + 1)],
    ['objects', objects(JSON_BODY_DEPTH + 1)],
    ['a member', `{"a":"]]]]","b":${arrays(JSON_BODY_DEPTH)}}`],
    ['an element after others', `[1,"\\"]",{},${arrays(JSON_BODY_DEPTH)}]`],
    ['what follows a byte order mark', `\ufeff${arrays(JSON_BODY_DEPTH + 1)}`],
    ['arrays by the ten thousand', arrays(100_000)],
    ['objects by the ten thousand', objects(100_000)],
    ['what never ends', '['.repeat(500_000)],
  ])('is refused for the depth of %s', async (_what, text) => {
    const message = `is nested more than ${JSON_BODY_DEPTH} levels deep`;
    expect(await post(text)).toEqual({
      status: 422,
      answer: expect.objectContaining({ code: 'invalid', detail: `the request: ${message}`, errors: [{ path: '', message }] }),
    });
  });

  it.each<[what: string, body: string | Buffer]>([
    ['not UTF-8', Buffer.from('{"name":"ü"}', 'latin1')],
    ['nothing', ''],
    ['no JSON', '{"a":'],
    ['two values', `1 ${arrays(1_000)}`],
    ['a bracket too many', `[]]${arrays(1_000)}`],
    ['a prototype in disguise', '{"a":{"__proto__":{"x":1}}}'],
    ['a constructor in disguise', '{"constructor":{"prototype":{}}}'],
  ])('is malformed when it is %s', async (_what, text) => {
    expect(await post(text)).toEqual({ status: 400, answer: expect.objectContaining({ code: 'malformed' }) });
  });
});
