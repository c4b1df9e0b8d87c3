import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { merged, mergedDocument, type OpenApi } from './documents.js';

const problem = { type: 'object' };
const documentOf = (path: string, method: string, schema: string, tag: string): OpenApi => ({
  openapi: '3.1.0',
  tags: [{ name: tag }],
  paths: { [path]: { [method]: { operationId: `${method} ${path}` } } },
  components: { schemas: { Problem: problem, [schema]: { type: 'string' } } },
});
const ingestion = documentOf('/v1/events', 'post', 'NewEvent', 'Events');
const audit = documentOf('/v1/events', 'get', 'Event', 'Events');
const registry = documentOf('/v1/tenants', 'get', 'Tenant', 'A tenant');

describe('the merged document', () => {
  it('has what each of them has, once', () => {
    const document = merged([['a', ingestion], ['b', audit], ['c', registry]]);
    expect(document).toMatchObject({
      openapi: '3.1.0',
      tags: [{ name: 'A tenant' }, { name: 'Events' }],
      paths: { '/v1/events': { post: { operationId: 'post /v1/events' }, get: { operationId: 'get /v1/events' } }, '/v1/tenants': { get: {} } },
      components: { schemas: { Problem: problem, NewEvent: {}, Event: {}, Tenant: {} } },
    });
    expect(document).not.toHaveProperty('x-missing-services');
  });

  it('says of which service there is nothing', () => {
    expect(merged([['a', ingestion], ['b', undefined]])).toMatchObject({
      info: { description: expect.stringContaining('b did not answer') },
      'x-missing-services': ['b'],
      paths: { '/v1/events': { post: {} } },
    });
  });
});

describe('asking for it', () => {
  let server: Server;
  let url: string;
  let asked: string[];
  let answer: string;
  beforeEach(async () => {
    asked = [];
    answer = JSON.stringify(registry);
    server = createServer((request, response) => {
      asked.push(request.url ?? '');
      if (answer !== '') response.end(answer);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await once(server.close(), 'close');
  });

  it('asks the services, and for a moment not again', async () => {
    let nowMs = 0;
    const text = mergedDocument({ registry: url }, { keptMs: 5_000, nowMs: () => nowMs });
    expect(JSON.parse(await text())).toMatchObject({ paths: registry.paths });
    nowMs = 4_999;
    await Promise.all([text(), text()]);
    expect(asked).toEqual(['/docs/openapi.json']);
    nowMs = 5_000;
    await text();
    expect(asked).toHaveLength(2);
  });

  it.each([
    ['says nothing', ''],
    ['answers a problem', '{"status":503}'],
    ['answers no JSON', 'away'],
  ])('leaves out a service that %s', async (_how, text) => {
    answer = text;
    const document = JSON.parse(await mergedDocument({ registry: url, audit: 'http://127.0.0.1:1' }, { limitMs: 200 })());
    expect(document).toMatchObject({ 'x-missing-services': ['registry', 'audit'], paths: {} });
  });
});
