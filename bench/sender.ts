/**
 * The sender, with the delay wheel that it postpones to, as a process of its own: a backlog of requests of 1 KB in Kafka, signed and sent to one and to many subscriptions, every outcome
 * produced; next to a loop that only signs and sends, in the same run, to the same receiver. `npm run bench sender [deliveries] [subscriptions]`
 */
import { execFile, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { frame, partitionOf, POSITION_HEADER, SCHEMA_HEADER, SCHEMA_VERSION, type RequestedHead, type SubscriptionState } from '@posthorn/contracts';
import { Kafka } from '@posthorn/kafka';
import { encryptionKeys } from '@posthorn/service-kit';
import { eventually } from '@posthorn/testkit';
import { startAlone } from './support/alone.ts';
import { kilobyte, percentile, say } from './support/measure.ts';

const deliveries = Number(process.argv[2] ?? 100_000);
const many = Number(process.argv[3] ?? 10_000);
const AIM = { perSecond: 10_000, timesBare: 1.8, rssBytes: 300e6 };
const CONCURRENCY = 100;
const WARM_UP = 20_000;
const BARE_RUNS = 3;
const BARE_WARM_UP = 10_000;
/** Written so many at a time: the producer's memory would otherwise be what is measured. */
const BATCH = 5_000;
const LOOK_EVERY_MS = 20;

type Told = { readonly port: number; readonly answered: number };

const receiver = fork(join(import.meta.dirname, 'support/sink.ts'));
let told: Told = { port: 0, answered: 0 };
receiver.on('message', (message) => {
  told = message as Told; // what sink.ts sends
});
await eventually(() => told.port > 0);
const url = `http://127.0.0.1:${told.port}/`;

const sender = await startAlone('dispatcher', {
  POSTHORN_DISPATCHER_ROLES: 'sender,delay',
  POSTHORN_EGRESS_ALLOW_HTTP: 'true',
  POSTHORN_EGRESS_ALLOW_CIDRS: '127.0.0.0/8',
});
const ignore = (): void => {};
const kafka = new Kafka(
  { brokers: sender.stack.brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: 'posthorn' },
  { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
);
const producer = await kafka.producer();
const partitions = await kafka.partitions(kafka.topic('deliveries.requested'));
const box = encryptionKeys.parse(sender.env['POSTHORN_ENCRYPTION_KEYS']);
const data = Buffer.from(JSON.stringify(kilobyte));
const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };
const at = new Date().toISOString();

let position = 0;
const subscribe = async (id: string): Promise<void> => {
  position += 1;
  const state: SubscriptionState = {
    kind: 'subscription',
    id,
    tenant: 'default',
    name: id,
    type: 'rest',
    url,
    event_types: ['bench'],
    enabled: true,
    enabled_since: at,
    payload: { format: 'standard' },
    authentication: { type: 'none' },
    headers: {},
    policy: { timeout_ms: 15_000, max_concurrency: CONCURRENCY, ordering: 'none', disable_after_ms: 0 },
    metadata: {},
    signing_secrets: [{ scheme: 'v1', ...box.encrypt(`whsec_${randomBytes(32).toString('base64')}`) }],
    created_at: at,
    updated_at: at,
  };
  const value = JSON.stringify({ position, version: 1, state });
  await producer.send({ topic: kafka.topic('registry.state'), key: id, value, headers: { ...headers, kind: state.kind, [POSITION_HEADER]: String(position) } });
};

/** As the router writes them: one subscription each. */
const request = (run: string, n: number, subscription: string): Promise<void> => {
  const now = new Date().toISOString();
  const event = { specversion: '1.0', id: `${run}-${n}`, tenant: 'default', type: 'bench', source: '/bench', time: now, acceptedtime: now } as const;
  const head: RequestedHead = { event, subscriptions: [subscription], position, round: 0, number: 1, trigger: 'first' };
  const partition = partitionOf(subscription, partitions);
  return producer.send({ topic: kafka.topic('deliveries.requested'), partition, key: String(partition), value: frame(head, data), headers });
};

const write = async (run: string, count: number, subscriptions: readonly string[]): Promise<void> => {
  for (let from = 0; from < count; from += BATCH) {
    await Promise.all(Array.from({ length: Math.min(BATCH, count - from) }, (_, n) => request(run, from + n, subscriptions[(from + n) % subscriptions.length] ?? '')));
  }
};

const counted = async (name: string): Promise<number> => {
  const lines = (await sender.metrics()).split('\n').filter((line) => line.startsWith(name));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
};

type Bare = { readonly seconds: number; readonly cpuSeconds: number };
/** The middle one of some runs. */
const bareMicros = async (): Promise<number> => {
  const script = join(import.meta.dirname, 'support/bare-posts.ts');
  const count = Math.min(deliveries, 50_000);
  const target = told.answered + BARE_RUNS * (BARE_WARM_UP + count);
  const micros: number[] = [];
  for (let run = 0; run < BARE_RUNS; run += 1) {
    const { stdout } = await promisify(execFile)(process.execPath, [script, url, String(BARE_WARM_UP), String(count), String(CONCURRENCY)]);
    micros.push(((JSON.parse(stdout) as Bare).cpuSeconds / count) * 1e6);
  }
  // The receiver tells of them a little later.
  await eventually(() => told.answered === target);
  return percentile(micros, 0.5);
};

const aim = (isMet: boolean, words: string): string => `(aim: ${words}${isMet ? '' : ', missed'})`;
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

/** Lets a backlog go, and watches until all of it has been received. */
const drain = async (name: string, count: number, subscriptions: readonly string[]) => {
  const before = told.answered;
  const postponedBefore = await counted('posthorn_sender_postponed_total');
  sender.hold();
  await write(name, count, subscriptions);
  const used = sender.usage();
  const startedMs = performance.now();
  sender.release();
  let rssBytes = 0;
  await eventually(
    () => {
      rssBytes = Math.max(rssBytes, sender.usage().rssBytes);
      return told.answered - before >= count;
    },
    { timeoutMs: 1_200_000, everyMs: LOOK_EVERY_MS, describe: () => `${count - (told.answered - before)} deliveries are missing` },
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  const cpuSeconds = sender.usage().cpuSeconds - used.cpuSeconds;
  return { seconds, cpuSeconds, rssBytes, postponed: (await counted('posthorn_sender_postponed_total')) - postponedBefore };
};

const subscriptions = Array.from({ length: many }, (_, n) => `sub_${String(n).padStart(8, '0')}`);
await Promise.all(subscriptions.map(subscribe));
await drain('warm', WARM_UP, subscriptions.slice(0, 1));

say(`The sender, and the delay wheel beside it, in a process of their own, ${deliveries.toLocaleString('en')} deliveries of 1 KB from a backlog in Kafka, ${partitions} partitions; Kafka, receiver and this program on the same machine`);
const bare = await bareMicros();
say(`  bare loop: sign and POST, ${CONCURRENCY} at a time   ${bare.toFixed(1)} µs CPU each`);
for (const count of [1, 100, many]) {
  const { seconds, cpuSeconds, rssBytes, postponed } = await drain(`to-${count}`, deliveries, subscriptions.slice(0, count));
  const micros = (cpuSeconds / deliveries) * 1e6;
  const perSecond = deliveries / seconds;
  say(`  to ${count.toLocaleString('en')} ${count === 1 ? 'subscription' : 'subscriptions'}`);
  say(`    ${Math.round(perSecond).toLocaleString('en')} deliveries/s   ${aim(perSecond >= AIM.perSecond, `${AIM.perSecond}/s`)}; ${Math.round(deliveries / cpuSeconds).toLocaleString('en')} for each second of CPU`);
  say(`    ${micros.toFixed(1)} µs CPU each, ${(micros / bare).toFixed(2)} times the bare loop   ${aim(micros <= AIM.timesBare * bare, `${AIM.timesBare} times`)}`);
  say(`    ${mebibytes(rssBytes)} at most   ${aim(rssBytes <= AIM.rssBytes, '300 MB')}; ${postponed} postponed`);
}
say(`  bare loop again   ${(await bareMicros()).toFixed(1)} µs CPU each`);

await producer.close();
await kafka.close();
await sender.stop();
receiver.disconnect();
