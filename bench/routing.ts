/**
 * The dispatcher, all roles in one process, with many subscriptions: how long it reads them at its start, what they weigh there, what
 * looking one event up takes, and how soon a change counts. `npm run bench routing [subscriptions] [tenants]`. The states are written into
 * `registry.state` as the registry would; nothing is delivered.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { frame, POSITION_HEADER, REGISTRY_POSITION_HEADER, SCHEMA_HEADER, SCHEMA_VERSION, type Envelope, type Routed, type SubscriptionState } from '@posthorn/contracts';
import { Kafka } from '@posthorn/kafka';
import { repositoryRoot } from '@posthorn/testkit';
import { startAlone } from './support/alone.ts';
import { milliseconds, percentile, say } from './support/measure.ts';

const subscriptions = Number(process.argv[2] ?? 1_000_000);
const tenants = Number(process.argv[3] ?? 10_000);
const AIM = { rssBytes: 1e9, coldStartSeconds: 60, lookupMicros: 20, visibleMs: 50 };
const WRITTEN_AT_ONCE = 20_000;
const CHANGES = 300;
/** How often the process is asked how it is while it reads. */
const HEALTH_EVERY_MS = 50;

const dispatcher = await startAlone('dispatcher');
const ignore = (): void => {};
const kafka = new Kafka(
  { brokers: dispatcher.stack.brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: 'posthorn' },
  { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
);
const producer = await kafka.producer();

const at = new Date().toISOString();
/** As large as those that the registry's own benchmark makes. */
const stateOf = (n: number, tenant: string, eventTypes: string[]): SubscriptionState => ({
  kind: 'subscription',
  id: `sub_${n.toString(16).padStart(12, '0')}${(Math.imul(n, 0x9e3779b1) >>> 0).toString(16).padStart(20, '0')}`,
  tenant,
  name: `Orders to warehouse ${n}`,
  type: 'rest',
  url: `https://hooks.example.com/in/${n}`,
  event_types: eventTypes,
  ...(n % 20 === 0 && { filter: `data.amount > ${n % 1_000}` }),
  enabled: n % 50 !== 0,
  enabled_since: at,
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: {},
  policy: { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 432_000_000 },
  metadata: { customer: `c${n % 1_000}`, region: n % 2 === 0 ? 'eu' : 'us' },
  // As long as a secret of 24 bytes is when it is encrypted; nobody decrypts it here.
  signing_secrets: [{ scheme: 'v1', key_id: 'k1', ciphertext: Buffer.alloc(66, n).toString('base64') }],
  created_at: at,
  updated_at: at,
});

let position = 0;
const writeState = (state: SubscriptionState): Promise<void> => {
  position += 1;
  return producer.send({
    topic: kafka.topic('registry.state'),
    key: state.id,
    value: JSON.stringify({ position, version: 1, state }),
    headers: { [SCHEMA_HEADER]: SCHEMA_VERSION, kind: state.kind, [POSITION_HEADER]: String(position) },
  });
};

const aim = (isMet: boolean, words: string): string => `(aim: ${words}${isMet ? '' : ', missed'})`;
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20).toLocaleString('en')} MiB`;

say(`${subscriptions.toLocaleString('en')} subscriptions in ${tenants.toLocaleString('en')} tenants; the dispatcher with all its roles, Kafka and this program on the same machine`);

const writingMs = performance.now();
for (let from = 0; from < subscriptions; from += WRITTEN_AT_ONCE) {
  const count = Math.min(WRITTEN_AT_ONCE, subscriptions - from);
  await Promise.all(
    Array.from({ length: count }, (_, n) => writeState(stateOf(from + n, `t${(from + n) % tenants}`, (from + n) % 10 === 0 ? ['*'] : ['order.created', `invoice.${n % 50}.*`]))),
  );
}
say(`  written to registry.state in ${((performance.now() - writingMs) / 1_000).toFixed(1)} s`);

/** Asks again and again how the process is, and tells how long it took to answer. */
const watchHealth = () => {
  const times: number[] = [];
  const origin = `http://127.0.0.1:${dispatcher.env['PORT']}`;
  const ask = async (): Promise<void> => {
    const startedMs = performance.now();
    const answer = await fetch(`${origin}/healthz`).catch(() => undefined);
    if (answer?.ok === true) times.push(performance.now() - startedMs);
  };
  const timer = setInterval(() => void ask(), HEALTH_EVERY_MS);
  return () => {
    clearInterval(timer);
    return times;
  };
};
const healthTimes = watchHealth();
const seconds = await dispatcher.restart();
say(`  cold start           ${seconds.toFixed(1)} s until ready   ${aim(seconds <= AIM.coldStartSeconds, `${AIM.coldStartSeconds} s`)}`);
say(`  /healthz meanwhile   ${milliseconds(healthTimes())}`);
const { rssBytes, cpuSeconds } = dispatcher.usage();
say(`  resident             ${mebibytes(rssBytes)}   ${aim(rssBytes <= AIM.rssBytes, '1 GB')}`);
say(`  CPU of the start     ${((cpuSeconds / subscriptions) * 1e6).toFixed(1)} µs a subscription`);

type Cost = { readonly lookupMicros: number; readonly found: number; readonly changeMicros: number; readonly bytesEach: number };
const costOfLookups = (count: number): Cost => {
  const script = join(repositoryRoot, 'apps/dispatcher/test/lookup-cost.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--expose-gc', '--max-old-space-size=4096', script, String(count)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script} ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Cost;
};
for (const count of [1_000, subscriptions]) {
  const { lookupMicros, found, changeMicros, bytesEach } = costOfLookups(count);
  say(
    `  lookup among ${count.toLocaleString('en').padStart(9)}   ${lookupMicros.toFixed(1)} µs CPU, ${found} found   ${aim(lookupMicros <= AIM.lookupMicros, `${AIM.lookupMicros} µs`)}; a change among 100,000 of one type ${changeMicros.toFixed(1)} µs CPU; ${Math.round(bytesEach)} bytes each`,
  );
}

/** By event id: called when its decision is in Kafka. */
const decided = new Map<string, () => void>();
await kafka.follow({
  topic: kafka.topic('deliveries.routed'),
  onRecord: ({ value }) => decided.get((JSON.parse(String(value)) as Routed).event_id)?.(),
});
let events = 0;
/** Milliseconds until an event that shall see this position is decided about. */
const timeToDecide = async (needed: number): Promise<number> => {
  events += 1;
  const id = `bench-${events}`;
  const now = new Date().toISOString();
  const event: Envelope = { specversion: '1.0', id, tenant: 'bench', type: 'bench.change', source: '/bench', time: now, acceptedtime: now };
  const startedMs = performance.now();
  const whenDecided = new Promise<number>((resolve) => decided.set(id, () => resolve(performance.now() - startedMs)));
  await producer.send({
    topic: kafka.topic('events.accepted'),
    key: id,
    value: frame(event, Buffer.from('null')),
    headers: { [SCHEMA_HEADER]: SCHEMA_VERSION, [REGISTRY_POSITION_HEADER]: String(needed) },
  });
  const ms = await whenDecided;
  decided.delete(id);
  return ms;
};
const bare: number[] = [];
const changed: number[] = [];
for (let n = 0; n < CHANGES; n += 1) {
  bare.push(await timeToDecide(0));
  // Of another tenant than the events: what is taken is the time until it counts, and nothing is delivered.
  await writeState(stateOf(subscriptions + n, 't0', ['order.created']));
  changed.push(await timeToDecide(position));
}
const warm = CHANGES / 10;
const changedMs = changed.slice(warm);
say(`  event in, decision out                        ${milliseconds(bare.slice(warm))}`);
say(`  the same right after a change that it must see ${milliseconds(changedMs)}   ${aim(percentile(changedMs, 0.99) <= AIM.visibleMs, `${AIM.visibleMs} ms`)}`);

await kafka.close();
await dispatcher.stop();
