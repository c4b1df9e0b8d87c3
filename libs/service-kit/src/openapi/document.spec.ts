import { Body, Controller, Delete, Get, Module, Param, Patch, Post, Query } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { Open, Scoped } from '../access/index.js';
import { createHttpApp } from '../http-app.js';
import { createLog } from '../log.js';
import { Answers } from './answers.js';
import { Takes } from './takes.js';

const when = z.iso.datetime({ offset: true });
const label = z.object({ text: z.string() }).meta({ id: 'Label' });
const widget = z.object({ id: z.string(), kind: z.literal('round'), version: z.number().int(), labels: z.array(label), at: when }).meta({ id: 'Widget' });
const wish = z.strictObject({ size: z.number().int().max(9).default(3), tags: z.record(z.string(), z.string()).nullable().optional() }).meta({ id: 'Wish' });
const query = z.strictObject({ page_size: z.coerce.number().int().max(250).default(50).describe('How many'), flag: z.enum(['true', 'false']).optional() });

@Controller('v1/tenants/:tenant/widgets')
class WidgetsController {
  @Post()
  @Scoped('registry:write')
  @Answers(201, widget, 'Makes a widget.')
  create(@Body({ schema: wish }) body: unknown): unknown {
    return body;
  }

  @Get()
  @Scoped('registry:read')
  @Answers(200, z.object({ data: z.array(widget) }), 'Lists widgets.')
  list(@Query({ schema: query }) asked: unknown): unknown {
    return asked;
  }

  @Get(':id')
  @Scoped('registry:read')
  @Answers(200, widget, 'Shows a widget.')
  one(@Param('id') id: string): unknown {
    return id;
  }

  @Patch(':id')
  @Scoped('registry:write')
  @Answers(200, widget, 'Changes a widget.')
  change(@Param('id') id: string, @Body({ schema: wish.partial().meta({ id: 'ChangedWish' }) }) _body: unknown): unknown {
    return id;
  }

  @Delete(':id')
  @Scoped('registry:write')
  @Answers(204, undefined, 'Removes a widget.')
  remove(): void {}

  @Post(':id/turn-off')
  @Scoped('admin', { allTenants: true })
  @Answers(200, widget, 'Turns a widget off.')
  turnOff(): void {}

  @Post(':id/try')
  @Scoped('registry:write')
  @Answers(200, label, 'Tries a widget.', { changes: false })
  try(): void {}

  @Post(':id/copies')
  @Scoped('events:write')
  @Takes({
    body: { 'application/json': wish, '*/*': z.unknown().describe('The widget itself') },
    headers: z.object({ 'Idempotency-Key': z.string().max(255).optional().describe('A key') }),
  })
  @Answers(202, label, 'Takes a copy.', { operationId: 'copyWidget' })
  copy(): void {}

  @Post(':id/repeat')
  @Scoped('audit:write')
  @Answers(202, label, 'Makes it turn again.')
  repeat(): void {}

  @Get(':id/turns')
  @Scoped('registry:read')
  @Takes({ headers: z.object({ 'Last-Event-ID': z.string().optional() }) })
  @Answers(200, label, 'Tells of its turns.', { operationId: 'followWidget', mediaType: 'text/event-stream', alsoAs: ['text/csv'] })
  turns(): void {}

  @Get(':id/secret-door')
  @Open()
  undocumented(): void {}
}

@Controller('v1/tenants/:tenant/silent')
class SilentController {
  @Get()
  @Scoped('admin')
  hush(): void {}
}

@Module({ controllers: [WidgetsController] })
class WidgetsModule {}

@Module({ controllers: [SilentController] })
class SilentModule {}

const start = (module: new () => object) =>
  createHttpApp({
    module: { module },
    log: createLog('dispatcher', 'silent'),
    authenticate: () => undefined,
    observe: () => undefined,
    api: { title: 'Widgets', description: 'All about widgets.', version: '1.2.3' },
  });

type Node = Readonly<Record<string, unknown>>;
type Operation = Node & { readonly parameters: readonly Node[]; readonly responses: Readonly<Record<string, Node>> };
type Document = Node & { readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>; readonly components: { readonly schemas: Node } };

let app: NestFastifyApplication;
let document: Document;
beforeAll(async () => {
  app = await start(WidgetsModule);
  document = (await app.inject('/docs/openapi.json')).json();
});
afterAll(() => app.close());

const of = '/v1/tenants/{tenant}/widgets';
const namesOf = ({ parameters }: Operation): unknown[] => parameters.map(({ $ref, name }) => $ref ?? name);

describe('the document', () => {
  it('has every route that takes a key, under what its place calls it', () => {
    const ids = Object.entries(document.paths).flatMap(([path, item]) => Object.entries(item).map(([method, { operationId }]) => [method, path, operationId]));
    expect(ids).toEqual([
      ['get', of, 'listWidgets'],
      ['post', of, 'createWidget'],
      ['get', `${of}/{id}`, 'getWidget'],
      ['patch', `${of}/{id}`, 'updateWidget'],
      ['delete', `${of}/{id}`, 'deleteWidget'],
      ['post', `${of}/{id}/turn-off`, 'turnWidgetOff'],
      ['post', `${of}/{id}/try`, 'tryWidget'],
      ['post', `${of}/{id}/copies`, 'copyWidget'],
      ['post', `${of}/{id}/repeat`, 'repeatWidget'],
      ['get', `${of}/{id}/turns`, 'followWidget'],
    ]);
  });

  it('says what is taken', () => {
    expect(document.paths[of]?.['post']).toMatchObject({
      tags: ['Widgets'],
      summary: 'Makes a widget.',
      'x-required-scope': 'registry:write',
      security: [{ key: [] }],
      requestBody: { required: true, content: { 'application/json': { schema: { $ref: '#/components/schemas/Wish' } } } },
    });
    expect(document.components.schemas['Wish']).toEqual({
      type: 'object',
      additionalProperties: false,
      properties: {
        size: { type: 'integer', default: 3, maximum: 9, minimum: Number.MIN_SAFE_INTEGER },
        tags: { anyOf: [{ type: 'object', propertyNames: { type: 'string' }, additionalProperties: { type: 'string' } }, { type: 'null' }] },
      },
    });
    expect(document.paths[of]?.['get']?.parameters).toEqual([
      { name: 'tenant', in: 'path', required: true, schema: { type: 'string' } },
      { name: 'page_size', in: 'query', required: false, description: 'How many', schema: expect.objectContaining({ type: 'integer', maximum: 250, default: 50 }) },
      { name: 'flag', in: 'query', required: false, schema: { type: 'string', enum: ['true', 'false'] } },
    ]);
  });

  it('says what a method reads by itself', () => {
    const copy = document.paths[`${of}/{id}/copies`]?.['post'];
    expect(copy).toMatchObject({
      parameters: [{ name: 'tenant' }, { name: 'id' }, { name: 'Idempotency-Key', in: 'header', description: 'A key', schema: { type: 'string', maxLength: 255 } }],
      requestBody: {
        required: true,
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Wish' } }, '*/*': { schema: { description: 'The widget itself' } } },
      },
    });
    expect(Object.keys(copy?.responses ?? {}).map(Number)).toEqual([202, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503]);
  });

  it('says what is no JSON', () => {
    const turns = document.paths[`${of}/{id}/turns`]?.['get'];
    expect(turns).toMatchObject({
      parameters: [{ name: 'tenant' }, { name: 'id' }, { name: 'Last-Event-ID', in: 'header' }],
      responses: { 200: { content: { 'text/event-stream': { schema: { $ref: '#/components/schemas/Label' } }, 'text/csv': { schema: { type: 'string' } } } } },
    });
    expect(turns).not.toHaveProperty('requestBody');
  });

  it('says what is answered; a client may not count on there being no more', () => {
    expect(document.paths[of]?.['post']?.responses['201']).toEqual({
      description: 'Makes a widget.',
      headers: { ETag: { $ref: '#/components/headers/ETag' }, 'Posthorn-Registry-Position': { $ref: '#/components/headers/RegistryPosition' } },
      content: { 'application/json': { schema: { $ref: '#/components/schemas/Widget' } } },
    });
    expect(document.components.schemas['Widget']).toEqual({
      type: 'object',
      required: ['id', 'kind', 'version', 'labels', 'at'],
      properties: {
        id: { type: 'string' },
        kind: { type: 'string', const: 'round' },
        version: expect.objectContaining({ type: 'integer' }),
        labels: { type: 'array', items: { $ref: '#/components/schemas/Label' } },
        at: { type: 'string', format: 'date-time' },
      },
    });
    expect(document.paths[`${of}/{id}`]?.['delete']?.responses['204']).not.toHaveProperty('content');
  });

  it('offers preconditions where there is a version, and idempotency where something is made', () => {
    const item = document.paths[`${of}/{id}`];
    expect([item?.['get'], item?.['patch'], item?.['delete'], document.paths[`${of}/{id}/turn-off`]?.['post'], document.paths[of]?.['post']].map((one) => one && namesOf(one))).toEqual([
      ['tenant', 'id'],
      ['tenant', 'id', '#/components/parameters/IfMatch'],
      ['tenant', 'id', '#/components/parameters/IfMatch'],
      ['tenant', 'id', '#/components/parameters/IfMatch', '#/components/parameters/IdempotencyKey'],
      ['tenant', '#/components/parameters/IdempotencyKey'],
    ]);
    const again = document.paths[`${of}/{id}/repeat`]?.['post'];
    expect([again && namesOf(again), again?.responses['202']]).toEqual([['tenant', 'id', '#/components/parameters/IdempotencyKey'], expect.not.objectContaining({ headers: expect.anything() })]);
    const trial = document.paths[`${of}/{id}/try`]?.['post'];
    expect([trial && namesOf(trial), trial?.responses['200']]).toEqual([['tenant', 'id'], expect.not.objectContaining({ headers: expect.anything() })]);
  });

  it.each([
    [of, 'post', [201, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503]],
    [of, 'get', [200, 401, 403, 404, 422, 429, 500, 503]],
    [`${of}/{id}`, 'get', [200, 401, 403, 404, 429, 500, 503]],
    [`${of}/{id}`, 'delete', [204, 400, 401, 403, 404, 409, 412, 429, 500, 503]],
    [`${of}/{id}/turns`, 'get', [200, 400, 401, 403, 404, 429, 500, 503]],
    [`${of}/{id}/repeat`, 'post', [202, 400, 401, 403, 404, 409, 429, 500, 503]],
    [`${of}/{id}/try`, 'post', [200, 401, 403, 404, 429, 500, 503]],
  ])('says how %s %s can be refused', (path, method, statuses) => {
    expect(Object.keys(document.paths[path]?.[method]?.responses ?? {}).map(Number)).toEqual(statuses);
  });

  it('refers to nothing that it does not hold', () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path);
    expect(references.length).toBeGreaterThan(50);
    for (const path of references) {
      const found = path.split('/').reduce<unknown>((node, name) => (node as Node | undefined)?.[name], document);
      expect([path, found]).toEqual([path, expect.any(Object)]);
    }
  });

  it('is not even begun by a service with a route that does not say what it answers', async () => {
    await expect(start(SilentModule)).rejects.toThrow('SilentController.hush');
  });
});

describe('the page', () => {
  it('has all it needs from its own host, without a key', async () => {
    const page = await app.inject('/docs');
    expect(page.headers['content-security-policy']).toContain("default-src 'none'");
    const links = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link = '']) => new URL(link, 'http://host/docs').pathname);
    expect(links).toHaveLength(3);
    for (const link of links) {
      const file = await app.inject(link);
      expect([link, file.statusCode]).toEqual([link, 200]);
    }
    expect((await app.inject('/docs/page.js')).body).toContain("url: './docs/openapi.json'");
  });
});
