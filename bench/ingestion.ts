/**
 * The event ingestion alone, with a schema for every event and every id remembered: how many events a second each door takes, what
 * one costs, how long it takes; next to a bare loop of the Kafka client that reads and writes the same records.
 * `npm run bench ingestion [seconds of each part]`
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { SCHEMA_HEADER, SCHEMA_VERSION, unframe, type AggregateState, type Envelope } from '@posthorn/contracts';
import { Kafka } from '@posthorn/kafka';
import { connectPublisher, eventually } from '@posthorn/testkit';
import { startAlone } from './support/alone.ts';
import { kilobyte, milliseconds, percentile, say } from './support/measure.ts';

const seconds = Number(process.argv[2] ?? 20);
/** Of the backlog that the Kafka door reads, a second of the run. */
const BACKLOG_PER_SECOND = 10_000;
/** At which the time through the Kafka door is taken: far below what it can, as it is in real life. */
const STEADY_PER_SECOND = 500;
/** Events, until the compilers of broker and service have seen enough. */
const WARM_UP = 20_000;
const SINGLE_CONNECTIONS = 64;
const TYPE = 'bench.order';
const PATH = '/v1/tenants/default/events';
const AIM = { kafkaRatio: 2, batchPerCore: 10_000, singlePerSecond: 4_000, singleP99Ms: 30 };

const ingestion = await startAlone('event-ingestion');
const { brokers } = ingestion.stack;
const ignore = (): void => {};
const kafka = new Kafka(
  { brokers: brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: 'posthorn' },
  { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
);
const producer = await kafka.producer();
// As many partitions as `events.accepted`, and nobody who reads it here.
await kafka.ensureTopics(['deliveries.routed']);
const publisher = await connectPublisher({ brokers });
const run = Date.now().toString(36);

/** What the registry would tell: a tenant that refuses what has no type or does not fit, and the one type. */
const at = new Date().toISOString();
const settings = { schema_policy: 'reject', unknown_event_types: 'reject', retention_ms: 86_400_000 } as const;
const schema = {
  type: 'object',
  properties: { text: { type: 'string', minLength: 1, maxLength: 4_096 }, n: { type: 'integer', minimum: 0 } },
  required: ['text', 'n'],
  additionalProperties: false,
};
const states: readonly AggregateState[] = [
  { kind: 'tenant', id: 'default', name: 'default', settings, created_at: at, updated_at: at },
  { kind: 'event_type', id: `default/${TYPE}`, tenant: 'default', name: TYPE, description: '', version: 1, schema, archived: false, created_at: at, updated_at: at },
];
for (const [index, state] of states.entries()) {
  const position = index + 1;
  await producer.send({
    topic: kafka.topic('registry.state'),
    key: state.id,
    value: JSON.stringify({ position, version: 1, state }),
    headers: { [SCHEMA_HEADER]: SCHEMA_VERSION, kind: state.kind, position: String(position) },
  });
}

const accepted = async (door: string): Promise<number> => {
  const labels = [`door="${door}"`, 'outcome="accepted"'];
  const lines = (await ingestion.metrics()).split('\n').filter((line) => line.startsWith('posthorn_ingestion_events_total{'));
  return Number(lines.find((line) => labels.every((label) => line.includes(label)))?.split(' ').at(-1) ?? 0);
};

type Cost = { readonly events: number; readonly seconds: number; readonly cpuSeconds: number };
const perSecond = ({ events, seconds: took }: Cost): number => events / took;
const microseconds = ({ events, cpuSeconds }: Cost): number => (cpuSeconds / events) * 1e6;
const costOf = async (work: () => Promise<number>): Promise<Cost> => {
  const before = ingestion.usage().cpuSeconds;
  const startedMs = performance.now();
  const events = await work();
  return { events, seconds: (performance.now() - startedMs) / 1_000, cpuSeconds: ingestion.usage().cpuSeconds - before };
};
const row = (name: string, cost: Cost, more = ''): void =>
  say(`  ${name.padEnd(38)}${Math.round(perSecond(cost)).toLocaleString('en').padStart(8)} events/s  ${microseconds(cost).toFixed(0).padStart(5)} µs CPU each   ${more}`);

/** A backlog, written while the service is held, and read when it is let go: neither shares the machine with the other. */
const kafkaBacklog = async (count: number, name: string): Promise<Cost> => {
  const before = await accepted('kafka');
  ingestion.hold();
  await Promise.all(
    Array.from({ length: count }, (_, n) => publisher.publish({ id: `${run}-${name}-${n}`, type: TYPE, source: '/bench', data: kilobyte })),
  );
  return costOf(async () => {
    ingestion.release();
    await eventually(async () => (await accepted('kafka')) - before >= count, { timeoutMs: 600_000, everyMs: 20, describe: 'the backlog is not read' });
    return count;
  });
};

/** From the producer's call to the event in `events.accepted`, at a steady rate that no answer slows. */
const kafkaLatencies = async (): Promise<readonly number[]> => {
  const sentAt = new Map<string, number>();
  const latencies: number[] = [];
  const following = await kafka.follow({
    topic: kafka.topic('events.accepted'),
    onRecord: ({ value }) => {
      const { id } = unframe<Envelope>(Buffer.from(value ?? '')).head;
      const sent = sentAt.get(id);
      if (sent !== undefined && sentAt.delete(id)) latencies.push(performance.now() - sent);
    },
  });
  await following.caughtUp;
  const count = STEADY_PER_SECOND * seconds;
  const startMs = performance.now();
  const publishing: Promise<void>[] = [];
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      for (const due = ((performance.now() - startMs) / 1_000) * STEADY_PER_SECOND; publishing.length < due && publishing.length < count; ) {
        const id = `${run}-steady-${publishing.length}`;
        sentAt.set(id, performance.now());
        publishing.push(publisher.publish({ id, type: TYPE, source: '/bench', data: kilobyte }));
      }
      if (publishing.length < count) return;
      clearInterval(timer);
      resolve();
    }, 1);
  });
  await Promise.all(publishing);
  await eventually(() => sentAt.size === 0, { timeoutMs: 60_000, describe: () => `${sentAt.size} events did not arrive` });
  return latencies;
};

let used = 0;
const eventText = (): string => JSON.stringify({ id: `${run}-rest-${(used += 1)}`, type: TYPE, data: kilobyte });
const batchText = (size: number): string => `{"events":[${Array.from({ length: size }, eventText).join()}]}`;

/** As fast as the answers come, so many at a time. */
const rest = async (connections: number, size: number, forSeconds: number): Promise<Cost & { readonly times: readonly number[] }> => {
  const times: number[] = [];
  const untilMs = performance.now() + forSeconds * 1_000;
  const cost = await costOf(async () => {
    await Promise.all(
      Array.from({ length: connections }, async () => {
        while (performance.now() < untilMs) {
          const answer = await ingestion.call<{ results?: readonly object[] }>('POST', size === 1 ? PATH : `${PATH}/batch`, size === 1 ? eventText() : batchText(size));
          if (answer.body.results?.some((result) => 'error' in result)) throw new Error(JSON.stringify(answer.body).slice(0, 500));
          times.push(answer.ms);
        }
      }),
    );
    return times.length * size;
  });
  return { ...cost, times };
};

/** The same records, warm-up included, read and written by a process that has nothing of ours. */
const bare = async (count: number): Promise<Cost> => {
  const program = fileURLToPath(new URL('support/bare-loop.ts', import.meta.url));
  const args = [brokers, kafka.topic('events.inbound'), kafka.topic('deliveries.routed'), String(WARM_UP), String(count)];
  const child = spawn(process.execPath, ['--no-warnings', program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  for await (const chunk of child.stdout) text += String(chunk);
  return JSON.parse(text) as Cost;
};

const verdict = (isMet: boolean, aim: string): string => `${isMet ? 'meets' : 'misses'} the aim: ${aim}`;

await kafkaBacklog(WARM_UP, 'warm');
await rest(SINGLE_CONNECTIONS, 1, 5);
await rest(4, 100, 5);

const backlog = BACKLOG_PER_SECOND * seconds;
say(`Events of 1 KB with a schema, each id new and remembered; Kafka, PostgreSQL, the client and the service on one machine`);
const throughKafka = await kafkaBacklog(backlog, 'run');
const yardstick = await bare(backlog);
const ratio = microseconds(throughKafka) / microseconds(yardstick);
row('Kafka door, a backlog', throughKafka);
row('bare loop, the same records', yardstick, `the door costs ${ratio.toFixed(2)} times as much: ${verdict(ratio <= AIM.kafkaRatio, `${AIM.kafkaRatio}`)}`);
say(`  Kafka door, ${STEADY_PER_SECOND} events/s, produce → events.accepted   ${milliseconds(await kafkaLatencies())}`);

const single = await rest(SINGLE_CONNECTIONS, 1, seconds);
const isSingleMet = perSecond(single) >= AIM.singlePerSecond && percentile(single.times, 0.99) <= AIM.singleP99Ms;
row(`REST, one a call, ${SINGLE_CONNECTIONS} at a time`, single, milliseconds(single.times));
say(`    ${verdict(isSingleMet, `${AIM.singlePerSecond}/s, p99 ${AIM.singleP99Ms} ms`)}`);
for (const [size, connections] of [[100, 8], [1_000, 4]] as const) {
  const batch = await rest(connections, size, seconds);
  const perCore = 1e6 / microseconds(batch);
  row(`REST, batches of ${size}, ${connections} at a time`, batch, milliseconds(batch.times));
  say(`    ${Math.round(perCore).toLocaleString('en')} events/s of one core ${verdict(perCore >= AIM.batchPerCore, `${AIM.batchPerCore}`)}`);
}
say(`  ${Math.round(ingestion.usage().rssBytes / 2 ** 20)} MiB resident at the end`);

await publisher.close();
await kafka.close();
await ingestion.stop();
