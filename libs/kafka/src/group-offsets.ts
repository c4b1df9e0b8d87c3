import { decodeDone } from './commit-metadata.js';
import type { Cluster, ConsumerGroup, TopicPartitions } from './kafkajs-internals.js';
import type { Progress } from './partition-window.js';

/** A partition as the key of a map. */
export const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`;

/** What the group has committed; where it has not, the beginning of the log. */
export const committedProgress = async (group: ConsumerGroup, assigned: readonly TopicPartitions[]): Promise<ReadonlyMap<string, Progress>> => {
  const { coordinator, groupId, cluster } = group;
  if (!coordinator || assigned.length === 0) return new Map();
  const { responses } = await coordinator.offsetFetch({
    groupId,
    topics: assigned.map(({ topic, partitions }) => ({ topic, partitions: partitions.map((partition) => ({ partition })) })),
  });
  const beginnings = await logOffsets(cluster, assigned, true);
  const progress = new Map<string, Progress>();
  for (const { topic, partitions } of responses) {
    for (const { partition, offset, metadata } of partitions) {
      const key = keyOf(topic, partition);
      const committed = Number(offset);
      progress.set(
        key,
        committed < 0 ? { offset: beginnings.get(key) ?? 0, done: [] } : { offset: committed, done: decodeDone(committed, metadata) },
      );
    }
  }
  return progress;
};

/** First offset, or one past the last, of each partition. */
export const logOffsets = async (
  cluster: Cluster,
  assigned: readonly TopicPartitions[],
  fromBeginning: boolean,
): Promise<ReadonlyMap<string, number>> => {
  if (assigned.length === 0) return new Map();
  const topics = await cluster.fetchTopicsOffset(
    assigned.map(({ topic, partitions }) => ({ topic, fromBeginning, partitions: partitions.map((partition) => ({ partition })) })),
  );
  return new Map(
    topics.flatMap(({ topic, partitions }) => partitions.map(({ partition, offset }) => [keyOf(topic, partition), Number(offset)] as const)),
  );
};
