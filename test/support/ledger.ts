import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the subscriber's side saw it. */
export type Entry = {
  readonly path: string;
  /** The `webhook-id`: the event's. */
  readonly id: string;
  /** Wall clock, when its headers had come. */
  readonly atMs: number;
  /** Requests to this path under way at that moment, this one included. */
  readonly underWay: number;
  readonly status: number;
};

export type Answer = { readonly status: number; readonly delayMs?: number; readonly headers?: Readonly<Record<string, string>> };

/** @param times this event has come to this path before */
export type Answering = (path: string, id: string, times: number) => Answer;

export type Ledger = {
  /** Without a trailing slash: a path can be appended. */
  readonly url: string;
  readonly entries: readonly Entry[];
  /** Different events that have come to these paths, or to any. */
  count(isMeant?: (path: string) => boolean): number;
  /** How often each event came to each path, by `path id`. */
  times(): ReadonlyMap<string, number>;
  clear(): void;
  close(): Promise<void>;
};

const end = (response: ServerResponse, { status, headers = {} }: Answer): void => void response.writeHead(status, headers).end();

/** Subscribers by the thousand in one server: writes down every request, keeps no body, and knows how many are under way at a time. */
export const startLedger = async (answerTo: Answering): Promise<Ledger> => {
  const entries: Entry[] = [];
  const times = new Map<string, number>();
  const underWay = new Map<string, number>();

  const record = (path: string, id: string): Answer => {
    const key = `${path} ${id}`;
    const before = times.get(key) ?? 0;
    times.set(key, before + 1);
    const answer = answerTo(path, id, before);
    entries.push({ path, id, atMs: Date.now(), underWay: underWay.get(path) ?? 0, status: answer.status });
    return answer;
  };

  const server = createServer((request, response) => {
    const path = request.url ?? '';
    underWay.set(path, (underWay.get(path) ?? 0) + 1);
    response.once('close', () => void underWay.set(path, (underWay.get(path) ?? 0) - 1));
    const answer = record(path, String(request.headers['webhook-id'] ?? ''));
    request.resume().once('end', () => {
      if (!answer.delayMs) return end(response, answer);
      const timer = setTimeout(() => end(response, answer), answer.delayMs);
      response.once('close', () => clearTimeout(timer));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', resolve);
  });

  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    entries,
    count: (isMeant) => {
      if (isMeant === undefined) return times.size;
      let count = 0;
      for (const key of times.keys()) if (isMeant(key.slice(0, key.indexOf(' ')))) count += 1;
      return count;
    },
    times: () => times,
    clear: () => {
      entries.length = 0;
      times.clear();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
};
