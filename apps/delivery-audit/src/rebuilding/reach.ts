import type { TopicName } from '@posthorn/contracts';
import type { Kafka } from '@posthorn/kafka';
import { foldedTopics } from '../loading/folds.js';
import type { Beginnings } from './history-reader.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Records are stamped by who writes them, after the event's acceptance by his clock: which may be so far behind that of who accepted it. */
const CLOCKS_DIFFER_MS = HOUR_MS;

type TopicsKept = Pick<Kafka, 'topic' | 'partitions' | 'since'>;

/** What the topics still hold is not enough for the days that were asked for. */
export class TooFarBack extends Error {
  override readonly name = 'TooFarBack';
}

/** No event is of a day: every one of the registry's may be asked for, and its log is kept for ever. */
const neededSinceMs = (name: TopicName, firstDay: string): number => (name === 'registry.log' ? 0 : Date.parse(firstDay) - CLOCKS_DIFFER_MS);

/** Undefined when one of the topics does not reach back: which. */
const tryDay = async (kafka: TopicsKept, firstDay: string): Promise<{ readonly beginnings: Beginnings; readonly missing: readonly TopicName[] }> => {
  const beginnings = new Map<string, ReadonlyMap<number, number>>();
  const missing: TopicName[] = [];
  for (const name of foldedTopics) {
    const topic = kafka.topic(name);
    const offsets = [...(await kafka.since(topic, neededSinceMs(name, firstDay)))].flatMap(([partition, offset]) =>
      offset === undefined ? [] : [[partition, offset] as const],
    );
    if (offsets.length < (await kafka.partitions(topic))) missing.push(name);
    beginnings.set(topic, new Map(offsets));
  }
  return { beginnings, missing };
};

const dayAfter = (day: string): string => new Date(Date.parse(day) + DAY_MS).toISOString().slice(0, day.length);

/**
 * Where to begin in each topic so as to read all that was ever said of events of this day and later.
 * @throws {TooFarBack} naming the first day for which that can be done
 */
export const beginningsFor = async (kafka: TopicsKept, firstDay: string, nowMs: number): Promise<Beginnings> => {
  const { beginnings, missing } = await tryDay(kafka, firstDay);
  if (missing.length === 0) return beginnings;
  let possible = dayAfter(firstDay);
  while (Date.parse(possible) <= nowMs && (await tryDay(kafka, possible)).missing.length > 0) possible = dayAfter(possible);
  const hint = Date.parse(possible) <= nowMs ? `the first day that can be rebuilt is ${possible}` : 'no day can be rebuilt yet';
  throw new TooFarBack(`${missing.join(', ')} may no longer hold all that was written since the beginning of ${firstDay}; ${hint}`);
};
