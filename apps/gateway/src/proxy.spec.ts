import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { Module } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { createHttpApp, createLog } from '@posthorn/service-kit';
import { registerProxy } from './proxy.js';
import type { Upstream } from './routes.js';

@Module({})
class NothingModule {}

type Seen = { readonly service: string; readonly method: string; readonly url: string; readonly headers: IncomingMessage['headers']; readonly body: Buffer };

let seen: Seen[];
let answer: RequestListener;
let services: Readonly<Record<Upstream, Server>>;
let app: NestFastifyApplication;
let url: string;

const digest = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

const read = async (stream: IncomingMessage): Promise<Buffer> => Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Buffer>));

const urlOf = (server: Server): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

/** A service that remembers what it was asked and leaves the answer to the test. */
const service = async (name: Upstream): Promise<Server> => {
  const server = createServer((request, response) => {
    if (request.headers['x-unread'] !== undefined) return answer(request, response);
    void read(request).then((body) => {
      seen.push({ service: name, method: request.method ?? '', url: request.url ?? '', headers: request.headers, body });
      answer(request, response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
};

const close = async (server: Server): Promise<void> => {
  server.closeAllConnections();
  if (server.listening) await once(server.close(), 'close');
};

beforeEach(async () => {
  seen = [];
  answer = (_request, response) => response.end('{}');
  services = {
    'subscription-registry': await service('subscription-registry'),
    'event-ingestion': await service('event-ingestion'),
    'delivery-audit': await service('delivery-audit'),
  };
  const upstreams = {
    'subscription-registry': urlOf(services['subscription-registry']),
    'event-ingestion': urlOf(services['event-ingestion']),
    'delivery-audit': urlOf(services['delivery-audit']),
  };
  app = await createHttpApp({
    module: { module: NothingModule },
    // At debug the line about a request asks it for more, after all is done.
    log: createLog('gateway', 'debug', { write: () => undefined }),
    authenticate: () => undefined,
    observe: () => undefined,
    fastify: (instance) => registerProxy(instance, { upstreams, timeoutMs: 300 }),
  });
  await app.listen(0, '127.0.0.1');
  url = await app.getUrl();
});

afterEach(async () => {
  // What a test broke off may not be idle yet.
  app.getHttpServer().closeAllConnections();
  await app.close();
  await Promise.all(Object.values(services).map(close));
});

/** The path as it is, which fetch would tidy up. */
const raw = async (method: string, path: string): Promise<{ status: number; body: string }> => {
  const request = httpRequest(url, { method, path }).end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 0, body: (await read(response)).toString() };
};

const publish = (body: string | Buffer, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`${url}/v1/tenants/acme/events`, { method: 'POST', body, headers });

/** What does not change any more for so long. */
const settled = async (value: () => number, quietMs: number): Promise<number> => {
  const before = value();
  await after(quietMs);
  return value() === before ? before : settled(value, quietMs);
};

describe('the proxy', () => {
  it('asks the service that knows, at the same path and query, without checking the key', async () => {
    await fetch(`${url}/v1/tenants?page_size=2&q=a%20b`, { headers: { authorization: 'Bearer x' } });
    await publish('{}');
    await fetch(`${url}/v1/tenants/acme/deliveries`);
    expect(seen.map(({ service, method, url: path }) => [service, method, path])).toEqual([
      ['subscription-registry', 'GET', '/v1/tenants?page_size=2&q=a%20b'],
      ['event-ingestion', 'POST', '/v1/tenants/acme/events'],
      ['delivery-audit', 'GET', '/v1/tenants/acme/deliveries'],
    ]);
    expect(seen[0]?.headers.authorization).toBe('Bearer x');
    expect(seen[0]?.headers.host).toBe(new URL(urlOf(services['subscription-registry'])).host);
  });

  it.each([
    ['JSON whose numbers have more digits than a double', '{"type":"a", "data": 12345678901234567890.10}', 'application/json'],
    ['JSON that is none', '{"type":', 'application/json; charset=utf-8'],
    ['a CloudEvent', '{}', 'application/cloudevents+json'],
    ['a form', 'a=1&b=2', 'application/x-www-form-urlencoded'],
    ['bytes', Buffer.from([0, 255, 10, 13, 0]), 'application/octet-stream'],
    ['nothing', '', 'application/json'],
  ])('carries %s unchanged', async (_what, body, type) => {
    await publish(body, { 'content-type': type, 'idempotency-key': 'i-1', 'ce-id': '7' });
    expect(seen[0]?.body).toEqual(Buffer.from(body));
    expect(seen[0]?.headers).toMatchObject({ 'content-type': type, 'idempotency-key': 'i-1', 'ce-id': '7', 'content-length': String(Buffer.from(body).length) });
  });

  it('carries a body of megabytes whose length nobody has said', async () => {
    const bytes = randomBytes(5_000_000);
    const request = httpRequest(`${url}/v1/tenants/acme/events/batch`, { method: 'POST', headers: { 'content-type': 'application/json' } });
    request.write(bytes.subarray(0, 1_000_000));
    request.end(bytes.subarray(1_000_000));
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.resume();
    expect(digest(seen[0]?.body ?? Buffer.alloc(0))).toBe(digest(bytes));
    expect(seen[0]?.headers['transfer-encoding']).toBe('chunked');
  });

  it.each(['DELETE', 'POST', 'PATCH'])('carries %s without a body and without a content type', async (method) => {
    expect((await fetch(`${url}/v1/tenants/acme/subscriptions/sub_1`, { method })).status).toBe(200);
    expect([seen[0]?.method, seen[0]?.body.length]).toEqual([method, 0]);
  });

  it('tells the service who asked, and gives the request an id', async () => {
    const response = await fetch(`${url}/v1/tenants`, { headers: { 'x-request-id': 'r-1' } });
    expect(response.headers.get('x-request-id')).toBe('r-1');
    expect(seen[0]?.headers).toMatchObject({
      'x-request-id': 'r-1',
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': new URL(url).host,
    });
  });

  it('hands back status, headers and body as they are', async () => {
    answer = (_request, response) => response.writeHead(201, { etag: '"3"', 'content-type': 'application/problem+json', 'posthorn-registry-position': '17' }).end('{"n":1.10}');
    const response = await fetch(`${url}/v1/tenants`);
    expect([response.status, await response.text()]).toEqual([201, '{"n":1.10}']);
    expect(Object.fromEntries(response.headers)).toMatchObject({ etag: '"3"', 'content-type': 'application/problem+json', 'posthorn-registry-position': '17' });
  });

  it("asks once: a service's 503 is its client's to repeat", async () => {
    answer = (_request, response) => response.writeHead(503, { 'retry-after': '1' }).end('{}');
    expect((await fetch(`${url}/v1/tenants`)).status).toBe(503);
    expect(seen).toHaveLength(1);
  });

  it('hands back a refusal that comes before the body is through, on a connection that goes on', async () => {
    answer = (request, response) => response.writeHead(request.method === 'POST' ? 413 : 200).end();
    const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
    const statuses: string[] = [];
    socket.write('POST /v1/tenants/acme/events HTTP/1.1\r\nhost: x\r\nx-unread: 1\r\ncontent-length: 8\r\n\r\nhalf');
    for await (const chunk of socket) {
      statuses.push(...(String(chunk).match(/(?<=HTTP\/1.1 )\d+/g) ?? []));
      if (statuses.length === 2) break;
      socket.write('restGET /v1/tenants HTTP/1.1\r\nhost: x\r\n\r\n');
    }
    expect(statuses).toEqual(['413', '200']);
  });

  it('hands back a refusal of megabytes that nobody wants to read', async () => {
    answer = (_request, response) => response.writeHead(413).end('too large');
    const response = await publish(randomBytes(3_000_000), { 'x-unread': '1' });
    expect([response.status, await response.text()]).toEqual([413, 'too large']);
  });

  it('gives up the request to the service when its sender goes', async () => {
    const aborted = new Promise((resolve) => {
      answer = (request) => request.resume().once('error', resolve);
    });
    const request = httpRequest(`${url}/v1/tenants/acme/events`, { method: 'POST', headers: { 'x-unread': '1', 'content-length': '10' } });
    request.once('error', () => undefined).write('half');
    await once(services['event-ingestion'], 'request');
    request.destroy();
    expect(await aborted).toMatchObject({ code: 'ECONNRESET' });
  });

  it('names the service that is away, says when to come back, and serves the others', async () => {
    await close(services['delivery-audit']);
    const response = await fetch(`${url}/v1/tenants/acme/deliveries`);
    expect([response.status, response.headers.get('retry-after'), response.headers.get('content-type'), await response.json()]).toEqual([
      503,
      '1',
      expect.stringMatching(/^application\/problem\+json/),
      expect.objectContaining({ code: 'unavailable', detail: 'The service delivery-audit does not answer.' }),
    ]);
    expect((await fetch(`${url}/v1/tenants`)).status).toBe(200);
  });

  it('answers on a connection that goes on also when a body had nowhere to go', async () => {
    await close(services['event-ingestion']);
    const socket = connect(Number(new URL(url).port), '127.0.0.1').setEncoding('utf8');
    const statuses: string[] = [];
    socket.write('POST /v1/tenants/acme/events HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\nhalf');
    for await (const chunk of socket) {
      statuses.push(...(String(chunk).match(/(?<=HTTP\/1.1 )\d+/g) ?? []));
      if (statuses.length === 2) break;
      socket.write('restGET /v1/tenants HTTP/1.1\r\nhost: x\r\n\r\n');
    }
    expect(statuses).toEqual(['503', '200']);
  });

  it('does the same for one that is too slow, and for one that hangs up', async () => {
    answer = () => undefined;
    expect(await (await fetch(`${url}/v1/tenants`)).json()).toMatchObject({ code: 'unavailable' });
    answer = (request) => request.socket.destroy();
    expect(await (await publish('{}')).json()).toMatchObject({ code: 'unavailable', detail: 'The service event-ingestion does not answer.' });
  });

  it.each([
    ['that has told its length', { 'content-length': '100' }],
    ['that is a stream', {}],
  ])('breaks off when the service does, rather than ending half an answer well: one %s', async (_which, headers) => {
    answer = (_request, response) => {
      response.writeHead(200, headers).write('half');
      void after(20).then(() => response.destroy());
    };
    const response = await fetch(`${url}/v1/tenants`);
    await expect(response.text()).rejects.toThrow('terminated');
  });

  it('hands on a stream without end no faster than it is read, and ends it when its reader goes', async () => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024);
    const closed = new Promise<void>((resolve) => {
      answer = (_request, response) => {
        const write = (): void => {
          do written += chunk.length;
          while (response.write(chunk));
        };
        response.on('drain', write).once('close', resolve);
        write();
      };
    });
    const request = httpRequest(url, { path: '/v1/tenants/acme/events/export', agent: false }).end();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    // Longer than the gateway lets a service be silent: who waits for its reader is not silent.
    const unread = await settled(() => written, 350);
    expect(unread).toBeLessThan(16 * 1024 * 1024);
    let read = 0;
    for await (const part of response as AsyncIterable<Buffer>) if ((read += part.length) > 4 * unread) break;
    await closed;
  });

  it('hands on what is told piece by piece, at once, for as long as something is, and lets go of the service when its client does', async () => {
    const told: ((text: string) => void)[] = [];
    const left = new Promise<void>((resolve) => {
      answer = (_request, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write(': begun\n\n');
        told.push((text) => void response.write(text));
        response.once('close', resolve);
      };
    });
    const gone = new AbortController();
    const response = await fetch(`${url}/v1/tenants/acme/deliveries/tail`, { signal: gone.signal, headers: { 'last-event-id': '1.2' } });
    expect([response.headers.get('content-type'), seen.map(({ service: asked, headers }) => [asked, headers['last-event-id']])]).toEqual(['text/event-stream', [['delivery-audit', '1.2']]]);
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader?.read())?.value).toBe(': begun\n\n');
    // Longer together than an answer may take, and never silent for so long.
    for (let n = 0; n < 4; n += 1) {
      await after(150);
      told[0]?.(`data: ${n}\n\n`);
      expect((await reader?.read())?.value).toBe(`data: ${n}\n\n`);
    }
    gone.abort();
    await left;
  });

  it('answers questions however many watch', async () => {
    answer = (request, response) => {
      if (!request.url?.endsWith('/tail')) return void response.end('{}');
      response.writeHead(200).write('x');
      // Silence would be cut off, and the connection be free again.
      const telling = setInterval(() => response.write('x'), 100);
      response.once('close', () => clearInterval(telling));
    };
    const gone = new AbortController();
    const watching = await Promise.all(Array.from({ length: 260 }, () => fetch(`${url}/v1/tenants/acme/deliveries/tail`, { signal: gone.signal })));
    expect((await fetch(`${url}/v1/tenants/acme/deliveries`)).status).toBe(200);
    gone.abort();
    expect(watching.every(({ ok }) => ok)).toBe(true);
  });

  it.each(['/v1/tenants/acme/events/../subscriptions', '/v1/tenants/acme/events/%2e%2e/subscriptions', String.raw`/v1/tenants\..\x`])(
    'passes %s on to nobody',
    async (path) => {
      const { status, body } = await raw('GET', path);
      expect([status, body]).toEqual([400, expect.stringContaining('"code":"malformed"')]);
      expect(seen).toEqual([]);
    },
  );

  it.each(['/v1/tenants/acme/events/a%2Fb', '/v1/tenants/acme/%65vents', '/v1/tenants//events', '/v1/tenants/acme/events/a%3Fb;c'])('leaves %s as it is', async (path) => {
    await raw('GET', path);
    expect(seen.map(({ service, url: asked }) => [service, asked])).toEqual([['delivery-audit', path]]);
  });

  it('takes a request that names the whole URL, as for a proxy, for one of its path', async () => {
    // RFC 9112, 3.2.2: a server has to accept it. Whose host it names does not matter: there is one service behind each path.
    for (const host of [new URL(url).host, 'elsewhere.example', '127.0.0.1:1']) {
      expect((await raw('GET', `http://${host}/v1/tenants/acme/deliveries?page_size=1`)).status).toBe(200);
    }
    expect(seen.map(({ service, url: asked }) => [service, asked])).toEqual(Array.from({ length: 3 }, () => ['delivery-audit', '/v1/tenants/acme/deliveries?page_size=1']));
  });

  it('knows nothing beside /v1', async () => {
    for (const path of ['//127.0.0.1/v1/tenants', '/v2', '/v1', '/docs']) expect((await raw('GET', path)).status).toBe(404);
    expect(seen).toEqual([]);
  });
});
