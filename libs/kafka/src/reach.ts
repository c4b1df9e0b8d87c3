import kafkajs, { type Admin } from 'kafkajs';

/** How far back a topic is kept, as it is configured now. Absent where that says nothing: kept for ever, or by size too. */
const retentionOf = async (admin: Pick<Admin, 'describeConfigs'>, topic: string): Promise<number | undefined> => {
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['retention.ms', 'retention.bytes'] }],
  });
  const config = new Map(resources[0]?.configEntries.map(({ configName, configValue }) => [configName, Number(configValue)]));
  const retentionMs = config.get('retention.ms') ?? -1;
  return retentionMs < 0 || config.get('retention.bytes') !== -1 ? undefined : retentionMs;
};

/**
 * For each partition the offset from which on every record stamped at `timeMs` or later is read; undefined where some of them may have been
 * deleted. They have not when nothing was ever deleted, when a record from before that time is still there, or when the topic's retention
 * does not delete what is so young (a quiet partition may be empty: nothing in it tells how old was what it held).
 */
export const offsetsSince = async (
  admin: Pick<Admin, 'describeConfigs' | 'fetchTopicOffsets' | 'fetchTopicOffsetsByTimestamp'>,
  topic: string,
  timeMs: number,
  nowMs: number,
): Promise<ReadonlyMap<number, number | undefined>> => {
  const [bounds, starts, retentionMs] = await Promise.all([
    admin.fetchTopicOffsets(topic),
    admin.fetchTopicOffsetsByTimestamp(topic, timeMs),
    retentionOf(admin, topic),
  ]);
  const isKept = retentionMs !== undefined && nowMs - timeMs < retentionMs;
  const firsts = new Map(bounds.map(({ partition, low }) => [partition, Number(low)]));
  return new Map(
    starts.map(({ partition, offset }) => {
      const start = Number(offset);
      const first = firsts.get(partition) ?? start;
      return [partition, first === 0 || first < start || isKept ? Math.max(first, start) : undefined];
    }),
  );
};
