/**
 * The registry with many subscriptions: how fast they are made, got, listed, searched, rebuilt, and what they weigh.
 * `npm run bench registry [subscriptions] [tenants]`. Half of the subscriptions belong to one tenant in a hundred, made 1,000 a call;
 * the others are spread over the rest.
 */
import { Client } from 'pg';
import { milliseconds, percentile, say } from './support/measure.ts';
import { startRegistry } from './support/registry.ts';

const subscriptions = Number(process.argv[2] ?? 1_000_000);
const tenants = Number(process.argv[3] ?? 10_000);
const large = Math.max(1, Math.round(tenants / 100));
const BATCH = 1_000;
const WRITERS = 4;
const READS = 3_000;
/** Share of the subscriptions that reads choose from. */
const SAMPLED = Math.min(1, 50_000 / subscriptions);

const registry = await startRegistry();
const database = new Client(registry.stack.databaseUrl);
await database.connect();

const tenantName = (n: number): string => `t${String(n).padStart(6, '0')}`;
const subscriptionBody = (n: number) => ({
  name: `Orders to warehouse ${n}`,
  url: `https://hooks.example.com/in/${n}`,
  event_types: n % 10 === 0 ? ['*'] : [`order.created`, `invoice.${n % 50}.*`],
  metadata: { customer: `c${n % 1_000}`, region: n % 2 === 0 ? 'eu' : 'us' },
});

/** Runs the work of all items, so many at a time. */
const inParallel = async <T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<number> => {
  const startedMs = performance.now();
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item);
    }),
  );
  return (performance.now() - startedMs) / 1_000;
};

const perSecond = (count: number, seconds: number): string => `${Math.round(count / seconds).toLocaleString('en')}/s`;
const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20).toLocaleString('en')} MiB`;
const aBit = (line: string): void => say(`  ${line}`);

say(`${subscriptions.toLocaleString('en')} subscriptions in ${tenants.toLocaleString('en')} tenants; Kafka, PostgreSQL and this program on the same machine`);

const names = Array.from({ length: tenants }, (_, n) => tenantName(n));
const tenantSeconds = await inParallel(names, 32, async (id) => void (await registry.call('POST', '/v1/tenants', { id })));
say('Making them, each answered when it is in registry.state');
aBit(`tenants one a call, 32 at a time   ${perSecond(tenants, tenantSeconds)}`);

type Batch = { readonly tenant: string; readonly from: number; readonly size: number };
const batchesOf = (owners: readonly string[], total: number, from: number): readonly Batch[] => {
  const each = Math.ceil(total / owners.length);
  return owners.flatMap((tenant, owner) => {
    const mine = Math.max(0, Math.min(each, total - owner * each));
    return Array.from({ length: Math.ceil(mine / BATCH) }, (_, n) => ({
      tenant,
      from: from + owner * each + n * BATCH,
      size: Math.min(BATCH, mine - n * BATCH),
    }));
  });
};
const ids: { readonly tenant: string; readonly id: string }[] = [];
const make = async ({ tenant, from, size }: Batch): Promise<void> => {
  const bodies = Array.from({ length: size }, (_, n) => subscriptionBody(from + n));
  const { body } = await registry.call<{ results: readonly { id?: string }[] }>('POST', `/v1/tenants/${tenant}/subscriptions/batch`, { subscriptions: bodies });
  for (const { id } of body.results) {
    if (id === undefined) throw new Error(`a subscription was refused: ${JSON.stringify(body.results.find((result) => result.id === undefined))}`);
    if (Math.random() < SAMPLED) ids.push({ tenant, id });
  }
};
const half = Math.floor(subscriptions / 2);
const toLarge = batchesOf(names.slice(0, large), half, 0);
const toSmall = batchesOf(names.slice(large), subscriptions - half, half);
const largeSeconds = await inParallel(toLarge, WRITERS, make);
aBit(`batches of up to ${BATCH}, ${WRITERS} at a time   ${perSecond(half, largeSeconds)}`);
const smallSeconds = await inParallel(toSmall, WRITERS, make);
aBit(`batches of ${toSmall[0]?.size ?? 0}, ${WRITERS} at a time   ${perSecond(subscriptions - half, smallSeconds)}`);
aBit(`all batches   ${perSecond(subscriptions, largeSeconds + smallSeconds)}`);
const singles: number[] = [];
const bigTenant = tenantName(0);
const singleSeconds = await inParallel(Array.from({ length: 1_000 }, (_, n) => n), 32, async (n) => {
  singles.push((await registry.call('POST', `/v1/tenants/${bigTenant}/subscriptions`, subscriptionBody(n))).ms);
});
aBit(`one a call, 32 at a time   ${perSecond(1_000, singleSeconds)}   ${milliseconds(singles)}`);
const afterWrites = registry.usage();
aBit(`the service: ${mebibytes(afterWrites.rssBytes)} resident, ${((afterWrites.cpuSeconds / subscriptions) * 1e6).toFixed(0)} µs CPU per subscription`);

const random = <T>(items: readonly T[]): T => {
  const item = items[Math.floor(Math.random() * items.length)];
  if (item === undefined) throw new Error('nothing to choose from');
  return item;
};
const timesOf = async (width: number, ask: () => Promise<{ readonly ms: number }>): Promise<readonly number[]> => {
  const times: number[] = [];
  await inParallel(Array.from({ length: READS }), width, async () => void times.push((await ask()).ms));
  return times.slice(READS / 10);
};

await database.query('analyze');
say(`Reading, ${READS.toLocaleString('en')} each`);
const deep = async () => {
  let token = '';
  for (let page = 0; page < 15; page += 1) {
    const { body } = await registry.call<{ next_page_token?: string }>('GET', `/v1/tenants/${bigTenant}/subscriptions?page_size=250${token}`);
    if (body.next_page_token === undefined) break;
    token = `&page_token=${encodeURIComponent(body.next_page_token)}`;
  }
  return token;
};
const deepToken = await deep();
const reads: readonly (readonly [string, () => string])[] = [
  ['get', () => { const { tenant, id } = random(ids); return `/v1/tenants/${tenant}/subscriptions/${id}`; }],
  ['first page of 50', () => `/v1/tenants/${random(ids).tenant}/subscriptions`],
  ['a late page of 50', () => `/v1/tenants/${bigTenant}/subscriptions?page_size=50${deepToken}`],
  ['by event type', () => `/v1/tenants/${random(ids).tenant}/subscriptions?event_type=order.created`],
  ['disabled ones (none)', () => `/v1/tenants/${random(ids).tenant}/subscriptions?enabled=false`],
  ['by part of the name', () => `/v1/tenants/${random(ids).tenant}/subscriptions?q=warehouse%20${Math.floor(Math.random() * subscriptions)}`],
];
for (const [name, path] of reads) {
  for (const width of [1, 16]) {
    const times = await timesOf(width, () => registry.call('GET', path()));
    aBit(`${name}, ${width} at a time`.padEnd(34) + milliseconds(times) + (percentile(times, 0.99) > 20 && width === 1 ? '   over the aim of 20 ms' : ''));
  }
}

say('Weight');
const { rows } = await database.query<{ name: string; bytes: string }>(
  `select relname as name, pg_total_relation_size(oid) as bytes from pg_class where relnamespace = 'registry'::regnamespace and relkind = 'r' order by 2 desc limit 3`,
);
for (const { name, bytes } of rows) aBit(`${name.padEnd(20)}${mebibytes(Number(bytes)).padStart(12)}   ${Math.round(Number(bytes) / subscriptions)} bytes per subscription`);

const { rows: counted } = await database.query<{ count: string }>('select count(*) from registry.events');
const events = Number(counted[0]?.count ?? 0);
say('Once more from the events');
const rebuilt = registry.command('rebuild');
aBit(`rebuild     ${rebuilt.seconds.toFixed(1)} s   ${perSecond(events, rebuilt.seconds)}   ${rebuilt.lastLine}`);
const verified = registry.command('rebuild', '--verify');
aBit(`verify      ${verified.seconds.toFixed(1)} s   ${perSecond(events, verified.seconds)}   ${verified.lastLine}`);
const republished = registry.command('republish');
aBit(`republish   ${republished.seconds.toFixed(1)} s   ${perSecond(events, republished.seconds)}   ${republished.lastLine}`);
aBit(`cold start  ${(await registry.restart()).toFixed(1)} s until ready`);

await database.end();
await registry.stop();
