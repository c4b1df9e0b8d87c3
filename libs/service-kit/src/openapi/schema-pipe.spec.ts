import { Body, Controller, Get, Module, Param, Post, Query } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { adminKeyOnly, Open } from '../access/index.js';
import { createHttpApp } from '../http-app.js';
import { createLog } from '../log.js';
import { problemOfZod } from '../problem.js';
import { Answers } from './answers.js';

const body = z.strictObject({
  name: z.string().trim(),
  shape: z.discriminatedUnion('type', [z.strictObject({ type: z.literal('a'), a: z.number() }), z.strictObject({ type: z.literal('b') })]).optional(),
  either: z.union([z.strictObject({ x: z.number() }), z.strictObject({ y: z.strictObject({ z: z.number() }) })]).optional(),
  headers: z.record(z.string().regex(/^[a-z]+$/), z.string()).optional(),
});
const query = z.strictObject({ page_size: z.coerce.number().int().max(9).default(5) });
const place = z.strictObject({ id: z.string().regex(/^\d+$/, 'a number') });

@Controller('v1/things')
class ThingsController {
  @Post()
  @Open()
  @Answers(202, undefined, 'Takes a thing.')
  create(@Body({ schema: body }) thing: z.infer<typeof body>): object {
    return thing;
  }

  @Get(':id')
  @Open()
  one(@Param({ schema: place }) { id }: z.infer<typeof place>, @Query({ schema: query }) asked: z.infer<typeof query>): object {
    return { id, ...asked };
  }
}

@Module({ controllers: [ThingsController] })
class ThingsModule {}

let app: NestFastifyApplication;
beforeAll(async () => {
  app = await createHttpApp({
    module: { module: ThingsModule },
    log: createLog('dispatcher', 'silent'),
    authenticate: adminKeyOnly(undefined),
    observe: () => undefined,
  });
});
afterAll(() => app.close());

const post = (payload: unknown) => app.inject({ method: 'POST', url: '/v1/things', headers: { 'content-type': 'application/json' }, payload: JSON.stringify(payload) });

describe('a parameter with a schema', () => {
  it('is what the schema makes of it', async () => {
    const made = await post({ name: ' x ' });
    expect([made.statusCode, made.json()]).toEqual([202, { name: 'x' }]);
    const got = await app.inject('/v1/things/17');
    expect([got.statusCode, got.json()]).toEqual([200, { id: '17', page_size: 5 }]);
  });

  it.each([
    [{ name: 1, nmae: 'x', 'a b': 1 }],
    [{ name: 'x', shape: { type: 'c' } }],
    [{ name: 'x', shape: { type: 'a', a: 'x', b: 1 } }],
    [{ name: 'x', either: { y: { z: 'x' } } }],
    [{ name: 'x', headers: { 'A B': 'x' } }],
    [[]],
    [null],
  ])('is refused as zod refuses it: %j', async (wrong) => {
    const refused = await post(wrong);
    const expected = body.safeParse(wrong);
    expect(expected.error).toBeDefined();
    expect([refused.statusCode, refused.json()]).toEqual([422, expected.error && problemOfZod(expected.error).body]);
  });

  it('also in the query and the path', async () => {
    expect((await app.inject('/v1/things/17?page_size=10&colour=red')).json()).toMatchObject({ errors: [{ path: 'page_size' }, { path: 'colour' }] });
    expect((await app.inject('/v1/things/x')).json()).toMatchObject({ code: 'invalid', errors: [{ path: 'id', message: 'a number' }] });
  });

  it('is refused when nothing came at all', async () => {
    expect((await app.inject({ method: 'POST', url: '/v1/things' })).json()).toMatchObject({ status: 422, code: 'invalid' });
  });
});
