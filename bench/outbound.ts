/**
 * What leaving the house costs: `outbound cost`, `outbound connect`, `outbound http2` and `outbound origins [number]`. Receivers run in a process of their own; all
 * addresses are loopback.
 */
import { execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HttpSender, parseCidrs, type HttpRequest } from '@posthorn/egress';
import { Agent, type Dispatcher } from 'undici';
import { milliseconds, say } from './support/measure.ts';

type Ports = { readonly plain: number; readonly secure: number };

const [part = 'cost', argument] = process.argv.slice(2);
const body = Buffer.from(JSON.stringify({ text: 'x'.repeat(980), n: 1 }));
const headers = ['content-type', 'application/json', 'webhook-id', 'evt_1', 'webhook-timestamp', '1614265330', 'user-agent', 'bench'];
const policy = { allowHttp: true, allowedAddresses: parseCidrs('127.0.0.0/8, ::1/128') };

/** In the other process: answers 204, over http and over https with HTTP/2 as well as 1.1. `/close` ends the connection with the answer. */
const receive = async (): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'outbound-'));
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
  const request = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ${key} -out ${cert} -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost`;
  execFileSync('openssl', request.split(' '), { stdio: 'ignore' });
  const plain = createServer({ keepAliveTimeout: 0 }, (incoming, response) => {
    incoming.resume().on('end', () => response.writeHead(204, incoming.url === '/close' ? { connection: 'close' } : {}).end());
  });
  plain.listen(0, '0.0.0.0', 65_535);
  const secure = createSecureServer({ key: readFileSync(key), cert: readFileSync(cert), allowHTTP1: true }, (incoming, response) => {
    incoming.resume().on('end', () => response.writeHead(204).end());
  });
  secure.listen(0, '127.0.0.1');
  await Promise.all([once(plain, 'listening'), once(secure, 'listening')]);
  rmSync(dir, { recursive: true });
  process.on('disconnect', () => process.exit());
  process.send?.({ plain: (plain.address() as AddressInfo).port, secure: (secure.address() as AddressInfo).port } satisfies Ports);
};

/** Resolves when `count` requests have been made, `concurrency` at a time. */
const repeat = async (count: number, concurrency: number, make: (n: number) => Promise<unknown>): Promise<void> => {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await make(next++);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
};

/** Microseconds of this process's CPU, and of time, for each. */
const measured = async (count: number, concurrency: number, make: (n: number) => Promise<unknown>): Promise<string> => {
  await repeat(Math.ceil(count / 4), concurrency, make);
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await repeat(count, concurrency, make);
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedMs) / 1_000;
  return `${((user + system) / count).toFixed(1)} µs CPU, ${Math.round(count / seconds)}/s`;
};

const handler = (resolve: (value: unknown) => void, reject: (error: Error) => void): Dispatcher.DispatchHandler => ({
  onRequestStart: () => undefined,
  onResponseStart: () => undefined,
  onResponseData: () => undefined,
  onResponseEnd: resolve,
  onResponseError: (_, error) => reject(error),
});

const bare = (agent: Dispatcher, origin: string) => (): Promise<unknown> =>
  new Promise((resolve, reject) => agent.dispatch({ origin, path: '/', method: 'POST', headers, body }, handler(resolve, reject)));

const sending = (sender: HttpSender, urlOf: (n: number) => string) => async (n: number): Promise<number> => {
  const request: HttpRequest = { url: urlOf(n), headers, body, timeoutMs: 15_000 };
  const { failure, durationMs } = await sender.send(request);
  if (failure !== undefined) throw new Error(`${failure.code}: ${failure.message}`);
  return durationMs;
};

const cost = async ({ plain }: Ports): Promise<void> => {
  const origin = `http://127.0.0.1:${plain}`;
  for (let round = 0; round < 3; round++) {
    const agent = new Agent({ pipelining: 1, headersTimeout: 0, bodyTimeout: 0 });
    say(`bare undici   ${await measured(40_000, 64, bare(agent, origin))}`);
    await agent.close();
    const sender = new HttpSender({ policy });
    say(`HttpSender    ${await measured(40_000, 64, sending(sender, () => `${origin}/`))}`);
    await sender.close();
  }
};

const connect = async ({ plain }: Ports): Promise<void> => {
  for (const [what, host] of [['an address', '127.0.0.1'], ['a name', 'localhost']] as const) {
    const sender = new HttpSender({ policy });
    say(`a connection to ${what}   ${await measured(8_000, 16, sending(sender, () => `http://${host}:${plain}/close`))}`);
    await sender.close();
  }
};

const http2 = async ({ secure }: Ports): Promise<void> => {
  const origin = `https://localhost:${secure}`;
  for (const streams of [10, 100]) {
    for (const [what, allowH2, connections] of [['HTTP/1.1', false, undefined], ['HTTP/2, one connection', true, 1]] as const) {
      const agent = new Agent({ allowH2, pipelining: allowH2 ? streams : 1, ...(connections && { connections }), connect: { rejectUnauthorized: false }, headersTimeout: 0, bodyTimeout: 0 });
      say(`${streams} at a time, ${what}   ${await measured(20_000, streams, bare(agent, origin))}`);
      await agent.close();
    }
  }
};

const openFiles = (): number => readdirSync('/proc/self/fd').length;
const megabytes = (): number => Math.round(process.memoryUsage().rss / 1024 ** 2);

/** Each loopback address is an origin. */
const origins = async ({ plain }: Ports, count: number): Promise<void> => {
  const urlOf = (n: number): string => `http://127.${1 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}:${plain}/`;
  const sender = new HttpSender({ policy });
  const before = megabytes();
  const most = { files: 0, megabytes: 0 };
  const watch = setInterval(() => {
    most.files = Math.max(most.files, openFiles());
    most.megabytes = Math.max(most.megabytes, megabytes());
  }, 100);
  const durations: number[] = [];
  const send = sending(sender, urlOf);
  const startedMs = performance.now();
  await repeat(count, 1_000, async (n) => durations.push(await send(n)));
  clearInterval(watch);
  say(`${count} origins in ${((performance.now() - startedMs) / 1_000).toFixed(1)} s; ${milliseconds(durations)}`);
  say(`open files at most ${most.files}; RSS ${before} MB before, ${most.megabytes} MB at most; ${sender.origins} origins with a connection at the end`);
  await sender.close();
};

if (part === 'receive') {
  await receive();
} else {
  const receiver: ChildProcess = fork(import.meta.filename, ['receive']);
  const [ports] = (await once(receiver, 'message')) as [Ports];
  if (part === 'cost') await cost(ports);
  if (part === 'connect') await connect(ports);
  if (part === 'http2') await http2(ports);
  if (part === 'origins') await origins(ports, Number(argument ?? 10_000));
  receiver.disconnect();
}
