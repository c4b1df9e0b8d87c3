import { DEFAULT_PARTITIONS, topics, topicOnBroker, type Topic, type TopicName } from '@posthorn/contracts';
import kafkajs, { type Admin, type ITopicConfig, type ITopicMetadata } from 'kafkajs';
import { protocolError } from './errors.js';
import type { Logger } from './settings.js';
import { SETTLED_WITHIN_MS, whenSettled } from './settling.js';

/** Largest batch of records that a topic of ours takes. */
export const MAX_MESSAGE_BYTES = 2 * 1024 * 1024;

const HOUR = 3_600_000;
const MINUTE = 60_000;

/** A topic as it is to be on the broker. */
export type TopicPlan = { readonly topic: string; readonly partitions: number; readonly config: Readonly<Record<string, string>> };

/** Compaction leaves the active segment alone: a small one, closed hourly, keeps the log near the size of its content. */
const compacted = {
  'segment.ms': String(HOUR),
  'segment.bytes': String(64 * 1024 * 1024),
  'min.cleanable.dirty.ratio': '0.1',
  'max.compaction.lag.ms': String(24 * HOUR),
  // A reader that starts from the beginning must see a deletion, however slowly it reads.
  'delete.retention.ms': String(24 * HOUR),
  'file.delete.delay.ms': String(MINUTE),
};

/**
 * The broker stores everything uncompressed: producers may compress as they like, and it is inflated once, not by every reader.
 * `partitions` replaces the default number; topics whose number has a meaning keep theirs.
 */
export const planOf = (topic: Topic, prefix: string, partitions?: number): TopicPlan => ({
  topic: topicOnBroker(prefix, topic.name),
  partitions: topic.partitions === DEFAULT_PARTITIONS ? (partitions ?? topic.partitions) : topic.partitions,
  config: {
    'cleanup.policy': topic.cleanup,
    'retention.ms': String(topic.retentionMs ?? -1),
    'retention.bytes': '-1',
    'message.timestamp.type': topic.timestamps === 'broker' ? 'LogAppendTime' : 'CreateTime',
    'max.message.bytes': String(MAX_MESSAGE_BYTES),
    'compression.type': 'uncompressed',
    ...(topic.cleanup === 'compact' && compacted),
  },
});

/** What is wrong with an existing topic, in words; empty when nothing is. */
export const deviations = (
  plan: TopicPlan,
  actual: { readonly partitions: number; readonly config: Readonly<Record<string, string>> },
): readonly string[] => [
  ...(actual.partitions < plan.partitions ? [`${actual.partitions} partitions, not ${plan.partitions}`] : []),
  ...Object.entries(plan.config)
    .filter(([name, value]) => actual.config[name] !== undefined && actual.config[name] !== value)
    .map(([name, value]) => `${name} is ${actual.config[name]}, not ${value}`),
];

export const plansOf = (names: readonly TopicName[], prefix: string, partitions?: number): readonly TopicPlan[] =>
  topics.filter(({ name }) => names.includes(name)).map((topic) => planOf(topic, prefix, partitions));

/** Creates what is missing; of what exists and differs it only warns, because changing it may cost data. Several may do it at once. */
export const ensure = async (admin: Admin, plans: readonly TopicPlan[], log: Logger): Promise<void> => {
  const present = new Set(await admin.listTopics());
  const missing = plans.filter(({ topic }) => !present.has(topic));
  for (const { topic, partitions } of await make(admin, missing)) log.info({ topic, partitions }, 'topic created');
  // Whoever goes on to read or write must find it: five processes that start on an empty broker make the same topics at once.
  const { topics: metadata } = await whenSettled(() => admin.fetchTopicMetadata({ topics: plans.map(({ topic }) => topic) }));
  const existing = plans.filter(({ topic }) => present.has(topic));
  if (existing.length > 0) await compare(admin, existing, metadata, log);
};

/**
 * In one request: one for each topic took twenty times as long, because the client waits for leaders by polling.
 * @returns those that no other process was faster with
 */
const make = async (admin: Admin, plans: readonly TopicPlan[]): Promise<readonly TopicPlan[]> => {
  if (plans.length === 0) return [];
  try {
    const areAllThere = !(await admin.createTopics({ waitForLeaders: false, timeout: SETTLED_WITHIN_MS, topics: plans.map(requestOf) }));
    return areAllThere ? [] : plans;
  } catch (error) {
    const there = thereAlready(error);
    return plans.filter(({ topic }) => !there.has(topic));
  }
};

const requestOf = ({ topic, partitions, config }: TopicPlan): ITopicConfig => ({
  topic,
  numPartitions: partitions,
  // The broker's default.
  replicationFactor: -1,
  configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
});

/** Of topics that were asked for together, and not all of which could be made. @throws the first other reason */
const thereAlready = (error: unknown): ReadonlySet<unknown> => {
  if (!(error instanceof kafkajs.KafkaJSAggregateError)) throw error;
  const other = error.errors.find((each) => protocolError(each) !== 'TOPIC_ALREADY_EXISTS');
  if (other !== undefined) throw other;
  return new Set(error.errors.map((each) => (each instanceof Error && 'topic' in each ? each.topic : undefined)));
};

const compare = async (admin: Admin, plans: readonly TopicPlan[], metadata: readonly ITopicMetadata[], log: Logger): Promise<void> => {
  const resourcesOf = plans.map(({ topic, config }) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: Object.keys(config) }));
  const { resources } = await whenSettled(() => admin.describeConfigs({ includeSynonyms: false, resources: resourcesOf }));
  for (const plan of plans) {
    const partitions = metadata.find(({ name }) => name === plan.topic)?.partitions.length ?? 0;
    const entries = resources.find(({ resourceName }) => resourceName === plan.topic)?.configEntries ?? [];
    const config = Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]));
    const differences = deviations(plan, { partitions, config });
    if (differences.length > 0) log.warn({ topic: plan.topic, differences }, 'topic is not as intended');
  }
};
