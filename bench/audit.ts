/**
 * The audit alone: a backlog of outcomes in Kafka, 32 in a record, each the first attempt of a delivery, loaded into tables with all their indexes; next to a bare
 * COPY of the same rows into tables without any. Then the same with many rows on disk, and the searches that people make.
 * `npm run bench audit [attempts] [attempts on disk]`; 50,000,000 on disk take some 45 GB.
 */
import { hash } from 'node:crypto';
import { rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { deliveryId, SCHEMA_HEADER, SCHEMA_VERSION, type Attempted, type Outcome } from '@posthorn/contracts';
import { Kafka } from '@posthorn/kafka';
import { eventually } from '@posthorn/testkit';
import { Client } from 'pg';
import { startAlone } from './support/alone.ts';
import { makeHistory, SUBSCRIPTION_SQL, tenantName } from './support/history.ts';
import { percentile, say } from './support/measure.ts';
import { postgresCpuSeconds } from './support/postgres.ts';

const attempts = Number(process.argv[2] ?? 200_000);
const onDisk = Number(process.argv[3] ?? 1_000_000);
const AIM = { perSecond: 20_000, slowdown: 0.2, searchMs: 100 };
const PACK = 32;
const WARM_UP = 20_000;
/** Records written at a time. */
const BATCH = 1_000;
/** Looking costs the service something: it collects all its metrics. */
const LOOK_EVERY_MS = 200;
const SEARCHES = 300;
/** Roughly, with indexes, an attempt and its share of a delivery and an event. */
const BYTES_ON_DISK = 1_000;

const audit = await startAlone('delivery-audit');
const free = statfsSync(audit.dir);
if (free.bavail * free.bsize < onDisk * BYTES_ON_DISK) throw new Error(`${onDisk.toLocaleString('en')} attempts do not fit on this disk`);
const ignore = (): void => {};
const kafka = new Kafka(
  { brokers: audit.stack.brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: 'posthorn' },
  { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
);
const producer = await kafka.producer();
const database = new Client(audit.stack.databaseUrl);
await database.connect();

const number = (value: number): string => Math.round(value).toLocaleString('en');
const aim = (isMet: boolean, words: string): string => `(aim: ${words}${isMet ? '' : ', missed'})`;
const subscriptions = Array.from({ length: 200 }, (_, n) => `sub_${hash('md5', `s${n}`, 'hex')}`);

/** A delivered first attempt, as the sender tells of it. One in twenty is to be retried. */
const outcomeOf = (run: string, n: number): Outcome => {
  const tenant = tenantName(n);
  const event = `evt_${hash('md5', `${run}-${n}`, 'hex')}`;
  const subscription = subscriptions[n % subscriptions.length] ?? '';
  const at = new Date().toISOString();
  const isRetried = n % 20 === 0;
  return {
    delivery_id: deliveryId(tenant, event, subscription),
    tenant,
    event_id: event,
    event_type: 'invoice.paid',
    subject: `inv/${n % 100_000}`,
    accepted_at: at,
    subscription_id: subscription,
    round: 0,
    number: 1,
    trigger: 'first',
    subscription_version: 3,
    status: isRetried ? 'retrying' : 'delivered',
    at,
    ...(isRetried && { next_attempt_at: at }),
    attempt: {
      started_at: at,
      duration_ms: (n % 3_000) / 10,
      request: {
        url: `https://hooks.example.com/in/${n % 200}`,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'Posthorn/0.1.0',
          'webhook-id': event,
          'webhook-timestamp': String(Math.floor(Date.parse(at) / 1_000)),
          'webhook-signature': `v1,${hash('sha256', event, 'base64')}`,
        },
      },
      response: {
        status: isRetried ? 503 : 200,
        headers: { date: new Date(at).toUTCString(), 'content-type': 'application/json', 'content-length': '17', connection: 'keep-alive', server: 'nginx/1.24.0' },
        body: '{"received":true}',
        truncated: false,
      },
      ...(isRetried && { error: { code: 'bad_status' as const, message: 'answered 503' } }),
    },
  };
};

const write = async (run: string, count: number): Promise<void> => {
  const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };
  for (let from = 0; from < count; from += BATCH * PACK) {
    const packs = Array.from({ length: Math.ceil(Math.min(BATCH * PACK, count - from) / PACK) }, (_, pack) => from + pack * PACK);
    await Promise.all(
      packs.map((first) => {
        const outcomes = Array.from({ length: Math.min(PACK, count - first) }, (_, n) => outcomeOf(run, first + n));
        const value = JSON.stringify({ outcomes } satisfies Attempted);
        return producer.send({ topic: kafka.topic('deliveries.attempted'), key: subscriptions[first % subscriptions.length] ?? '', value, headers });
      }),
    );
  }
};

const recorded = async (): Promise<number> => {
  const [, count = '0'] = /posthorn_audit_rows_total\{kind="attempt"[^}]*\} (\d+)/.exec(await audit.metrics()) ?? [];
  return Number(count);
};

type Load = { readonly perSecond: number; readonly hereMicros: number; readonly postgresMicros: number; readonly rssBytes: number };

/** Lets a backlog go, and watches until all of it is committed. */
const load = async (run: string, count: number): Promise<Load> => {
  const before = await recorded();
  audit.hold();
  await write(run, count);
  const used = audit.usage();
  const usedByPostgres = postgresCpuSeconds(audit.dir);
  const startedMs = performance.now();
  audit.release();
  let rssBytes = 0;
  await eventually(
    async () => {
      rssBytes = Math.max(rssBytes, audit.usage().rssBytes);
      return (await recorded()) - before >= count;
    },
    { timeoutMs: 600_000, everyMs: LOOK_EVERY_MS, describe: () => 'outcomes are missing' },
  );
  const seconds = (performance.now() - startedMs) / 1_000;
  const micros = (cpuSeconds: number): number => (cpuSeconds / count) * 1e6;
  return {
    perSecond: count / seconds,
    hereMicros: micros(audit.usage().cpuSeconds - used.cpuSeconds),
    postgresMicros: micros(postgresCpuSeconds(audit.dir) - usedByPostgres),
    rssBytes,
  };
};

const tell = ({ perSecond, hereMicros, postgresMicros, rssBytes }: Load): void =>
  say(
    `  ${number(perSecond)} attempts/s ${aim(perSecond >= AIM.perSecond, `${number(AIM.perSecond)}/s`)}; CPU each ${hereMicros.toFixed(1)} µs here, ${postgresMicros.toFixed(1)} µs in PostgreSQL; ${number(rssBytes / 2 ** 20)} MiB at most`,
  );

/** Bytes of a table's partitions, and of their indexes. */
const weigh = async (table: string): Promise<{ readonly rows: number; readonly indexes: number }> => {
  const { rows } = await database.query<{ rows: string; indexes: string }>(
    `select sum(pg_table_size(inhrelid)) as rows, sum(pg_indexes_size(inhrelid)) as indexes from pg_inherits where inhparent = $1::regclass`,
    [`audit.${table}`],
  );
  return { rows: Number(rows[0]?.rows ?? 0), indexes: Number(rows[0]?.indexes ?? 0) };
};

/** The same rows, from files into tables that have nothing but columns. */
const bareCopy = async (count: number): Promise<{ readonly perSecond: number; readonly postgresMicros: number }> => {
  const tables = ['deliveries', 'attempts'].map((table) => ({ table, file: join(audit.dir, `bare-${table}`) }));
  for (const { table, file } of tables) {
    await database.query(`copy (select * from audit.${table} limit ${count}) to '${file}'`);
    await database.query(`create table bare_${table} (like audit.${table})`);
  }
  const used = postgresCpuSeconds(audit.dir);
  const startedMs = performance.now();
  for (const { table, file } of tables) await database.query(`copy bare_${table} from '${file}'`);
  const seconds = (performance.now() - startedMs) / 1_000;
  const postgresMicros = ((postgresCpuSeconds(audit.dir) - used) / count) * 1e6;
  await database.query('drop table bare_deliveries, bare_attempts');
  for (const { file } of tables) rmSync(file);
  return { perSecond: count / seconds, postgresMicros };
};

say(`The audit in a process of its own, ${number(attempts)} first attempts from a backlog in Kafka, ${PACK} in a record; Kafka, PostgreSQL and this program on the same machine`);
await load('warm', WARM_UP);
const empty = await load('empty', attempts);
tell(empty);
const bare = await bareCopy(attempts);
say(`  bare COPY of the same rows without an index   ${number(bare.perSecond)} attempts/s, ${bare.postgresMicros.toFixed(1)} µs in PostgreSQL: the load takes ${(empty.postgresMicros / bare.postgresMicros).toFixed(1)} times that`);
const loaded = await recorded();
const [ofDeliveries, ofAttempts] = await Promise.all([weigh('deliveries'), weigh('attempts')]);
const bytes = (all: number): string => number(all / loaded);
say(
  `  on disk, an attempt: ${bytes(ofAttempts.rows)} bytes and ${bytes(ofAttempts.indexes)} of indexes; its delivery ${bytes(ofDeliveries.rows)} and ${bytes(ofDeliveries.indexes)}; together ${bytes(ofAttempts.rows + ofAttempts.indexes + ofDeliveries.rows + ofDeliveries.indexes)}`,
);

say(`Making a history of ${number(onDisk)} attempts in thirty days`);
const history = await makeHistory(audit.stack.databaseUrl, onDisk, (line) => say(`  ${line}`));
say(`  ${number(history.attempts)} attempts of ${number(history.deliveries)} deliveries, in ${number(history.seconds)} s`);

say('Loading with these on disk');
await load('warm-again', WARM_UP);
const full = await load('full', attempts);
tell(full);
const slowdown = 1 - full.perSecond / empty.perSecond;
say(`  ${(100 * slowdown).toFixed(0)} % slower than into empty tables ${aim(slowdown <= AIM.slowdown, '20 %')}; ${(100 * (full.postgresMicros / empty.postgresMicros - 1)).toFixed(0)} % more CPU in PostgreSQL`);

const some = async <Row extends Record<string, unknown>>(sql: string): Promise<readonly Row[]> => (await database.query<Row>(sql)).rows;
type Found = { readonly id: string; readonly tenant: string; readonly event: string; readonly subscription: string };
const picked = await some<Found>(
  `select 'dlv_' || md5('d' || n) as id, 'bench-' || (n / 10) % 20 as tenant, 'evt_' || md5('e' || n / 10) as event, ${SUBSCRIPTION_SQL} as subscription
   from (select (random() * ${history.deliveries - 1})::bigint as n from generate_series(1, ${SEARCHES})) as chosen`,
);
const today = new Date().toISOString().slice(0, 10);
const searches: readonly (readonly [string, (found: Found) => string])[] = [
  ["a subscription's failures of today", ({ tenant, subscription }) => `/v1/tenants/${tenant}/deliveries?subscription=${subscription}&status=failed&from=${today}T00:00:00Z`],
  ["a subscription's failures", ({ tenant, subscription }) => `/v1/tenants/${tenant}/deliveries?subscription=${subscription}&status=failed`],
  ['all deliveries of an event', ({ tenant, event }) => `/v1/tenants/${tenant}/events/${event}/deliveries`],
  ["a subject's events", ({ tenant }) => `/v1/tenants/${tenant}/events?subject=inv/${Math.floor(Math.random() * 100_000)}`],
  ["a subject's deliveries", ({ tenant }) => `/v1/tenants/${tenant}/deliveries?subject=inv/${Math.floor(Math.random() * 100_000)}`],
  ['a delivery by its id', ({ tenant, id }) => `/v1/tenants/${tenant}/deliveries/${id}`],
  ['its attempts', ({ tenant, id }) => `/v1/tenants/${tenant}/deliveries/${id}/attempts`],
  ['an event by its id', ({ tenant, event }) => `/v1/tenants/${tenant}/events/${event}`],
  ["a tenant's newest deliveries", ({ tenant }) => `/v1/tenants/${tenant}/deliveries`],
  ['its newest of a type', ({ tenant }) => `/v1/tenants/${tenant}/deliveries?event_type=order.placed`],
];
say(`Searching, ${SEARCHES} times each, one at a time`);
for (const [name, path] of searches) {
  const times: number[] = [];
  for (const found of picked) times.push((await audit.call('GET', path(found))).ms);
  const p99 = percentile(times, 0.99);
  say(`  ${name.padEnd(36)}p50 ${percentile(times, 0.5).toFixed(1)} ms   p99 ${p99.toFixed(1)} ms   ${aim(p99 <= AIM.searchMs, `${AIM.searchMs} ms`)}`);
}

await producer.close();
await kafka.close();
await database.end();
await audit.stop();
