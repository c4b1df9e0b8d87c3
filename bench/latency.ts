/**
 * From Kafka produce to the receiver, warm, at a steady rate, with one produce → consume hop of Kafka alone in the same run to compare with:
 * an event crosses three such hops on its way. `npm run bench latency [events per second] [seconds]`
 */
import { Kafka } from '@posthorn/kafka';
import { connectPublisher } from '@posthorn/testkit';
import { atRate, kilobyte, milliseconds, say, startSink } from './support/measure.ts';
import { startSystem } from './support/system.ts';

const perSecond = Number(process.argv[2] ?? 200);
const seconds = Number(process.argv[3] ?? 20);
/** Until the compilers of broker and services have seen enough: a young process is several times slower. */
const WARM_UP_SECONDS = 20;
const quiet = (): void => {};

const system = await startSystem();
const sentAt = new Map<string, number>();
const latencies: number[] = [];
const sink = await startSink((id) => {
  const sent = sentAt.get(id);
  if (sent !== undefined) latencies.push(performance.now() - sent);
  sentAt.delete(id);
});
const subscription = await system.rest<{ id: string }>('POST', '/v1/tenants/default/subscriptions', {
  name: 'latency bench',
  url: sink.url,
  event_types: ['bench.*'],
  policy: { max_concurrency: 100 },
});
const publisher = await connectPublisher({ brokers: system.brokers });

const publish = (id: string): Promise<void> => {
  sentAt.set(id, performance.now());
  return publisher.publish({ id, type: 'bench.latency', source: '/bench', data: kilobyte });
};

const settled = async (): Promise<void> => {
  for (let left = 0; sentAt.size !== left; ) {
    left = sentAt.size;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
};

const run = Date.now().toString(36);
await atRate(perSecond, WARM_UP_SECONDS * perSecond, (n) => publish(`${run}-warm-${n}`));
await settled();
latencies.length = 0;
const lost = sentAt.size;

await atRate(perSecond, seconds * perSecond, (n) => publish(`${run}-${n}`));
await settled();
say(`Kafka produce → receiver, ${perSecond} events/s of 1 KB for ${seconds} s`);
say(`  ${latencies.length} of ${seconds * perSecond} arrived   ${milliseconds(latencies)}`);

const hop = await measureHop();
say('Kafka alone, one produce → consume, in the same run');
say(`  ${milliseconds(hop)}`);

await system.rest('DELETE', `/v1/tenants/default/subscriptions/${subscription.id}`);
await publisher.close();
sink.close();
await system.stop();
process.exitCode = latencies.length === seconds * perSecond && lost === 0 ? 0 : 1;

/** Through a topic that the services do not read while it lasts: `events.rejected`. */
async function measureHop(): Promise<number[]> {
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet, fatal: quiet };
  const kafka = new Kafka({ brokers: system.brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: 'bench' }, log);
  await kafka.ensureTopics(['events.rejected']);
  const topic = kafka.topic('events.rejected');
  const hops: number[] = [];
  const consumption = await kafka.consume({
    groupId: `bench-${run}`,
    topics: [topic],
    onRecord: (record) => {
      const sent = Number(record.key?.toString());
      if (sent > 0) hops.push(performance.now() - sent);
      record.done();
    },
  });
  const producer = await kafka.producer();
  const value = JSON.stringify(kilobyte);
  const send = (): Promise<void> => producer.send({ topic, key: String(performance.now()), value });
  await atRate(perSecond, WARM_UP_SECONDS * perSecond, send);
  hops.length = 0;
  await atRate(perSecond, seconds * perSecond, send);
  await consumption.close();
  await kafka.close();
  return hops;
}
