import { afterEach, describe, expect, it } from '@jest/globals';
import { createServer, type RequestListener, type Server as HttpServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:https';
import type { LookupAddress } from 'node:dns';
import { parseCidrs, type EgressPolicy } from './address-guard.js';
import { HttpSender, type HttpOutcome, type HttpRequest, type HttpSenderOptions } from './http.js';
import { testCertificate } from './test-certificate.js';

const loopback: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') };

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const senderWith = (options: Partial<HttpSenderOptions> = {}): HttpSender => {
  const sender = new HttpSender({ policy: loopback, ...options });
  cleanups.push(() => sender.close());
  return sender;
};

const listen = async (server: Server | HttpServer, host = '127.0.0.1'): Promise<number> => {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

/** Without a keep-alive hint, which would win over the sender's own setting. */
const httpServer = async (handler: RequestListener): Promise<string> =>
  `http://127.0.0.1:${await listen(createServer({ keepAliveTimeout: 0 }, handler))}/hook`;
/** Answers the first bytes of each connection with raw ones. */
const rawServer = async (onRequest: (socket: Socket) => void): Promise<string> => {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => onRequest(socket));
  });
  return `http://127.0.0.1:${await listen(server)}/hook`;
};

const tlsServer = async (): Promise<number> =>
  listen(createTlsServer(testCertificate, (request, response) => request.resume().on('end', () => response.end('secure'))));

/** A server that must not be reached. */
const forbidden = async (): Promise<{ port: number; reached: () => number }> => {
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections++;
    socket.destroy();
  });
  return { port: await listen(server), reached: () => connections };
};

const silent = () => new Promise<never>(() => undefined);

const requestTo = (url: string, rest: Partial<HttpRequest> = {}): HttpRequest => ({
  url,
  headers: ['content-type', 'application/json'],
  body: Buffer.from('{"a":1}'),
  timeoutMs: 3_000,
  ...rest,
});

const send = (url: string, rest: Partial<HttpRequest> = {}, options: Partial<HttpSenderOptions> = {}): Promise<HttpOutcome> =>
  senderWith(options).send(requestTo(url, rest));

const resolvingTo =
  (...addresses: readonly string[]) =>
  (): Promise<readonly LookupAddress[]> =>
    Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })));

describe('a request', () => {
  it('arrives as it was given, and its response comes back', async () => {
    let seen: unknown;
    const url = await httpServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        seen = { method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() };
        response.writeHead(201, { 'X-Answer': '42', 'Set-Cookie': ['a=1', 'b=2'] }).end('thänks');
      });
    });
    const outcome = await send(`${url}?a=b%20c#fragment`, { headers: ['content-type', 'application/json', 'x-own', 'yes'] });
    expect(seen).toEqual({
      method: 'POST',
      url: '/hook?a=b%20c',
      headers: {
        host: new URL(url).host,
        connection: 'keep-alive',
        'content-type': 'application/json',
        'x-own': 'yes',
        'content-length': '7',
      },
      body: '{"a":1}',
    });
    expect(outcome).toMatchObject({
      response: { status: 201, headers: { 'x-answer': '42', 'set-cookie': 'a=1, b=2' }, body: 'thänks', truncated: false },
    });
    expect(outcome.failure).toBeUndefined();
    expect(outcome.durationMs).toBeGreaterThan(0);
  });

  it('reuses the connection', async () => {
    const ports = new Set<number | undefined>();
    const url = await httpServer((request, response) => {
      ports.add(request.socket.remotePort);
      request.resume().on('end', () => response.end('ok'));
    });
    const sender = senderWith();
    for (let i = 0; i < 20; i++) expect(await sender.send(requestTo(url))).toMatchObject({ response: { status: 200 } });
    // Two, by turns: a connection is free again one turn of the event loop after its response.
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it('never waits for another one on the same host', async () => {
    const held: (() => void)[] = [];
    const url = await httpServer((request, response) => {
      if (request.url === '/fast') response.end('fast');
      else held.push(() => response.end('slow'));
    });
    const sender = senderWith();
    const slow = Array.from({ length: 20 }, () => sender.send(requestTo(url)));
    const fast = await sender.send(requestTo(new URL('/fast', url).href));
    expect(fast).toMatchObject({ response: { body: 'fast' } });
    expect([sender.running, held.length]).toEqual([20, 20]);
    for (const answer of held) answer();
    expect((await Promise.all(slow)).map(({ response }) => response?.body)).toEqual(Array.from({ length: 20 }, () => 'slow'));
  });

  it('does not mind informational responses', async () => {
    const url = await rawServer((socket) =>
      socket.end('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\nHTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n'),
    );
    expect(await send(url)).toMatchObject({ response: { status: 204, headers: { 'x-a': 'b' }, body: '' } });
  });

  it('does not follow redirects', async () => {
    const paths: (string | undefined)[] = [];
    const url = await httpServer((request, response) => {
      paths.push(request.url);
      response.writeHead(302, { location: '/elsewhere' }).end();
    });
    expect(await send(url)).toMatchObject({ response: { status: 302, headers: { location: '/elsewhere' } } });
    expect(paths).toEqual(['/hook']);
  });

  it('ignores proxies of the environment', async () => {
    let proxied = 0;
    const proxy = await httpServer((_, response) => {
      proxied++;
      response.end();
    });
    const url = await httpServer((_, response) => response.end('direct'));
    const before = { ...process.env };
    Object.assign(process.env, { HTTP_PROXY: proxy, http_proxy: proxy, ALL_PROXY: proxy, NODE_USE_ENV_PROXY: '1' });
    cleanups.push(() => {
      for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'NODE_USE_ENV_PROXY']) {
        if (before[name] === undefined) delete process.env[name];
        else process.env[name] = before[name];
      }
    });
    expect(await send(url)).toMatchObject({ response: { body: 'direct' } });
    expect(proxied).toBe(0);
  });

  it('fails alone when a header cannot be sent', async () => {
    const url = await httpServer((_, response) => response.end());
    expect(await send(url, { headers: ['x-bad', 'a\r\nb: c'] })).toMatchObject({ failure: { code: 'payload_failed' } });
  });
});

describe('a slow subscriber', () => {
  it.each([
    ['never answers', () => undefined],
    ['stops within the headers', (socket: Socket) => socket.write('HTTP/1.1 200 OK\r\nx-a: ')],
    ['sends informational responses only', (socket: Socket) => socket.write('HTTP/1.1 103 Early Hints\r\n\r\n')],
  ])('that %s meets the deadline', async (_, onRequest) => {
    const outcome = await send(await rawServer(onRequest), { timeoutMs: 80 });
    expect(outcome).toMatchObject({ failure: { code: 'timeout', message: 'The response was not complete within 80 ms.' } });
    expect(outcome.durationMs).toBeGreaterThanOrEqual(75);
    expect(outcome.response).toBeUndefined();
  });

  it('that trickles its body meets it too, and what came is kept', async () => {
    const url = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n');
      const timer = setInterval(() => socket.write('1\r\na\r\n'), 20);
      socket.on('close', () => clearInterval(timer));
    });
    const outcome = await send(url, { timeoutMs: 150 });
    expect(outcome).toMatchObject({ failure: { code: 'timeout' }, response: { status: 200 } });
    expect(outcome.response?.body).toMatch(/^a+$/);
  });

  it('loses its connection at the deadline', async () => {
    let closed: (() => void) | undefined;
    const gone = new Promise<void>((resolve) => (closed = resolve));
    const url = await rawServer((socket) => socket.on('close', () => closed?.()));
    expect(await send(url, { timeoutMs: 50 })).toMatchObject({ failure: { code: 'timeout' } });
    await gone;
  });
});

describe('a broken subscriber', () => {
  it.each([
    ['closes without a word', 'connection_reset', (socket: Socket) => socket.end()],
    ['resets', 'connection_reset', (socket: Socket) => socket.resetAndDestroy()],
    ['talks nonsense', 'connection_reset', (socket: Socket) => socket.end('220 mail.example ESMTP\r\n')],
    ['closes within the body', 'connection_reset', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')],
    ['switches protocols', 'connection_reset', (socket: Socket) => socket.end('HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n')],
    ['floods with headers', 'response_too_large', (socket: Socket) => socket.end(`HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(40)}\r\n`)],
  ] as const)('that %s: %s', async (_, code, onRequest) => {
    expect(await send(await rawServer(onRequest))).toMatchObject({ failure: { code } });
  });

  it('that resets within the body keeps its status, and is a failure', async () => {
    const url = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf', () => setTimeout(() => socket.resetAndDestroy(), 20));
    });
    expect(await send(url)).toMatchObject({ failure: { code: 'connection_reset' }, response: { status: 200, body: 'half' } });
  });

  it('that answers without end is cut off; its status counts', async () => {
    let sent = 0;
    let cutOff: (() => void) | undefined;
    const closed = new Promise<void>((resolve) => (cutOff = resolve));
    const url = await httpServer((_, response) => {
      const more = (): void => {
        while (response.write('x'.repeat(16_384))) sent += 16_384;
      };
      response.on('drain', more).on('close', () => cutOff?.());
      more();
    });
    const outcome = await send(url);
    expect(outcome).toMatchObject({ response: { status: 200, truncated: true, body: 'x'.repeat(4096) } });
    expect(outcome.failure).toBeUndefined();
    await closed;
    expect(sent).toBeLessThan(64 * 1024 * 1024);
  });

  it('that answers at length, but less than 64 KiB, keeps its connection', async () => {
    const ports = new Set<number | undefined>();
    const url = await httpServer((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('x'.repeat(64 * 1024));
    });
    const sender = senderWith();
    for (let i = 0; i < 20; i++) expect(await sender.send(requestTo(url))).toMatchObject({ response: { truncated: true } });
    expect(ports.size).toBeLessThanOrEqual(2);
  });

  it('that does not listen: connection_refused', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    await new Promise((resolve) => server.close(resolve));
    expect(await send(`http://127.0.0.1:${port}/`)).toMatchObject({ failure: { code: 'connection_refused' } });
  });

  it('whose name does not exist: dns_failed', async () => {
    const outcome = await send('http://nothing.invalid/', {}, {
      resolve: () => Promise.reject(Object.assign(new Error('queryA ENOTFOUND'), { code: 'ENOTFOUND' })),
    });
    expect(outcome.failure).toEqual({ code: 'dns_failed', message: 'nothing.invalid cannot be resolved: there is no such name.' });
    expect(await send('http://nothing.invalid/', {}, { resolve: resolvingTo() })).toMatchObject({ failure: { code: 'dns_failed' } });
  });

  it('whose name servers are silent: connect_timeout', async () => {
    const outcome = await send('http://slow.example/', {}, { resolve: silent, connectTimeoutMs: 50 });
    expect(outcome).toMatchObject({ failure: { code: 'connect_timeout' } });
    expect(await send('http://slow.example/', { timeoutMs: 50 }, { resolve: silent })).toMatchObject({
      failure: { code: 'connect_timeout', message: 'There was no connection to the host within 50 ms.' },
    });
  });
});

describe('TLS', () => {
  it('refuses a certificate that nobody vouches for', async () => {
    expect(await send(`https://localhost:${await tlsServer()}/`, {}, { resolve: resolvingTo('127.0.0.1') })).toMatchObject({
      failure: { code: 'tls_failed', message: "The server's certificate was refused: it is self-signed." },
    });
  });

  it('works with one that is trusted, for the name it is made out to', async () => {
    const options = { resolve: resolvingTo('127.0.0.1'), tls: { ca: testCertificate.cert } };
    const port = await tlsServer();
    expect(await send(`https://receiver.example:${port}/`, {}, options)).toMatchObject({ response: { body: 'secure' } });
    expect(await send(`https://other.example:${port}/`, {}, options)).toMatchObject({
      failure: { code: 'tls_failed', message: "The server's certificate was refused: it is not made out to the URL's host." },
    });
  });

  it('is not spoken by a plain server', async () => {
    const url = await rawServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    expect(await send(url.replace('http:', 'https:'))).toMatchObject({ failure: { code: 'tls_failed' } });
  });
});

describe('the guard', () => {
  const strict: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('') };

  it.each(['http://127.0.0.1', 'http://[::1]', 'http://[::ffff:127.0.0.1]', 'http://2130706433'])('refuses %s', async (origin) => {
    const { port, reached } = await forbidden();
    expect(await send(`${origin}:${port}/`, {}, { policy: strict })).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(reached()).toBe(0);
  });

  it.each([
    ['http://127.0.0.1:1/', 'https_required: '],
    ['https://a:b@127.0.0.1/', 'invalid_url: '],
    ['https://127.0.0.1:25/', 'port_blocked: '],
    ['https://10.0.0.1/', 'address_blocked: '],
  ])('refuses %s without a connection, and says why as the registry does', async (url, reason) => {
    const { failure } = await send(url, {}, { policy: { ...loopback, allowHttp: false } });
    expect(failure).toEqual({ code: 'address_blocked', message: expect.stringMatching(`^${reason}[A-Z0-9]`) });
  });

  it('refuses a name that resolves to a private address, and does not tell which', async () => {
    const { port, reached } = await forbidden();
    const outcome = await send(`http://localhost:${port}/`, {}, { policy: strict });
    expect(outcome.failure).toEqual({ code: 'address_blocked', message: 'localhost resolves to an address that is not public.' });
    expect(reached()).toBe(0);
  });

  it.each([
    ['first', ['127.0.0.1', '8.8.8.8']],
    ['last', ['8.8.8.8', '127.0.0.1']],
    ['of the other family', ['8.8.8.8', '::1']],
  ])('refuses a name of which one address is private: the %s', async (_, addresses) => {
    const { port, reached } = await forbidden();
    const outcome = await send(`http://mixed.example:${port}/`, {}, { policy: strict, resolve: resolvingTo(...addresses) });
    expect(outcome).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(reached()).toBe(0);
  });

  it('asks once per connection, so that a second answer (DNS rebinding) is not even heard', async () => {
    // 127.0.0.2 plays the public address, 127.0.0.1 the private one that must not be reached.
    const policy: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.2/32') };
    const { port, reached } = await forbidden();
    const answers = ['127.0.0.2', '127.0.0.1'];
    const resolve = () => resolvingTo(answers.shift() ?? '127.0.0.1')();
    const sender = senderWith({ policy, resolve });
    const first = await sender.send(requestTo(`http://rebind.example:${port}/`));
    expect(first).toMatchObject({ failure: { code: 'connection_refused' } });
    expect(answers).toEqual(['127.0.0.1']);
    const second = await sender.send(requestTo(`http://rebind.example:${port}/`));
    expect(second).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(reached()).toBe(0);
  });

  it('looks at the peer once connected, before a byte is sent', async () => {
    let bytes = 0;
    const url = new URL(await rawServer((socket) => (bytes += socket.bytesRead)));
    // Permits the address when it is resolved and no longer when it is the peer's, as if it had been rewritten on the way.
    const rules = [loopback.allowedAddresses];
    const policy: EgressPolicy = {
      allowHttp: true,
      get allowedAddresses() {
        return rules.shift() ?? strict.allowedAddresses;
      },
    };
    const outcome = await send(`http://rewritten.example:${url.port}/`, {}, { policy, resolve: resolvingTo('127.0.0.1') });
    expect(outcome).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(rules).toEqual([]);
    expect(bytes).toBe(0);
  });

  it('lets through what the configuration allows', async () => {
    const server = createServer((_, response) => response.end('v6'));
    const port = await listen(server, '::1');
    const policy = { allowHttp: true, allowedAddresses: parseCidrs('::1/128') };
    expect(await send(`http://[::1]:${port}/`, {}, { policy })).toMatchObject({ response: { body: 'v6' } });
    expect(await send(`http://[::1]:${port}/`, {}, { policy: loopback })).toMatchObject({ failure: { code: 'address_blocked' } });
  });

  it('does not keep a blocked origin from working once its name is right', async () => {
    const url = new URL(await httpServer((_, response) => response.end('ok')));
    const answers = ['10.0.0.1'];
    const sender = senderWith({ resolve: () => resolvingTo(answers.shift() ?? '127.0.0.1')() });
    const request = requestTo(`http://fixed.example:${url.port}/`);
    expect(await sender.send(request)).toMatchObject({ failure: { code: 'address_blocked' } });
    expect(await sender.send(request)).toMatchObject({ response: { status: 200 } });
  });
});

describe('aborting', () => {
  it('ends a request under way', async () => {
    const abort = new AbortController();
    const url = await rawServer(() => abort.abort());
    expect(await send(url, { signal: abort.signal })).toMatchObject({ failure: { code: 'aborted' } });
  });

  it('ends a request that is still connecting, and one not begun', async () => {
    const abort = new AbortController();
    const sender = senderWith({ resolve: silent, connectTimeoutMs: 100 });
    const outcome = sender.send(requestTo('http://slow.example/', { signal: abort.signal }));
    abort.abort();
    expect(await outcome).toMatchObject({ failure: { code: 'aborted' } });
    expect(await sender.send(requestTo('http://slow.example/', { signal: abort.signal }))).toMatchObject({ failure: { code: 'aborted' } });
  });
});

describe('closing', () => {
  it('lets requests under way finish within the grace, and takes no more', async () => {
    let answer: (() => void) | undefined;
    const arrived = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const held: (() => void)[] = [];
    const url = await httpServer((_, response) => {
      held.push(() => response.end('late'));
      answer?.();
    });
    const sender = senderWith();
    const outcome = sender.send(requestTo(url));
    await arrived;
    const closed = sender.close(5_000);
    expect(await sender.send(requestTo(url))).toMatchObject({ failure: { code: 'aborted' } });
    for (const release of held) release();
    expect(await outcome).toMatchObject({ response: { body: 'late' } });
    await closed;
    expect(sender.running).toBe(0);
  });

  it('aborts what is still under way after the grace', async () => {
    const sender = senderWith();
    const url = await rawServer(() => undefined);
    const outcomes = [sender.send(requestTo(url)), sender.send(requestTo(url)), sender.send(requestTo(url))];
    await sender.close(30);
    for (const outcome of outcomes) expect(await outcome).toMatchObject({ failure: { code: 'aborted' } });
    expect(sender.running).toBe(0);
  });
});

describe('many origins', () => {
  it('leave nothing behind, whether they answered, refused, were blocked or did not resolve', async () => {
    const url = new URL(await httpServer((_, response) => response.end('ok')));
    const sender = senderWith({
      keepAliveMs: 30,
      resolve: (hostname) => (hostname.startsWith('none') ? Promise.reject(new Error('no')) : resolvingTo(hostname.startsWith('private') ? '10.0.0.1' : '127.0.0.1')()),
    });
    const requests = Array.from({ length: 100 }, (_, i) => [
      `http://host-${i}.example:${url.port}/`,
      `http://closed-${i}.example:1/`,
      `http://private-${i}.example/`,
      `http://none-${i}.example/`,
    ]).flat();
    const outcomes = await Promise.all(requests.map((each) => sender.send(requestTo(each))));
    const count = (code: string | undefined) => outcomes.filter(({ failure }) => failure?.code === code).length;
    expect([count(undefined), count('connection_refused'), count('address_blocked'), count('dns_failed')]).toEqual([100, 100, 100, 100]);
    const deadline = Date.now() + 5_000;
    while (sender.origins > 0 && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(sender.origins).toBe(0);
    expect(sender.running).toBe(0);
  });
});
