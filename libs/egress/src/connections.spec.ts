import diagnostics from 'node:diagnostics_channel';
import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { parseCidrs, type EgressPolicy } from './address-guard.js';
import { HttpSender, type HttpOutcome, type HttpRequest, type HttpSenderOptions } from './http.js';

const policy: EgressPolicy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8') };

/** Machines that have much else to do take their time. */
jest.setTimeout(20_000);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const senderWith = (options: Partial<HttpSenderOptions> = {}): HttpSender => {
  const sender = new HttpSender({ policy, ...options });
  cleanups.push(() => sender.close());
  return sender;
};

const listening = async (server: Server, host = '127.0.0.1'): Promise<number> => {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket.on('error', () => undefined));
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, host, 10_000);
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
};

const requestTo = (url: string, rest: Partial<HttpRequest> = {}): HttpRequest => ({ url, headers: [], body: Buffer.from('{"a":1}'), timeoutMs: 15_000, ...rest });

/** Every address of loopback is an origin of this server. It counts its connections, those that are open too. */
const everywhere = async (onRequest: RequestListener) => {
  const server = createHttpServer({ keepAliveTimeout: 0 }, onRequest);
  const connections = { made: 0, open: 0, mostOpen: 0 };
  server.on('connection', (socket: Socket) => {
    connections.made++;
    connections.open++;
    connections.mostOpen = Math.max(connections.mostOpen, connections.open);
    socket.on('close', () => connections.open--);
  });
  const port = await listening(server, '0.0.0.0');
  return { connections, urlOf: (n: number) => `http://127.1.${n >> 8}.${n & 255}:${port}/` };
};

const answersAtOnce: RequestListener = (request, response) => void request.resume().on('end', () => response.end('ok'));

/** Requests that wait until they are let go, in the order in which they came. */
const held = () => {
  const waiting: (() => void)[] = [];
  const listener: RequestListener = (request, response) => void request.resume().on('end', () => waiting.push(() => response.end('ok')));
  const arrived = async (count: number): Promise<void> => until(() => waiting.length === count);
  return { listener, arrived, letGo: () => waiting.shift()?.() };
};

const until = async (isSo: () => boolean): Promise<void> => {
  const untilMs = Date.now() + 15_000;
  while (!isSo() && Date.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(isSo()).toBe(true);
};

const statusOf = ({ response, failure }: HttpOutcome): string => failure?.code ?? String(response?.status);

describe('connections', () => {
  it('that are idle are kept, the latest of all and of each origin', async () => {
    const { connections, urlOf } = await everywhere(answersAtOnce);
    const sender = senderWith({ maxIdle: 3, maxIdlePerOrigin: 2 });
    for (const origin of [1, 2, 3, 4, 5]) await sender.send(requestTo(urlOf(origin)));
    await until(() => sender.openConnections === 3);
    for (const origin of [3, 4, 5]) await sender.send(requestTo(urlOf(origin)));
    expect(connections.made).toBe(5);
    await sender.send(requestTo(urlOf(1)));
    expect(connections.made).toBe(6);
    await Promise.all(Array.from({ length: 10 }, () => sender.send(requestTo(urlOf(9)))));
    await until(() => sender.openConnections === 3);
    // Two of that origin, and the one used before them.
    expect(sender.origins).toBe(2);
  });

  it('to one origin are kept as many as subscriptions that share it have used at a time', async () => {
    const { listener, arrived, letGo } = held();
    const { connections, urlOf } = await everywhere(listener);
    const sender = senderWith();
    for (let round = 0; round < 2; round++) {
      const outcomes = Array.from({ length: 300 }, () => sender.send(requestTo(urlOf(1))));
      await arrived(300);
      for (let n = 0; n < 300; n++) letGo();
      expect(new Set((await Promise.all(outcomes)).map(statusOf))).toEqual(new Set(['200']));
    }
    expect(connections.made).toBe(300);
  });

  it('that are idle give way when there may be no more', async () => {
    const { connections, urlOf } = await everywhere(answersAtOnce);
    const sender = senderWith({ maxConnections: 2 });
    for (const origin of [1, 2, 3, 4]) expect(statusOf(await sender.send(requestTo(urlOf(origin))))).toBe('200');
    expect(sender.openConnections).toBeLessThanOrEqual(2);
    expect(connections.made).toBe(4);
  });

  it('that are all in use are waited for, by turns, within the deadline', async () => {
    const { listener, arrived, letGo } = held();
    const { connections, urlOf } = await everywhere(listener);
    const sender = senderWith({ maxConnections: 2 });
    const ended: number[] = [];
    const outcomes = [1, 2, 3, 4].map((origin) => sender.send(requestTo(urlOf(origin))).finally(() => ended.push(origin)));
    const impatient = sender.send(requestTo(urlOf(5), { timeoutMs: 50 }));
    const last = sender.send(requestTo(urlOf(1)));
    await arrived(2);
    expect(sender.openConnections).toBe(2);
    expect((await impatient).failure).toEqual({ code: 'connect_timeout', message: 'All connections that Posthorn may have were in use for 50 ms.' });
    for (let n = 0; n < 5; n++) {
      letGo();
      await until(() => ended.length > n || n === 4);
      if (n < 3) await arrived(2);
    }
    expect((await Promise.all([...outcomes, last])).map(statusOf)).toEqual(['200', '200', '200', '200', '200']);
    expect(ended).toEqual([1, 2, 3, 4]);
    expect(connections.made).toBe(5);
  });

  it('that wait are given up when they are aborted', async () => {
    const { listener, arrived, letGo } = held();
    const { connections, urlOf } = await everywhere(listener);
    const sender = senderWith({ maxConnections: 1 });
    const abort = new AbortController();
    const first = sender.send(requestTo(urlOf(1)));
    const second = sender.send(requestTo(urlOf(2), { signal: abort.signal }));
    await arrived(1);
    abort.abort();
    expect(statusOf(await second)).toBe('aborted');
    letGo();
    expect(statusOf(await first)).toBe('200');
    expect(connections.made).toBe(1);
  });

  it('to thousands of origins leave neither sockets nor memory behind', async () => {
    const { connections, urlOf } = await everywhere(answersAtOnce);
    const sender = senderWith({ maxConnections: 200, maxIdle: 50, keepAliveMs: 200 });
    const beforeBytes = process.memoryUsage().rss;
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < 2_000) expect(statusOf(await sender.send(requestTo(urlOf(next++))))).toBe('200');
    };
    await Promise.all(Array.from({ length: 300 }, worker));
    expect(connections.made).toBe(2_000);
    expect(connections.mostOpen).toBeLessThan(300);
    expect(sender.openConnections).toBeLessThanOrEqual(200);
    expect(process.memoryUsage().rss - beforeBytes).toBeLessThan(300 * 1024 * 1024);
    await until(() => sender.openConnections === 0);
    expect(sender.origins).toBe(0);
  });
});

/**
 * A receiver in a thread of its own, so that it can act while this thread stands still: it answers what `answers` says of each request (by its number on the connection), and does to
 * the connection what it is told. It counts whole requests.
 */
const receiverThread = async () => {
  const script = `
    const { createServer } = require('node:net');
    const { parentPort, workerData } = require('node:worker_threads');
    const state = new Int32Array(workerData);
    let latest;
    let seen = 0;
    const server = createServer((socket) => {
      latest = socket;
      socket.on('error', () => undefined).on('data', (data) => {
        if (!data.toString().endsWith('{"a":1}')) return;
        seen++;
        parentPort.postMessage({ seen });
        socket.write('HTTP/1.1 200 OK\\r\\ncontent-length: 2\\r\\n\\r\\nok');
      });
    });
    parentPort.on('message', (what) => {
      if (what === 'reset') latest.resetAndDestroy();
      if (what === 'end') latest.destroy();
      latest.once('close', () => setTimeout(() => {
        Atomics.store(state, 0, 1);
        Atomics.notify(state, 0);
      }, 20));
    });
    server.listen(0, '127.0.0.1', () => parentPort.postMessage({ port: server.address().port }));`;
  const shared = new SharedArrayBuffer(4);
  const state = new Int32Array(shared);
  const worker = new Worker(script, { eval: true, workerData: shared });
  cleanups.push(() => worker.terminate());
  const [{ port }] = (await once(worker, 'message')) as [{ port: number }];
  let seen = 0;
  worker.on('message', (message: { seen: number }) => (seen = message.seen));
  return {
    url: `http://127.0.0.1:${port}/`,
    /** Whole requests that it has read. */
    seen: () => seen,
    /** Returns when it has been done and its packets have arrived; nothing else happens in this thread meanwhile. */
    close: (how: 'reset' | 'end') => {
      Atomics.store(state, 0, 0);
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker has none
      worker.postMessage(how);
      Atomics.wait(state, 0, 0, 10_000);
    },
  };
};

/** Called with each request just before it is written. */
const beforeWriting = (run: () => void): void => {
  diagnostics.subscribe('undici:client:sendHeaders', run);
  cleanups.push(() => diagnostics.unsubscribe('undici:client:sendHeaders', run));
};

describe('a kept connection that the server has closed', () => {
  it.each(['reset', 'end'] as const)('before the next request was to be written (%s) is replaced; nobody notices', async (how) => {
    const receiver = await receiverThread();
    const sender = senderWith();
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('200');
    await new Promise((resolve) => setImmediate(resolve));
    receiver.close(how);
    // This thread knows nothing of it yet, and gives the request that connection.
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('200');
    await until(() => receiver.seen() === 2);
  });

  it('by a reset, just as the request is written: nothing of it has left, and it goes out again at once', async () => {
    const receiver = await receiverThread();
    const sender = senderWith();
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('200');
    let writes = 0;
    beforeWriting(() => {
      if (++writes === 1) receiver.close('reset');
    });
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('200');
    expect(writes).toBe(2);
    await until(() => receiver.seen() === 2);
  });

  it('in good order, just as the request is written: it has left, and may have been read, so it is an attempt', async () => {
    const receiver = await receiverThread();
    const sender = senderWith();
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('200');
    let writes = 0;
    beforeWriting(() => {
      if (++writes === 1) receiver.close('end');
    });
    const outcome = await sender.send(requestTo(receiver.url));
    expect(statusOf(outcome)).toBe('connection_reset');
    expect([writes, receiver.seen()]).toEqual([1, 1]);
  });

  it('after it has read the request, without an answer: it is an attempt, and is not repeated', async () => {
    let requests = 0;
    const server = createTcpServer((socket) => {
      socket.on('data', () => {
        requests++;
        if (requests === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.resetAndDestroy();
      });
    });
    const url = `http://127.0.0.1:${await listening(server)}/`;
    const sender = senderWith();
    expect(statusOf(await sender.send(requestTo(url)))).toBe('200');
    expect(statusOf(await sender.send(requestTo(url)))).toBe('connection_reset');
    expect(requests).toBe(2);
  });

  it('again and again is not an endless repetition', async () => {
    const receiver = await receiverThread();
    const sender = senderWith();
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('200');
    let writes = 0;
    beforeWriting(() => {
      writes++;
      receiver.close('reset');
    });
    expect(statusOf(await sender.send(requestTo(receiver.url)))).toBe('connection_reset');
    expect(writes).toBe(2);
    expect(receiver.seen()).toBe(1);
  });
});

describe('a server that closes idle connections whenever it likes', () => {
  it('sees no request twice, and is the end of one attempt at most', async () => {
    const seen = new Map<string, number>();
    const server = createTcpServer((socket) => {
      socket.on('data', (data) => {
        const id = /webhook-id: (\d+)/.exec(data.toString())?.[1] ?? '';
        seen.set(id, (seen.get(id) ?? 0) + 1);
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok', () => {
          // From at once to a few turns later: sometimes before the next request arrives, sometimes with it.
          let turns = Number(id) % 4;
          const turn = (): void => void (turns-- > 0 ? setImmediate(turn) : socket.destroy());
          turn();
        });
      });
    });
    const url = `http://127.0.0.1:${await listening(server)}/`;
    const sender = senderWith();
    const outcomes: string[] = [];
    for (let id = 0; id < 400; id++) outcomes.push(statusOf(await sender.send(requestTo(url, { headers: ['webhook-id', String(id)] }))));
    expect([...new Set(outcomes)].filter((outcome) => outcome !== '200' && outcome !== 'connection_reset')).toEqual([]);
    expect(Math.max(...seen.values())).toBe(1);
    expect(outcomes.filter((outcome, id) => outcome === '200' && seen.get(String(id)) !== 1)).toEqual([]);
    // Once it has been caught, none of its connections is kept for a while.
    expect(outcomes.filter((outcome) => outcome !== '200').length).toBeLessThanOrEqual(1);
  });
});
