/**
 * What the client itself costs: reads one topic and writes every record to another, with nothing of ours in the process.
 * `node bare-loop.ts <brokers> <from> <to> <warm-up records> <records>`; answers by one line of JSON.
 */
// oxlint-disable-next-line no-restricted-imports -- the yardstick is the client as it is, which libs/kafka is not
import kafkajs from 'kafkajs';

const [brokers = '', from = '', to = '', warmUp = '0', count = '0'] = process.argv.slice(2);
/** Requests under way at once, so that reading does not wait for writing. */
const IN_FLIGHT = 5;

const kafka = new kafkajs.Kafka({ clientId: 'bare-loop', brokers: brokers.split(','), logLevel: kafkajs.logLevel.ERROR });
const producer = kafka.producer({ maxInFlightRequests: IN_FLIGHT, createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
await producer.connect();
const consumer = kafka.consumer({ groupId: `bare-${from}-${Date.now()}`, maxBytesPerPartition: 1024 * 1024 });
await consumer.connect();
await consumer.subscribe({ topics: [from], fromBeginning: true });

let done = 0;
let start: { readonly ms: number; readonly done: number; readonly cpu: NodeJS.CpuUsage } | undefined;
await new Promise<void>((resolve, reject) => {
  const copy = async (messages: readonly { readonly key: Buffer | null; readonly value: Buffer | null; readonly headers?: kafkajs.IHeaders }[]): Promise<void> => {
    if (done >= Number(warmUp)) start ??= { ms: performance.now(), done, cpu: process.cpuUsage() };
    await producer.send({ topic: to, acks: -1, messages: messages.map(({ key, value, headers }) => ({ key, value, ...(headers && { headers }) })) });
    done += messages.length;
    if (done >= Number(warmUp) + Number(count)) resolve();
  };
  consumer
    .run({ partitionsConsumedConcurrently: IN_FLIGHT, eachBatch: ({ batch }) => copy(batch.messages) })
    .catch(reject);
});
if (start === undefined) throw new Error('there was no more than the warm-up');
const { user, system } = process.cpuUsage(start.cpu);
const seconds = (performance.now() - start.ms) / 1_000;
process.stdout.write(`${JSON.stringify({ events: done - start.done, seconds, cpuSeconds: (user + system) / 1e6 })}\n`);
await consumer.disconnect();
await producer.disconnect();
