import { randomBytes } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { batchResults, publishedEvent } from '@posthorn/contracts';
import { API_KEY, openKafka, type Service, startService } from './support.js';

jest.setTimeout(60_000);

type Content = Readonly<Record<string, { readonly schema: { readonly $ref?: string } }>>;
type Operation = {
  readonly operationId: string;
  readonly 'x-required-scope': string;
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody: { readonly content: Content };
  readonly responses: Readonly<Record<string, object>>;
};
type Document = {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: Readonly<Record<string, Readonly<Record<string, object>>>>;
};

const EVENTS = '/v1/tenants/{tenant}/events';

let kafka: Awaited<ReturnType<typeof openKafka>>;
let service: Service;
let document: Document;

beforeAll(async () => {
  const prefix = `t${randomBytes(6).toString('hex')}`;
  kafka = await openKafka(prefix);
  await kafka.createTenant('acme');
  await kafka.createEventType('acme', 'invoice.paid', { type: 'object' });
  service = await startService(prefix);
  document = (await (await fetch(`${service.url}/docs/openapi.json`)).json()) as Document;
});

afterAll(async () => {
  await service?.stop('SIGTERM');
  await kafka?.close();
});

const post = async (path: string, headers: Record<string, string>, body: string | Buffer): Promise<{ readonly status: number; readonly body: unknown }> => {
  const response = await fetch(`${service.url}${path.replace('{tenant}', 'acme')}`, { method: 'POST', headers: { authorization: `Bearer ${API_KEY}`, ...headers }, body });
  return { status: response.status, body: await response.json() };
};

const EVENT = { type: 'invoice.paid', data: {} };
const plain = { 'content-type': 'application/json' };
const binary = { 'content-type': 'image/png', 'ce-type': 'a', 'ce-specversion': '1.0', 'ce-id': 'b-1', 'ce-source': '/a' };

const headersOf = (operation: Operation | undefined): readonly string[] =>
  (operation?.parameters ?? []).filter((parameter) => parameter.in === 'header').map(({ name }) => name);

describe('the OpenAPI document', () => {
  it('has both ways of publishing', () => {
    const told = Object.entries(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => [method, path, operation.operationId, operation['x-required-scope'], Object.keys(operation.requestBody.content)]),
    );
    expect(told).toEqual([
      ['post', EVENTS, 'publishEvent', 'events:write', ['application/json', 'application/cloudevents+json', '*/*']],
      ['post', `${EVENTS}/batch`, 'publishEvents', 'events:write', ['application/json', 'application/cloudevents-batch+json']],
    ]);
  });

  it('tells what may be said in headers, and how it can be refused', () => {
    const ofAll = ['Content-Encoding', 'Idempotency-Key', 'Posthorn-Registry-Position', 'traceparent'];
    const [one, batch] = [document.paths[EVENTS]?.['post'], document.paths[`${EVENTS}/batch`]?.['post']];
    expect(headersOf(batch)).toEqual(ofAll);
    expect(headersOf(one)).toEqual(expect.arrayContaining([...ofAll, 'ce-type', 'ce-id', 'ce-partitionkey']));
    for (const operation of [one, batch]) {
      expect(Object.keys(operation?.responses ?? {}).map(Number)).toEqual([202, 400, 401, 403, 404, 409, 413, 415, 422, 429, 500, 503]);
    }
  });

  it('describes the event, and refers to nothing that it does not hold', () => {
    expect(document.components['schemas']?.['NewEvent']).toMatchObject({
      required: ['type', 'data'],
      additionalProperties: false,
      properties: { type: { pattern: expect.any(String), maxLength: 256 }, id: expect.anything(), headers: expect.anything() },
    });
    expect(document.components['schemas']?.['CloudEvent']).toMatchObject({ required: ['type'], additionalProperties: { anyOf: expect.any(Array) } });
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
    expect(references.filter(([, kind = '', name = '']) => document.components[kind]?.[name] === undefined)).toEqual([]);
  });

  it.each([
    ['application/json', plain, JSON.stringify(EVENT)],
    ['gzip', { ...plain, 'content-encoding': 'gzip' }, gzipSync(JSON.stringify(EVENT))],
    ['application/cloudevents+json', { 'content-type': 'application/cloudevents+json' }, JSON.stringify({ specversion: '1.0', id: 'c-1', source: '/a', ...EVENT })],
    ['*/*', binary, Buffer.from([0x89, 0x50])],
    ['warnings', plain, JSON.stringify({ ...EVENT, data: 1 })],
  ])('keeps its word about an event: %s', async (_form, headers, body) => {
    const answer = await post(EVENTS, headers, body);
    expect([answer.status, publishedEvent.parse(answer.body)]).toEqual([202, answer.body]);
  });

  it.each([
    ['application/json', plain, { events: [EVENT, { type: 'a' }, { ...EVENT, data: 1 }] }],
    ['application/cloudevents-batch+json', { 'content-type': 'application/cloudevents-batch+json' }, [EVENT, { type: 'A' }]],
  ])('keeps its word about a batch: %s', async (_form, headers, batch) => {
    const answer = await post(`${EVENTS}/batch`, headers, JSON.stringify(batch));
    expect([answer.status, batchResults.parse(answer.body)]).toEqual([202, answer.body]);
  });

  it('is shown by a page, to anybody', async () => {
    const page = await fetch(`${service.url}/docs`);
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  });
});
