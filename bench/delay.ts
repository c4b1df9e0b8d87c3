/**
 * The delay wheel alone, as a process of its own: how late it gives deliveries back when many are due at the same moment and when they are spread
 * out, what one costs, and what it takes to let them wait. `npm run bench delay [records] [due per second]`
 */
import { delayTiers, frame, SCHEMA_HEADER, SCHEMA_VERSION, unframe, type RequestedHead } from '@posthorn/contracts';
import { Kafka } from '@posthorn/kafka';
import { eventually } from '@posthorn/testkit';
import { startAlone } from './support/alone.ts';
import { kilobyte, percentile, say } from './support/measure.ts';

const count = Number(process.argv[2] ?? 200_000);
const perSecond = Number(process.argv[3] ?? 10_000);
/** Records that go through before anything is measured: a young process is several times slower. */
const WARM_UP = 30_000;
/** Written so many at a time: the producer's memory would otherwise be what is measured. */
const BATCH = 5_000;
/** What the machine can be counted on to write in a second, besides all else. */
const WRITTEN_PER_SECOND = 12_000;

const delay = await startAlone('dispatcher', { POSTHORN_DISPATCHER_ROLES: 'delay' });
const ignore = (): void => {};
const kafka = new Kafka(
  { brokers: delay.stack.brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: 'posthorn' },
  { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
);
const producer = await kafka.producer();
const data = Buffer.from(JSON.stringify(kilobyte));

/** By the event's source: milliseconds between a delivery's due time and its being written to `deliveries.requested`. */
const latenessOf = new Map<string, number[]>();
await kafka.follow({
  topic: kafka.topic('deliveries.requested'),
  onRecord: ({ value, timestampMs }) => {
    if (value === null) return;
    const { event, due_at = '' } = unframe<RequestedHead>(value).head;
    const lateness = latenessOf.get(event.source) ?? [];
    latenessOf.set(event.source, lateness);
    lateness.push(timestampMs - Date.parse(due_at));
  },
});

const tierFor = (remainingMs: number): string => delayTiers.findLast(({ ms }) => ms <= remainingMs)?.name ?? delayTiers[0].name;

/** As a sender writes them. What is due within the smallest tier's time is not among them. */
const write = async (run: string, records: number, dueMs: (n: number) => number): Promise<void> => {
  const at = new Date().toISOString();
  for (let from = 0; from < records; from += BATCH) {
    await Promise.all(
      Array.from({ length: Math.min(BATCH, records - from) }, (_, index) => {
        const n = from + index;
        const subscription = `sub_${n % 1_000}`;
        const head: RequestedHead = {
          event: { specversion: '1.0', id: `${run}-${n}`, tenant: 'default', type: 'bench.delay', source: run, time: at, acceptedtime: at },
          subscriptions: [subscription],
          position: 0,
          round: 0,
          number: 2,
          trigger: 'retry',
          due_at: new Date(dueMs(n)).toISOString(),
        };
        return producer.send({
          topic: kafka.topic(`deliveries.delayed.${tierFor(dueMs(n) - Date.now())}` as Parameters<typeof kafka.topic>[0]), // a tier's name makes a topic's
          key: subscription,
          value: frame(head, data),
          headers: { [SCHEMA_HEADER]: SCHEMA_VERSION },
        });
      }),
    );
  }
};

const mebibytes = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`;

/** Writes them so that all are there before the first is due, lets them wait, and tells how they came back. */
const through = async (run: string, records: number, leadMs: number, spreadMs: number): Promise<void> => {
  const firstDueMs = Date.now() + leadMs;
  const before = delay.usage();
  await write(run, records, (n) => firstDueMs + (n / records) * spreadMs);
  const writtenMs = Date.now();
  if (writtenMs > firstDueMs) throw new Error(`it took ${writtenMs - firstDueMs} ms more to write them than there was time`);
  let waitingBytes = 0;
  const arrived = (): number => latenessOf.get(run)?.length ?? 0;
  await eventually(
    () => {
      waitingBytes = Math.max(waitingBytes, delay.usage().rssBytes);
      return arrived() >= records;
    },
    { timeoutMs: leadMs + spreadMs + 600_000, everyMs: 200, describe: () => `${records} to come back; ${arrived()} have` },
  );
  const { cpuSeconds } = delay.usage();
  const lateness = latenessOf.get(run) ?? [];
  const lastMs = Date.now();
  const shares = [0.5, 0.99, 1].map((share) => percentile(lateness, share));
  const [p50, p99, max] = shares.map((ms) => `${Math.round(ms ?? 0).toLocaleString('en')} ms`);
  const early = lateness.filter((ms) => ms < 0).length;
  if (run === 'warm-up') return;
  say(`  ${run.padEnd(34)} late p50 ${p50}, p99 ${p99}, max ${max}; early ${early}; repeated ${lateness.length - records}`);
  say(
    `  ${''.padEnd(34)} back at ${Math.round(records / (Math.max(1, lastMs - firstDueMs) / 1_000)).toLocaleString('en')}/s, ${(((cpuSeconds - before.cpuSeconds) / records) * 1e6).toFixed(0)} µs CPU each on all its way; at most ${mebibytes(waitingBytes)} resident`,
  );
  latenessOf.delete(run);
};

await through('warm-up', WARM_UP, 12_000, 3_000);
say(`${count.toLocaleString('en')} deliveries of 1 KB that wait; ${mebibytes(delay.usage().rssBytes)} resident before`);
const leadMs = Math.max(20_000, (count / WRITTEN_PER_SECOND) * 1_000 + 10_000);
await through(`spread out, ${perSecond.toLocaleString('en')} due a second`, count, leadMs, (count / perSecond) * 1_000);
await through('all due at the same moment', count, leadMs, 0);

await kafka.close();
await delay.stop();
