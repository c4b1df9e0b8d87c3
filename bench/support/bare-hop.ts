/**
 * What the way through Kafka costs a record that comes alone: written and read by the client, with nothing of ours in the process.
 * `node bare-hop.ts <brokers> <topic> <records a second> <records>`; answers by one line of JSON.
 */
// oxlint-disable-next-line no-restricted-imports -- the yardstick is the client as it is, which libs/kafka is not
import kafkajs from 'kafkajs';
import { atRate, kilobyte } from './measure.ts';

const [brokers = '', topic = '', perSecond = '0', count = '0'] = process.argv.slice(2);
const value = JSON.stringify(kilobyte);

const kafka = new kafkajs.Kafka({ clientId: 'bare-hop', brokers: brokers.split(','), logLevel: kafkajs.logLevel.ERROR });
const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner });
await producer.connect();
const consumer = kafka.consumer({ groupId: `bare-${topic}-${Date.now()}` });
await consumer.connect();
await consumer.subscribe({ topics: [topic], fromBeginning: false });
// Not when it has joined: where "from now on" is it asks after that, and would miss what has come in between.
const reading = new Promise<void>((resolve) => void consumer.on(consumer.events.FETCH, () => resolve()));
let read = 0;
const allRead = new Promise<void>((resolve, reject) => {
  const eachMessage = async (): Promise<void> => void ((read += 1) === Number(count) && resolve());
  consumer.run({ eachMessage }).catch(reject);
});
await reading;
const startedMs = performance.now();
const cpu = process.cpuUsage();
await atRate(Number(perSecond), Number(count), (n) => producer.send({ topic, acks: -1, messages: [{ key: String(n), value }] }));
await allRead;
const { user, system } = process.cpuUsage(cpu);
process.stdout.write(`${JSON.stringify({ seconds: (performance.now() - startedMs) / 1_000, cpuSeconds: (user + system) / 1e6 })}\n`);
await consumer.disconnect();
await producer.disconnect();
