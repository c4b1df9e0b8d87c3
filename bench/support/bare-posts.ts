/**
 * What signing and sending cost at least: undici's dispatch and an HMAC for each request, with nothing of ours in the process.
 * `node bare-posts.ts <url> <warm-up requests> <requests> <at a time>`; answers by one line of JSON.
 */
import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { Agent, type Dispatcher } from 'undici';
import { kilobyte } from './measure.ts';

const [url = '', warmUp = '0', count = '0', atATime = '1'] = process.argv.slice(2);
const { origin } = new URL(url);
const agent = new Agent({ connections: Number(atATime), pipelining: 1 });
const key = createSecretKey(randomBytes(32));
const data = JSON.stringify(kilobyte);

/** Resolves when `total` requests have been answered. */
const post = (total: number): Promise<void> =>
  new Promise((resolve, reject) => {
    let [sent, done] = [0, 0];
    const next = (): void => {
      if (sent === total) return;
      sent += 1;
      const timestamp = String(Math.floor(Date.now() / 1_000));
      const body = Buffer.from(`{"type":"bench","timestamp":"${new Date().toISOString()}","data":${data}}`);
      const signature = createHmac('sha256', key).update(`evt_${sent}.${timestamp}.`).update(body).digest('base64');
      const headers = ['content-type', 'application/json', 'webhook-id', `evt_${sent}`, 'webhook-timestamp', timestamp, 'webhook-signature', `v1,${signature}`];
      agent.dispatch({ origin, path: '/', method: 'POST', headers, body }, handler);
    };
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart: () => undefined,
      onResponseStart: () => undefined,
      onResponseData: () => undefined,
      onResponseEnd: () => {
        done += 1;
        if (done === total) resolve();
        else next();
      },
      onResponseError: (_, error) => reject(error),
    };
    for (let n = 0; n < Number(atATime); n += 1) next();
  });

await post(Number(warmUp));
const startedMs = performance.now();
const cpu = process.cpuUsage();
await post(Number(count));
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - startedMs) / 1_000, cpuSeconds: (user + system) / 1e6 })}\n`);
await agent.close();
