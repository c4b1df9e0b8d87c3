import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The value that `share` of the values do not exceed (nearest rank). */
export const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
};

export const milliseconds = (values: readonly number[]): string =>
  [0.5, 0.9, 0.99, 1]
    .map((share) => `${share === 1 ? 'max' : `p${share * 100}`} ${percentile(values, share).toFixed(1)} ms`)
    .join('   ');

export const say = (line = ''): void => void process.stdout.write(`${line}\n`);

/** Answers 204 to everything and tells the `webhook-id` of each request. */
export const startSink = async (onRequest: (id: string) => void) => {
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => {
      onRequest(String(request.headers['webhook-id'] ?? ''));
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
};

/**
 * At its rate whatever the answers take, because to wait for them would hide the slow ones; as far as a timer of whole milliseconds goes. Resolves when
 * all have been answered.
 */
export const atRate = async (perSecond: number, count: number, each: (n: number) => Promise<unknown>): Promise<void> => {
  const startMs = performance.now();
  const answers: Promise<unknown>[] = [];
  while (answers.length < count) {
    const waitMs = startMs + (answers.length * 1_000) / perSecond - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
    answers.push(each(answers.length));
  }
  await Promise.all(answers);
};

/** About a kilobyte of JSON. */
export const kilobyte = { text: 'x'.repeat(980), n: 1 };
