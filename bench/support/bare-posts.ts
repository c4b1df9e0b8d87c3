/**
 * What signing and sending cost at least: undici's dispatch and an HMAC for each request, with nothing of ours in the process.
 * `node bare-posts.ts <url> <warm-up requests> <requests> <at a time> [requests a second]`; without a rate, as fast as it goes. Answers by one line of JSON.
 */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { Agent, type Dispatcher } from 'undici';
import { atRate, kilobyte } from './measure.ts';

const [url = '', warmUp = '0', count = '0', atATime = '1', perSecond = '0'] = process.argv.slice(2);
const { origin } = new URL(url);
const agent = new Agent({ connections: Number(atATime), pipelining: 1 });
const key = createSecretKey(randomBytes(32));
const data = JSON.stringify(kilobyte);

const send = (n: number, onEnd: () => void, onError: (error: Error) => void): void => {
  const timestamp = String(Math.floor(Date.now() / 1_000));
  const body = Buffer.from(`{"type":"bench","timestamp":"${new Date().toISOString()}","data":${data}}`);
  const signature = createHmac('sha256', key).update(`evt_${n}.${timestamp}.`).update(body).digest('base64');
  const headers = ['content-type', 'application/json', 'webhook-id', `evt_${n}`, 'webhook-timestamp', timestamp, 'webhook-signature', `v1,${signature}`];
  const handler: Dispatcher.DispatchHandler = {
    onRequestStart: () => undefined,
    onResponseStart: () => undefined,
    onResponseData: () => undefined,
    onResponseEnd: onEnd,
    onResponseError: (_, error) => onError(error),
  };
  agent.dispatch({ origin, path: '/', method: 'POST', headers, body }, handler);
};

/** Resolves when `total` requests have been answered, so many of them at a time. */
const atOnce = (total: number): Promise<void> =>
  new Promise((resolve, reject) => {
    let [sent, done] = [0, 0];
    const next = (): void => {
      if (sent === total) return;
      sent += 1;
      send(sent, ended, reject);
    };
    const ended = (): void => {
      done += 1;
      if (done === total) resolve();
      else next();
    };
    for (let n = 0; n < Number(atATime); n += 1) next();
  });

const post = (total: number): Promise<void> =>
  Number(perSecond) === 0 ? atOnce(total) : atRate(Number(perSecond), total, (n) => new Promise<void>((resolve, reject) => send(n, resolve, reject)));

await atOnce(Number(warmUp));
const startedMs = performance.now();
const cpu = process.cpuUsage();
await post(Number(count));
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - startedMs) / 1_000, cpuSeconds: (user + system) / 1e6 })}\n`);
await agent.close();
