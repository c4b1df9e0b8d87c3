import { DEFAULT_PARTITIONS, topics, topicOnBroker, type Topic, type TopicName } from '@posthorn/contracts';
import kafkajs, { type Admin, type ITopicMetadata } from 'kafkajs';
import { protocolError } from './errors.js';
import type { Logger } from './settings.js';
import { whenSettled } from './settling.js';

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
  for (const plan of plans) if (!present.has(plan.topic)) await create(admin, plan, log);
  // Whoever goes on to read or write must find it: five processes that start on an empty broker make the same topics at once.
  const { topics: metadata } = await whenSettled(() => admin.fetchTopicMetadata({ topics: plans.map(({ topic }) => topic) }));
  const existing = plans.filter(({ topic }) => present.has(topic));
  if (existing.length > 0) await compare(admin, existing, metadata, log);
};

const create = async (admin: Admin, plan: TopicPlan, log: Logger): Promise<void> => {
  const { topic, partitions } = plan;
  if (await make(admin, plan)) log.info({ topic, partitions }, 'topic created');
};

/**
 * False when another process was faster (of which the client makes a `false` or an error), or when the topic is made but not yet
 * known to the broker that was asked for its leaders.
 */
const make = async (admin: Admin, { topic, partitions, config }: TopicPlan): Promise<boolean> => {
  try {
    return await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic,
          numPartitions: partitions,
          // The broker's default.
          replicationFactor: -1,
          configEntries: Object.entries(config).map(([name, value]) => ({ name, value })),
        },
      ],
    });
  } catch (error) {
    if (['TOPIC_ALREADY_EXISTS', 'UNKNOWN_TOPIC_OR_PARTITION'].includes(protocolError(error) ?? '')) return false;
    throw error;
  }
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
