import { once } from 'node:events';
import { createConnection, createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TlsOptions } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { parseCidrs, type EgressPolicy } from './address-guard.js';
import { HttpSender, type HttpOutcome, type HttpRequest, type HttpSenderOptions } from './http.js';
import { expiredCertificate, testCertificate } from './test-certificate.js';

const policy: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') };
const TIMEOUT_MS = 150;
const PATIENCE_MS = 10_000;

const cleanups: (() => unknown)[] = [];
/** Machines that have much else to do take their time. */
jest.setTimeout(20_000);
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const listening = async (server: Server): Promise<number> => {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

const senderWith = (options: Partial<HttpSenderOptions> = {}): HttpSender => {
  const sender = new HttpSender({ policy, resolve: async () => [{ address: '127.0.0.1', family: 4 }], ...options });
  cleanups.push(() => sender.close());
  return sender;
};

const requestTo = (url: string, rest: Partial<HttpRequest> = {}): HttpRequest => ({ url, headers: [], body: Buffer.from('{"a":1}'), timeoutMs: PATIENCE_MS, ...rest });

/** What a receiver does with a connection on which the request has begun to arrive. */
type Behaviour = (socket: Socket) => unknown;

/** Writes a piece again and again, as fast as it is taken or at intervals, until the connection ends. */
const endlessly =
  (start: string, piece: string | Buffer, everyMs?: number): Behaviour =>
  (socket) => {
    socket.write(start);
    if (everyMs !== undefined) {
      const timer = setInterval(() => socket.write(piece), everyMs);
      socket.on('close', () => clearInterval(timer));
      return;
    }
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on('drain', more);
    more();
  };

const says = (text: string): Behaviour => (socket) => socket.write(text, 'latin1');
const saysAndEnds = (text: string): Behaviour => (socket) => socket.end(text, 'latin1');
const saysNothing: Behaviour = () => undefined;
const goes: Behaviour = (socket) => socket.destroy();
const resets: Behaviour = (socket) => socket.resetAndDestroy();
const resetsAfter = (text: string): Behaviour => (socket) => socket.write(text, () => setImmediate(() => socket.resetAndDestroy()));
const ok = 'HTTP/1.1 200 OK\r\n';
const kilobyte = 'y'.repeat(1_000);

/** Behaviour, how it ends (error code, or the status that counts), and within what: the deadline, or at once. */
const receivers: readonly (readonly [string, Behaviour, string, 'at the deadline' | 'at once'])[] = [
  ['never answers', saysNothing, 'timeout', 'at the deadline'],
  ['says half a status line', says('HTTP/1.1 20'), 'timeout', 'at the deadline'],
  ['says half a status line, and goes', saysAndEnds('HTTP/1.1 20'), 'connection_reset', 'at once'],
  ['drips its status line', endlessly('HTTP/1.1 200 O', 'K', 10), 'timeout', 'at the deadline'],
  ['drips its headers', endlessly(`${ok}x-a: `, 'a', 10), 'timeout', 'at the deadline'],
  ['drips header lines', endlessly(ok, 'a: b\r\n', 10), 'timeout', 'at the deadline'],
  ['has a status line without end', endlessly('HTTP/1.1 200 ', kilobyte), 'response_too_large', 'at once'],
  ['has headers without end', endlessly(ok, `x-a: ${kilobyte}\r\n`), 'response_too_large', 'at once'],
  ['has one header without end', endlessly(`${ok}x-a: `, kilobyte), 'response_too_large', 'at once'],
  ['has the smallest headers without end', endlessly(ok, 'a:\r\n'.repeat(250)), 'response_too_large', 'at once'],
  ['sends informational responses without end', endlessly('', 'HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'.repeat(20)), 'response_too_large', 'at once'],
  ['drips informational responses', endlessly('', 'HTTP/1.1 102 Processing\r\n\r\n', 20), 'timeout', 'at the deadline'],
  ['asks to continue, and does not', says('HTTP/1.1 100 Continue\r\n\r\n'), 'connection_reset', 'at once'],
  ['switches protocols', says('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'), 'connection_reset', 'at once'],
  ['drips its body', endlessly(`${ok}content-length: 1000\r\n\r\n`, 'a', 10), 'timeout', 'at the deadline'],
  ['drips chunks', endlessly(`${ok}transfer-encoding: chunked\r\n\r\n`, '1\r\na\r\n', 10), 'timeout', 'at the deadline'],
  ['has a chunk extension without end', endlessly(`${ok}transfer-encoding: chunked\r\n\r\n1;`, kilobyte), '200', 'at once'],
  ['has a chunk size without end', endlessly(`${ok}transfer-encoding: chunked\r\n\r\n`, '0'.repeat(1_000)), '200', 'at once'],
  ['drips a chunk extension', endlessly(`${ok}transfer-encoding: chunked\r\n\r\n1;`, 'a', 10), 'timeout', 'at the deadline'],
  ['has trailers without end', endlessly(`${ok}transfer-encoding: chunked\r\n\r\n0\r\n`, `x-a: ${kilobyte}\r\n`), 'response_too_large', 'at once'],
  ['has a body without end', endlessly(`${ok}\r\n`, kilobyte), '200', 'at once'],
  ['has chunks without end', endlessly(`${ok}transfer-encoding: chunked\r\n\r\n`, `3e8\r\n${kilobyte}\r\n`), '200', 'at once'],
  ['announces a body without end', endlessly(`${ok}content-length: 999999999999\r\n\r\n`, kilobyte), '200', 'at once'],
  ['fails with a body without end', endlessly('HTTP/1.1 500 No\r\n\r\n', kilobyte), '500', 'at once'],
  ['announces more than it sends', saysAndEnds(`${ok}content-length: 10\r\n\r\nhalf`), 'connection_reset', 'at once'],
  ['ends between chunks', saysAndEnds(`${ok}transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n`), 'connection_reset', 'at once'],
  ['ends within a chunk', saysAndEnds(`${ok}transfer-encoding: chunked\r\n\r\n9\r\nhalf`), 'connection_reset', 'at once'],
  ['has a chunk of no size', says(`${ok}transfer-encoding: chunked\r\n\r\nzz\r\nhalf\r\n`), 'connection_reset', 'at once'],
  ['has a chunk of a negative size', says(`${ok}transfer-encoding: chunked\r\n\r\n-1\r\nhalf\r\n`), 'connection_reset', 'at once'],
  ['has a chunk larger than any number', says(`${ok}transfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\nhalf\r\n`), 'connection_reset', 'at once'],
  ['tells two lengths', says(`${ok}content-length: 2\r\ncontent-length: 3\r\n\r\nabc`), 'connection_reset', 'at once'],
  ['tells a length and chunks', says(`${ok}content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`), 'connection_reset', 'at once'],
  ['tells a negative length', says(`${ok}content-length: -1\r\n\r\n`), 'connection_reset', 'at once'],
  ['has a NUL in a header', says(`${ok}x-a: b\0c\r\n\r\n`), 'connection_reset', 'at once'],
  ['has a NUL in a name', says(`${ok}x\0a: b\r\n\r\n`), 'connection_reset', 'at once'],
  ['has a space before a colon', says(`${ok}x-a : b\r\n\r\n`), 'connection_reset', 'at once'],
  ['has a status of no class', says('HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n'), '999', 'at once'],
  ['has a status of two digits', says('HTTP/1.1 20 OK\r\n\r\n'), 'connection_reset', 'at once'],
  ['speaks HTTP/2', says('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 'connection_reset', 'at once'],
  ['begins HTTP/2 as a server does', says('\0\0\0\x04\0\0\0\0\0'), 'connection_reset', 'at once'],
  ['speaks HTTP/0.9', saysAndEnds('<html>hello</html>'), 'connection_reset', 'at once'],
  ['speaks SSH', says('SSH-2.0-OpenSSH_9.9\r\n'), 'connection_reset', 'at once'],
  ['speaks TLS', says('\x15\x03\x03\0\x02\x02\x46'), 'connection_reset', 'at once'],
  ['redirects to itself', says('HTTP/1.1 302 Found\r\nlocation: /\r\ncontent-length: 0\r\n\r\n'), '302', 'at once'],
  ['redirects for good', says('HTTP/1.1 308 Permanent Redirect\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n'), '308', 'at once'],
  ['redirects with the method', says('HTTP/1.1 307 Temporary Redirect\r\nlocation: //10.0.0.1/\r\ncontent-length: 0\r\n\r\n'), '307', 'at once'],
  ['redirects by a header alone', says(`${ok}location: http://10.0.0.1/\r\nrefresh: 0; url=http://10.0.0.1/\r\ncontent-length: 0\r\n\r\n`), '200', 'at once'],
  ['has a body with 204', says('HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\nhello'), '204', 'at once'],
  ['has a body with 304', says('HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\nhello'), '304', 'at once'],
  ['answers twice', says(`${ok}content-length: 0\r\n\r\n${ok}content-length: 0\r\n\r\n`), '200', 'at once'],
  ['says close, and does not', says(`${ok}connection: close\r\ncontent-length: 0\r\n\r\n`), '200', 'at once'],
  ['says keep-alive, and closes', saysAndEnds(`${ok}connection: keep-alive\r\nkeep-alive: timeout=600\r\ncontent-length: 0\r\n\r\n`), '200', 'at once'],
  ['resets before it answers', resets, 'connection_reset', 'at once'],
  ['goes before it answers', saysAndEnds(''), 'connection_reset', 'at once'],
  ['resets within the headers', resetsAfter(`${ok}x-a`), 'connection_reset', 'at once'],
  ['resets within the body', resetsAfter(`${ok}content-length: 10\r\n\r\nhalf`), 'connection_reset', 'at once'],
];

const endingOf = ({ response, failure }: HttpOutcome): string => failure?.code ?? String(response?.status);

const held = async (behaviour: Behaviour): Promise<string> => {
  const server = createTcpServer((socket) => void socket.once('data', () => behaviour(socket)));
  return `http://127.0.0.1:${await listening(server)}/`;
};

describe('a receiver that', () => {
  it.each(receivers)('%s ends as it should, and in time', async (_, behaviour, ending, when) => {
    const sender = senderWith();
    const timeoutMs = when === 'at once' ? PATIENCE_MS : TIMEOUT_MS;
    const outcome = await sender.send(requestTo(await held(behaviour), { timeoutMs }));
    expect(endingOf(outcome)).toBe(ending);
    expect(outcome.durationMs).toBeLessThan(when === 'at once' ? PATIENCE_MS / 2 : TIMEOUT_MS + 2_000);
    // Whatever it was: the next one is not touched by it, and no socket is left behind.
    const well = await held(saysAndEnds('HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\nwell'));
    expect(await sender.send(requestTo(well))).toMatchObject({ response: { body: 'well' } });
  });

  it('never accepts a connection: connect_timeout', async () => {
    const { port } = await deafServer();
    const outcome = await senderWith({ connectTimeoutMs: TIMEOUT_MS }).send(requestTo(`http://127.0.0.1:${port}/`));
    expect(outcome).toMatchObject({ failure: { code: 'connect_timeout' } });
    expect(outcome.durationMs).toBeLessThan(PATIENCE_MS / 2);
  });

  it('resets as soon as it has accepted: connection_reset', async () => {
    const port = await listening(createTcpServer((socket) => void socket.resetAndDestroy()));
    expect(await senderWith().send(requestTo(`http://127.0.0.1:${port}/`))).toMatchObject({ failure: { code: 'connection_reset' } });
  });

  it('answers before it has read the request is believed, and its connection is not used again', async () => {
    let connections = 0;
    const server = createTcpServer((socket) => {
      connections++;
      socket.once('data', () => {
        socket.pause().write('HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n');
      });
    });
    const url = `http://127.0.0.1:${await listening(server)}/`;
    const sender = senderWith();
    const body = Buffer.alloc(16 * 1024 * 1024, 'x');
    expect(await sender.send(requestTo(url, { body }))).toMatchObject({ response: { status: 202 } });
    expect(await sender.send(requestTo(url))).toMatchObject({ response: { status: 202 } });
    expect(connections).toBe(2);
  });

  it('sends a gzip bomb gets it neither inflated nor read', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    let asked = '';
    const server = createTcpServer((socket) => {
      socket.once('data', (request) => {
        asked = request.toString();
        socket.write(`${ok}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
        socket.write(bomb);
      });
    });
    const outcome = await senderWith().send(requestTo(`http://127.0.0.1:${await listening(server)}/`));
    expect(outcome).toMatchObject({ response: { status: 200, truncated: true, headers: { 'content-encoding': 'gzip' } } });
    expect(outcome.response?.body.length).toBeLessThanOrEqual(4_096);
    expect(asked).not.toMatch(/accept-encoding/i);
  });

  it('says something while the connection is idle is not taken for an answer to the next request', async () => {
    const sender = senderWith();
    let connections = 0;
    const server = createTcpServer((socket) => {
      connections++;
      const answer = connections === 1 ? 'first' : 'later';
      socket.on('data', () => {
        socket.write(`${ok}content-length: 5\r\n\r\n${answer}`);
        if (connections === 1) setTimeout(() => socket.write(`${ok}content-length: 5\r\n\r\nfalse`), 20);
      });
    });
    const url = `http://127.0.0.1:${await listening(server)}/`;
    expect(await sender.send(requestTo(url))).toMatchObject({ response: { body: 'first' } });
    await gone(sender);
    expect(await sender.send(requestTo(url))).toMatchObject({ response: { body: 'later' } });
  });
});

/** A server whose thread has stopped before it could accept: the system takes a few connections for it, and then no more. */
const deafServer = async (): Promise<{ readonly port: number }> => {
  const script = `
    const { createServer } = require('node:net');
    const { parentPort, workerData } = require('node:worker_threads');
    const server = createServer();
    server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
      parentPort.postMessage(server.address().port);
      setImmediate(() => Atomics.wait(new Int32Array(workerData), 0, 0));
    });`;
  const lock = new SharedArrayBuffer(4);
  const worker = new Worker(script, { eval: true, workerData: lock });
  const [port] = (await once(worker, 'message')) as [number];
  const fillers: Socket[] = [];
  cleanups.push(async () => {
    for (const filler of fillers) filler.destroy();
    Atomics.store(new Int32Array(lock), 0, 1);
    Atomics.notify(new Int32Array(lock), 0);
    await worker.terminate();
  });
  for (let isFull = false; !isFull; ) {
    const filler = createConnection({ port, host: '127.0.0.1' }).on('error', () => undefined);
    fillers.push(filler);
    await Promise.race([once(filler, 'connect'), new Promise((resolve) => setTimeout(resolve, 200))]);
    // A timer that is late comes before the connection that was there in time.
    await new Promise((resolve) => setImmediate(resolve));
    isFull = filler.connecting;
  }
  return { port };
};

/** Resolves when the sender has no connection any more. */
const gone = async (sender: HttpSender): Promise<void> => {
  const untilMs = Date.now() + PATIENCE_MS;
  while (sender.openConnections > 0 && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(sender.openConnections).toBe(0);
};

describe('TLS with a receiver that', () => {
  const secure = async (options: TlsOptions, behaviour: Behaviour = saysAndEnds(`${ok}content-length: 0\r\n\r\n`)): Promise<number> =>
    listening(createTlsServer(options, (socket) => void socket.on('error', () => undefined).once('data', () => behaviour(socket))));
  const trusting = { tls: { ca: [testCertificate.cert, expiredCertificate.cert] } };

  it.each([
    ['has an expired certificate', expiredCertificate, 'receiver.example', trusting, 'it has expired'],
    ["has another's certificate", testCertificate, 'other.example', trusting, "it is not made out to the URL's host"],
    ['vouches for itself', testCertificate, 'receiver.example', {}, 'it is self-signed'],
    ['has a certificate for a name, not for its address', testCertificate, '127.0.0.1', trusting, "it is not made out to the URL's host"],
  ] as const)('%s fails, also the second time', async (_, certificate, host, options, reason) => {
    for (const maxVersion of ['TLSv1.3', 'TLSv1.2'] as const) {
      let requests = 0;
      const port = await secure({ ...certificate, maxVersion }, () => requests++);
      const sender = senderWith(options);
      for (let n = 0; n < 2; n++) {
        expect((await sender.send(requestTo(`https://${host}:${port}/`))).failure).toEqual({
          code: 'tls_failed',
          message: `The server's certificate was refused: ${reason}.`,
        });
      }
      expect(requests).toBe(0);
    }
  });

  it.each([
    ['speaks an old version only', { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' }],
    ['wants a client certificate', { requestCert: true, rejectUnauthorized: true, maxVersion: 'TLSv1.2' }],
  ] as const)('%s fails', async (_, options) => {
    const port = await secure({ ...testCertificate, ...options });
    const { failure } = await senderWith(trusting).send(requestTo(`https://receiver.example:${port}/`));
    expect(failure?.code).toMatch(/^tls_failed$|^connection_reset$/);
  });

  it.each([
    ['never says anything', saysNothing, 'connect_timeout'],
    ['resets within the handshake', resets, 'connection_reset'],
    ['goes within the handshake', saysAndEnds(''), 'connection_reset'],
    ['stalls within the handshake', says('\x16\x03\x03\0\x7a\x02'), 'connect_timeout'],
    ['speaks plain http', saysAndEnds('HTTP/1.1 400 Bad Request\r\n\r\n'), 'tls_failed'],
    ['speaks SSH', saysAndEnds('SSH-2.0-OpenSSH_9.9\r\n'), 'tls_failed'],
    ['sends an alert', saysAndEnds('\x15\x03\x03\0\x02\x02\x28'), 'tls_failed'],
  ] as const)('%s ends with its code', async (_, behaviour, code) => {
    const url = (await held(behaviour)).replace('http:', 'https:');
    const outcome = await senderWith({ connectTimeoutMs: TIMEOUT_MS }).send(requestTo(url));
    expect(outcome.failure?.code).toBe(code);
    expect(outcome.durationMs).toBeLessThan(PATIENCE_MS / 2);
  });

  it.each([
    ['never answers', saysNothing, 'timeout'],
    ['goes after the request', goes, 'connection_reset'],
    ['drips its headers', endlessly(`${ok}x-a: `, 'a', 10), 'timeout'],
    ['has a body without end', endlessly(`${ok}\r\n`, kilobyte), '200'],
    ['offers HTTP/2 and speaks it', says('\0\0\0\x04\0\0\0\0\0'), 'connection_reset'],
  ] as const)('%s after the handshake ends as without TLS', async (_, behaviour, ending) => {
    const port = await secure({ ...testCertificate, ALPNProtocols: ['h2', 'http/1.1'] }, behaviour);
    const outcome = await senderWith(trusting).send(requestTo(`https://receiver.example:${port}/`, { timeoutMs: ending === 'timeout' ? TIMEOUT_MS : PATIENCE_MS }));
    expect(endingOf(outcome)).toBe(ending);
  });

  it('closes a TLS connection without saying so cuts off a body of unknown length: it is what there is', async () => {
    const port = await secure(testCertificate, (socket) => void socket.write(`${ok}\r\nhalf`, () => setImmediate(() => socket.destroy())));
    expect(endingOf(await senderWith(trusting).send(requestTo(`https://receiver.example:${port}/`)))).toMatch(/^200$|^connection_reset$/);
  });
});

describe('memory', () => {
  const MEGABYTE = 1024 * 1024;

  it('is not taken by bodies without end', async () => {
    const sender = senderWith();
    const url = await held(endlessly(`${ok}\r\n`, Buffer.alloc(65_536, 'x')));
    const beforeBytes = process.memoryUsage().rss;
    for (let round = 0; round < 10; round++) {
      const outcomes = await Promise.all(Array.from({ length: 50 }, () => sender.send(requestTo(url))));
      expect(new Set(outcomes.map(endingOf))).toEqual(new Set(['200']));
    }
    expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(200 * MEGABYTE);
  });

  it('is taken once by a body that nobody reads, however many wait for it to be read', async () => {
    const server = createTcpServer({ pauseOnConnect: true }, () => undefined);
    const url = `http://127.0.0.1:${await listening(server)}/`;
    const sender = senderWith();
    const body = Buffer.alloc(8 * MEGABYTE, 'x');
    const beforeBytes = process.memoryUsage().rss;
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => sender.send(requestTo(url, { body, timeoutMs: 500 }))));
    expect(new Set(outcomes.map(endingOf))).toEqual(new Set(['timeout']));
    expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(200 * MEGABYTE);
    await gone(sender);
  });

  it('is not taken by thousands of the smallest headers: their lines are counted whole', async () => {
    const sender = senderWith();
    const url = await held((socket) => socket.write(ok + 'a:\r\n'.repeat(16_000)));
    const beforeBytes = process.memoryUsage().rss;
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => sender.send(requestTo(url))));
    expect(new Set(outcomes.map(endingOf))).toEqual(new Set(['response_too_large']));
    expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(200 * MEGABYTE);
  });

  it.each([200, 16_000])('may be taken by a response that is in order: %i bytes of headers, and a large body in the same piece', async (size) => {
    const url = await held((socket) => socket.write(`${ok}content-length: 60000\r\nx-a: ${'y'.repeat(size)}\r\n\r\n${'z'.repeat(60_000)}`));
    expect(await senderWith().send(requestTo(url))).toMatchObject({ response: { status: 200, truncated: true } });
  });
});
