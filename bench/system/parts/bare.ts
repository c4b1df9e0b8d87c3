import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Kafka } from '@posthorn/kafka';
import { kilobyte, percentile } from '../../support/measure.ts';
import type { Bench } from '../bench.ts';

const RUNS = 3;
const WARM_UP = 5_000;
const AT_A_TIME = 100;
/** Beside Posthorn's own topics, which nobody may write to but Posthorn. */
const TOPIC_PREFIX = 'bare';

export type Bare = {
  /** Sign and POST by undici, to the same sink: of its process, in milliseconds of CPU. */
  readonly postMillis: number;
  readonly postsPerSecond: number;
  /** Read a record of 1 KB and write it by the bare client. */
  readonly copyMillis: number;
  readonly copiesPerSecond: number;
  readonly alone: Alone;
};

/** What each costs that comes alone, in milliseconds of CPU: of the client's process, and of who answers it, with what that takes at rest. */
export type Alone = {
  readonly perSecond: number;
  readonly post: { readonly client: number; readonly sink: number };
  /** A record written, and read. */
  readonly hop: { readonly client: number; readonly kafka: number };
};

type Told = { readonly seconds: number; readonly cpuSeconds: number };

/** So slow that each is over before the next one comes. */
const ALONE_A_SECOND = 200;
/** What takes longer hangs. */
const LONGEST_MS = 300_000;

const support = join(import.meta.dirname, '..', '..', 'support');
const ignore = (): void => {};

const run = async (program: string, args: readonly string[]): Promise<Told> =>
  JSON.parse((await promisify(execFile)(process.execPath, ['--no-warnings', join(support, program), ...args], { timeout: LONGEST_MS })).stdout) as Told;

/** What an HTTP request with a signature, and a record read and written, cost without Posthorn on this machine in this hour: many at a time, and each alone. */
export const measureBare = async (bench: Bench, count: number, aloneSeconds: number): Promise<Bare> => {
  const { brokers } = bench.system;
  const kafka = new Kafka(
    { brokers: brokers.split(','), ssl: false, clientId: 'bench', topicPrefix: TOPIC_PREFIX },
    { debug: ignore, info: ignore, warn: ignore, error: ignore, fatal: ignore },
  );
  await kafka.ensureTopics(['events.inbound', 'events.accepted']);
  const producer = await kafka.producer();
  const value = JSON.stringify(kilobyte);
  for (let n = 0; n < count + 2 * WARM_UP; n += WARM_UP) {
    await Promise.all(Array.from({ length: WARM_UP }, (_, i) => producer.send({ topic: kafka.topic('events.inbound'), key: `${n + i}`, value })));
  }
  const copy = await run('bare-loop.ts', [brokers, kafka.topic('events.inbound'), kafka.topic('events.accepted'), String(WARM_UP), String(count)]);
  const hopTopic = kafka.topic('events.rejected');
  await kafka.ensureTopics(['events.rejected']);
  await kafka.close();
  const posts: Told[] = [];
  for (let n = 0; n < RUNS; n += 1) posts.push(await run('bare-posts.ts', [`${bench.sinkUrl}/0`, String(WARM_UP), String(count), String(AT_A_TIME)]));
  const alone = await measureAlone(bench, hopTopic, aloneSeconds * ALONE_A_SECOND);
  const median = (of: (told: Told) => number): number => percentile(posts.map(of), 0.5);
  return {
    postMillis: (median(({ cpuSeconds }) => cpuSeconds) / count) * 1_000,
    postsPerSecond: count / median(({ seconds }) => seconds),
    copyMillis: (copy.cpuSeconds / count) * 1_000,
    copiesPerSecond: count / copy.seconds,
    alone,
  };
};

const measureAlone = async (bench: Bench, topic: string, count: number): Promise<Alone> => {
  const each = (cpuSeconds: number | undefined): number => ((cpuSeconds ?? Number.NaN) / count) * 1_000;
  const posts = await bench.sampler.during('bare posts', () => run('bare-posts.ts', [`${bench.sinkUrl}/0`, String(ALONE_A_SECOND), String(count), '1', String(ALONE_A_SECOND)]));
  const hops = await bench.sampler.during('bare hops', () => run('bare-hop.ts', [bench.system.brokers, topic, String(ALONE_A_SECOND), String(count)]));
  return {
    perSecond: ALONE_A_SECOND,
    post: { client: each(posts.result.cpuSeconds), sink: each(posts.spent.cpuSeconds['sink']) },
    hop: { client: each(hops.result.cpuSeconds), kafka: each(hops.spent.cpuSeconds['kafka']) },
  };
};
