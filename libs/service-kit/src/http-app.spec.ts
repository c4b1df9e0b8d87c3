import { connect } from 'node:net';
import { Body, Controller, Get, HttpException, Module, Param, Post, Req } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { adminKeyOnly, Open, Scoped } from './access/index.js';
import { createHttpApp } from './http-app.js';
import { createLog } from './log.js';
import { parseOrRefuse, Problem } from './problem.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const KEY = 'a-key-of-16-chars-or-more';
const authorized = { authorization: `Bearer ${KEY}` };

@Controller()
class ThingsController {
  @Get('open')
  @Open()
  open(): object {
    return { open: true };
  }

  @Get('v1/things/:id')
  @Scoped('registry:read')
  thing(@Req() request: FastifyRequest<{ Params: { id: string } }>): object {
    return { id: request.params.id, actor: request.caller.actor };
  }

  @Get('v1/tenants/:tenant/things')
  @Scoped('registry:read')
  things(): object {
    return [];
  }

  @Post('v1/things')
  @Scoped('registry:read')
  create(@Body() body: unknown): object {
    return parseOrRefuse(z.strictObject({ name: z.string() }), body);
  }

  @Get(['v1/broken', 'v1/broken/:how'])
  @Scoped('registry:read')
  broken(@Param('how') how: string | undefined): never {
    throw new Error(how === undefined ? 'the password is hunter2' : 'broken');
  }

  @Get('v1/busy')
  @Scoped('registry:read')
  busy(): never {
    throw new Problem('rate_limited', 'Too many.', { headers: { 'retry-after': '7' } });
  }

  @Get('v1/teapot')
  @Scoped('registry:read')
  teapot(): never {
    throw new HttpException('short and stout', 418);
  }
}

@Module({ controllers: [ThingsController] })
class ThingsModule {}

const lines: Record<string, unknown>[] = [];
const observed: unknown[][] = [];
let app: NestFastifyApplication;

beforeAll(async () => {
  app = await createHttpApp({
    module: { module: ThingsModule },
    log: createLog('dispatcher', 'info', { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) }),
    authenticate: adminKeyOnly(KEY),
    observe: (...observation) => void observed.push(observation),
    bodyLimitBytes: 100,
    fastify: (instance) => {
      instance.addContentTypeParser('application/x-bytes', { parseAs: 'buffer' }, (_request, body, done) => done(null, { bytes: body.length }));
    },
  });
});
afterAll(() => app.close());
beforeEach(() => {
  lines.length = 0;
  observed.length = 0;
});

const post = (payload: string, type = 'application/json') =>
  app.inject({ method: 'POST', url: '/v1/things', headers: { ...authorized, 'content-type': type }, payload });

describe('the guard', () => {
  it.each([
    ['no header', {}],
    ['another scheme', { authorization: `Basic ${KEY}` }],
    ['no key', { authorization: 'Bearer ' }],
    ['two keys', { authorization: `Bearer ${KEY} ${KEY}` }],
  ])('asks for a key when there is %s', async (_what, headers) => {
    const response = await app.inject({ url: '/v1/things/1', headers });
    expect([response.statusCode, response.headers['www-authenticate'], response.json()]).toEqual([
      401,
      'Bearer',
      expect.objectContaining({ code: 'unauthenticated' }),
    ]);
  });

  it.each(['wrong', `${KEY}x`, KEY.slice(1)])('refuses the key %s', async (key) => {
    const response = await app.inject({ url: '/v1/things/1', headers: { authorization: `Bearer ${key}` } });
    expect([response.statusCode, response.headers['www-authenticate']]).toEqual([401, 'Bearer error="invalid_token"']);
  });

  it.each(['/%761/things/1', '/v1/things/1?x=/open', '/v1/%74hings/1'])('is not talked round by spelling: %s', async (url) => {
    expect((await app.inject({ url })).statusCode).toBe(401);
  });

  it('lets the key in, under its name', async () => {
    const response = await app.inject({ url: '/v1/things/1', headers: { authorization: `bearer ${KEY}` } });
    expect(response.json()).toEqual({ id: '1', actor: 'admin' });
  });

  it('leaves open what says so', async () => {
    expect((await app.inject('/open')).json()).toEqual({ open: true });
  });

  it('comes before the body is read', async () => {
    const response = await app.inject({ method: 'POST', url: '/v1/things', headers: { 'content-type': 'application/json' }, payload: 'x'.repeat(1000) });
    expect(response.statusCode).toBe(401);
  });

  it('lets nobody in when there is no key to compare with', () => {
    expect(adminKeyOnly(undefined)('')).toBeUndefined();
  });
});

describe('errors', () => {
  it('leave as problem details', async () => {
    const response = await app.inject({ url: '/v1/busy', headers: authorized });
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    expect([response.statusCode, response.headers['retry-after'], response.json()]).toEqual([
      429,
      '7',
      { type: 'urn:posthorn:problem:rate_limited', title: 'Too many requests', status: 429, code: 'rate_limited', detail: 'Too many.' },
    ]);
  });

  it.each([
    ['malformed JSON', '{"name":', 'application/json', 400, 'malformed'],
    ['an empty body', '', 'application/json', 400, 'malformed'],
    ['a body that is too large', JSON.stringify({ name: 'x'.repeat(100) }), 'application/json', 413, 'too_large'],
    ['a type nobody reads', '<name/>', 'application/xml', 415, 'unsupported_media_type'],
    ['text', 'name', 'text/plain', 415, 'unsupported_media_type'],
    ['a prototype in disguise', '{"__proto__":{"name":"x"}}', 'application/json', 400, 'malformed'],
    ['a wrong member', '{"name":1}', 'application/json', 422, 'invalid'],
  ])('%s', async (_what, payload, type, status, code) => {
    const response = await post(payload, type);
    expect([response.statusCode, response.json()]).toEqual([status, expect.objectContaining({ status, code })]);
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
    // Or a sender who is still writing finds the connection reset before it has read the answer.
    expect(response.headers.connection).not.toBe('close');
  });

  it('name the field', async () => {
    expect((await post('{"nmae":"x"}')).json()).toMatchObject({ errors: [{ path: 'name' }, { path: 'nmae' }] });
  });

  it('tell an unknown path from a wrong method', async () => {
    const unknown = await app.inject('/v1/nothing');
    expect([unknown.statusCode, unknown.json()]).toEqual([404, expect.objectContaining({ code: 'not_found' })]);
    const wrong = await app.inject({ method: 'DELETE', url: '/v1/things/1?x' });
    expect([wrong.statusCode, wrong.headers.allow, wrong.json()]).toEqual([405, 'GET, HEAD', expect.objectContaining({ code: 'method_not_allowed' })]);
  });

  it('also when the URL itself cannot be read', async () => {
    const response = await app.inject({ url: '/v1/things/%zz', headers: authorized });
    expect([response.statusCode, response.json()]).toEqual([400, expect.objectContaining({ code: 'malformed' })]);
    expect((await app.inject({ url: `/v1/things/${'x'.repeat(1025)}`, headers: authorized })).json()).toMatchObject({ code: 'malformed' });
    expect((await app.inject({ url: `/v1/things/${'x'.repeat(1024)}`, headers: authorized })).statusCode).toBe(200);
  });

  it('nobody expected are logged with their stack, and kept to ourselves', async () => {
    const response = await app.inject({ url: '/v1/broken?token=hunter2', headers: { ...authorized, 'x-request-id': 'r-1' } });
    expect([response.statusCode, response.json()]).toEqual([500, expect.objectContaining({ code: 'internal', detail: 'The error was logged.' })]);
    expect(lines.find(({ level }) => level === 'error')).toMatchObject({
      msg: 'request failed unexpectedly',
      request_id: 'r-1',
      method: 'GET',
      path: '/v1/broken',
      err: { stack: expect.stringContaining('http-app.spec') },
    });
  });

  it("of Nest's keep their text", async () => {
    expect((await app.inject({ url: '/v1/teapot', headers: authorized })).json()).toMatchObject({ status: 400, code: 'malformed', detail: 'short and stout' });
  });

  it('reach a sender who is not through with its body', async () => {
    await app.listen(0, '127.0.0.1');
    const response = await fetch(`${await app.getUrl()}/v1/things`, {
      method: 'POST',
      headers: { ...authorized, 'content-type': 'application/json' },
      body: 'x'.repeat(8_000_000),
    });
    expect([response.status, await response.json()]).toEqual([413, expect.objectContaining({ code: 'too_large' })]);
  });

  it('of what is not even HTTP are answered on the socket', async () => {
    const { port } = new URL(await app.getUrl());
    const answerTo = async (request: string): Promise<string> => {
      const socket = connect(Number(port), '127.0.0.1').setEncoding('utf8');
      socket.write(request);
      let text = '';
      for await (const chunk of socket) text += String(chunk);
      return text;
    };
    expect(await answerTo('NONSENSE\r\n\r\n')).toMatch(/^HTTP\/1.1 400 Bad Request\r\ncontent-type: application\/problem\+json\r\n[^]*"code":"malformed"/);
    expect(await answerTo(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 431 /);
  });
});

describe('requests', () => {
  it('are observed by the pattern of their route', async () => {
    await app.inject({ url: '/v1/things/17?x=1', headers: authorized });
    await app.inject('/v1/things/18');
    await app.inject('/nowhere/19');
    expect(observed).toEqual([
      ['GET', '/v1/things/:id', 200, expect.any(Number)],
      ['GET', '/v1/things/:id', 401, expect.any(Number)],
      ['GET', 'unknown', 404, expect.any(Number)],
    ]);
  });

  it('leave one wide line each, without their query', async () => {
    await app.inject({ url: '/v1/things/17?token=hunter2', headers: { ...authorized, 'x-request-id': 'r-2', 'user-agent': 'spec', traceparent: `00-${TRACE_ID}-b7ad6b7169203331-00` } });
    expect(lines).toEqual([
      expect.objectContaining({
        level: 'info',
        msg: 'request',
        request_id: 'r-2',
        trace_id: TRACE_ID,
        method: 'GET',
        path: '/v1/things/17',
        route: '/v1/things/:id',
        status: 200,
        duration_ms: expect.any(Number),
        user_agent: 'spec',
        actor: 'admin',
      }),
    ]);
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|a-key/);
  });

  it('are told of with their tenant, unless it is nobody who asks', async () => {
    await app.inject({ url: '/v1/tenants/acme/things', headers: authorized });
    await app.inject('/v1/tenants/acme/things');
    expect(lines.map(({ route, status, tenant, actor }) => ({ route, status, tenant, actor }))).toEqual([
      { route: '/v1/tenants/:tenant/things', status: 200, tenant: 'acme', actor: 'admin' },
      { route: '/v1/tenants/:tenant/things', status: 401 },
    ]);
  });

  it.each([
    ['a line each', '/v1/things/phk_hunter2', 'request'],
    ['a line when they fail', '/v1/broken/phk_hunter2?key=phk_hunter2', 'request failed unexpectedly'],
  ])('leave %s, without a key that was put into the URL', async (_what, url, msg) => {
    await app.inject({ url, headers: authorized });
    expect(lines.find((line) => line['msg'] === msg)).toMatchObject({ path: expect.stringMatching(/^\/v1\/\w+\/\[redacted\]$/) });
    expect(JSON.stringify(lines)).not.toContain('hunter2');
  });

  it.each(['', 'a b', 'x'.repeat(129), 'a"b'])('get an id of their own instead of %j', async (given) => {
    const response = await app.inject({ url: '/open', headers: { 'x-request-id': given } });
    expect(response.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  it("are read by a service's own parsers too", async () => {
    expect((await post('12345', 'application/x-bytes')).json()).toMatchObject({ errors: [{ path: 'name' }, { path: 'bytes' }] });
  });
});
