import { expect, it } from '@jest/globals';
import type { Admin } from 'kafkajs';
import { offsetsSince } from './reach.js';

const NOW = 1_000_000;

const keptFor = (ms: string, bytes = '-1') => ({ 'retention.ms': ms, 'retention.bytes': bytes });

/** A topic of one partition: its first offset and its end, and the first of those stamped in time. */
const offsetSince = async (
  timeMs: number,
  { low, start, high }: { readonly low: number; readonly start: number; readonly high: number },
  retention: Readonly<Record<string, string>> = keptFor('-1'),
): Promise<number | undefined> => {
  const configEntries = Object.entries(retention).map(([configName, configValue]) => ({ configName, configValue }));
  const admin = {
    fetchTopicOffsets: async () => [{ partition: 0, low: String(low), high: String(high), offset: String(high) }],
    fetchTopicOffsetsByTimestamp: async () => [{ partition: 0, offset: String(start) }],
    describeConfigs: async () => ({ resources: [{ configEntries }] }),
  };
  // The client's answers hold more than is asked of them here.
  return (await offsetsSince(admin as unknown as Admin, 't', timeMs, NOW)).get(0);
};

it.each([
  ['nothing was ever deleted', 0, { low: 0, start: 0, high: 9 }, 0],
  ['an older record is still there', 500, { low: 3, start: 5, high: 9 }, 5],
  ['all records are older', 500, { low: 3, start: 9, high: 9 }, 9],
])('a topic reaches back when %s', async (_, timeMs, offsets, offset) => {
  await expect(offsetSince(timeMs, offsets)).resolves.toBe(offset);
});

it('a topic whose first record is younger reaches back only as far as its retention deletes nothing', async () => {
  const younger = { low: 3, start: 3, high: 9 };
  await expect(offsetSince(NOW - 100, younger, keptFor('101'))).resolves.toBe(3);
  await expect(offsetSince(NOW - 100, younger, keptFor('100'))).resolves.toBeUndefined();
  await expect(offsetSince(NOW - 100, younger, keptFor('101', '4096'))).resolves.toBeUndefined();
  await expect(offsetSince(NOW - 100, younger)).resolves.toBeUndefined();
});
