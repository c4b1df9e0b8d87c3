import { Controller, Module, Post, Req } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { FastifyRequest } from 'fastify';
import { Open } from './access/index.js';
import { createHttpApp } from './http-app.js';
import { createLog } from './log.js';
import { RawBody } from './raw-body.js';

@Controller('v1')
class BodiesController {
  @Post('raw')
  @Open()
  @RawBody()
  raw(@Req() { body }: FastifyRequest): object {
    return Buffer.isBuffer(body) ? { bytes: body.toString('latin1') } : { absent: body === undefined };
  }

  @Post('raw-the-other-way-round')
  @RawBody()
  @Open()
  other(@Req() request: FastifyRequest): object {
    return this.raw(request);
  }

  @Post('read')
  @Open()
  read(@Req() { body }: FastifyRequest): object {
    return { body };
  }
}

@Module({ controllers: [BodiesController] })
class BodiesModule {}

let app: NestFastifyApplication;
beforeAll(async () => {
  app = await createHttpApp({
    module: { module: BodiesModule },
    log: createLog('dispatcher', 'silent'),
    authenticate: () => undefined,
    observe: () => undefined,
    bodyLimitBytes: 100,
  });
});
afterAll(() => app.close());

const post = async (path: string, type: string | undefined, payload: string) => {
  const response = await app.inject({ method: 'POST', url: `/v1/${path}`, headers: { ...(type && { 'content-type': type }) }, payload });
  return { status: response.statusCode, body: response.json<Record<string, unknown>>() };
};

describe('a route that takes its body as it comes', () => {
  it.each([
    ['application/json', '{"n": 1.0'],
    ['application/cloudevents+json', '{"a":1}'],
    ['text/plain', 'é'],
    [undefined, 'x'],
  ])('has the bytes of %s', async (type, text) => {
    const bytes = Buffer.from(text).toString('latin1');
    expect(await post('raw', type, text)).toEqual({ status: 201, body: { bytes } });
    expect(await post('raw-the-other-way-round', type, text)).toEqual({ status: 201, body: { bytes } });
  });

  it('has nothing when nothing was sent', async () => {
    expect((await app.inject({ method: 'POST', url: '/v1/raw' })).json()).toEqual({ absent: true });
  });

  it('has the limit of all others', async () => {
    expect(await post('raw', 'text/plain', 'x'.repeat(101))).toMatchObject({ status: 413, body: { code: 'too_large' } });
  });

  it('leaves the others to read theirs', async () => {
    expect(await post('read', 'application/json', '{"a":1}')).toEqual({ status: 201, body: { body: { a: 1 } } });
    expect(await post('read', 'application/xml', '<a/>')).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
  });
});
