import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { verifySignature, type Verification } from './verify-signature.js';

/** A request as it came in. */
export type Received = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<IncomingHttpHeaders>;
  readonly body: Buffer;
  /** Wall clock, when the body was complete. */
  readonly atMs: number;
};

/** What to answer; 200 with an empty body, at once, unless told otherwise. */
export type Reply = {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly delayMs?: number;
};

export type WaitOptions = { readonly timeoutMs?: number };

type Waiter = { readonly isMet: () => boolean; readonly meet: () => void };

export type Receiver = {
  /** Without a trailing slash: a path can be appended. */
  readonly url: string;
  readonly requests: readonly Received[];
  /** Answers to come, in order; the last one stays. With a path, for requests to it only. */
  reply(...replies: readonly Reply[]): void;
  replyAt(path: string, ...replies: readonly Reply[]): void;
  /** The first `count` requests, once they have come. */
  received(count: number, options?: WaitOptions): Promise<readonly Received[]>;
  /** The first request, past or to come, that satisfies the predicate. */
  waitFor(predicate: (request: Received) => boolean, options?: WaitOptions): Promise<Received>;
  verify(request: Received, secret: string): Verification;
  /** Forgets the requests, for a receiver that runs long. */
  clear(): void;
  close(): Promise<void>;
};

const DEFAULT_TIMEOUT_MS = 10_000;

const read = async (request: IncomingMessage): Promise<Received> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
    body: Buffer.concat(chunks),
    atMs: Date.now(),
  };
};

export type ReceiverOptions = {
  /** A free one unless given. */
  readonly port?: number;
  readonly onRequest?: (request: Received) => void;
};

/** An HTTP server on loopback that records what it gets and answers as told. */
export const startReceiver = async ({ port = 0, onRequest }: ReceiverOptions = {}): Promise<Receiver> => {
  const requests: Received[] = [];
  const waiters = new Set<Waiter>();
  const anywhere: Reply[] = [];
  const byPath = new Map<string, Reply[]>();

  const next = (replies: Reply[]): Reply | undefined => (replies.length > 1 ? replies.shift() : replies[0]);
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const received = await read(request);
    requests.push(received);
    const { status = 200, headers = {}, body, delayMs = 0 } = next(byPath.get(received.path) ?? anywhere) ?? {};
    onRequest?.(received);
    for (const waiter of waiters) if (waiter.isMet()) waiter.meet();
    if (delayMs > 0) await delay(delayMs);
    response.writeHead(status, headers).end(body);
  };
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const address = server.address();
  const listeningOn = typeof address === 'object' && address !== null ? address.port : port;

  const until = (isMet: () => boolean, what: () => string, { timeoutMs = DEFAULT_TIMEOUT_MS }: WaitOptions): Promise<void> =>
    new Promise((resolve, reject) => {
      if (isMet()) {
        resolve();
        return;
      }
      const waiter: Waiter = {
        isMet,
        meet: () => {
          clearTimeout(timer);
          waiters.delete(waiter);
          resolve();
        },
      };
      const timer = setTimeout(() => {
        waiters.delete(waiter);
        reject(new Error(`not within ${timeoutMs} ms: ${what()}; ${requests.length} requests so far`));
      }, timeoutMs);
      waiters.add(waiter);
    });

  return {
    url: `http://127.0.0.1:${listeningOn}`,
    requests,
    reply: (...replies) => {
      anywhere.splice(0, anywhere.length, ...replies);
    },
    replyAt: (path, ...replies) => {
      byPath.set(path, [...replies]);
    },
    received: async (count, options = {}) => {
      await until(() => requests.length >= count, () => `${count} requests`, options);
      return requests.slice(0, count);
    },
    waitFor: async (predicate, options = {}) => {
      let found: Received | undefined;
      let seen = 0;
      const isMet = () => {
        // Each request is looked at once, however many come; `clear` may have taken some away.
        seen = Math.min(seen, requests.length);
        for (; found === undefined && seen < requests.length; seen += 1) found = requests.slice(seen, seen + 1).find(predicate);
        return found !== undefined;
      };
      await until(isMet, () => 'the request that is waited for', options);
      return found as unknown as Received;
    },
    verify: (request, secret) => verifySignature(request.headers, request.body, secret),
    clear: () => {
      requests.length = 0;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
