import type { Extent } from '@posthorn/kafka';
import type { Place, Point } from './place.js';
import { newsIn, type Log, type Source } from './reading.js';
import type { Positions, Stand } from './stand.js';
import { TakenRecord, type Watch } from './watch.js';

/** What reading for one watch alone may take: Kafka and this process serve others too, and older history is found in the tables. */
export type CatchUpLimits = { readonly bytes: number; readonly ms: number };

/** A place as far as the topic still has it, and whether it has all that came after it. */
export const within = (place: Place, extents: ReadonlyMap<number, Extent>): { readonly place: Place; readonly isWhole: boolean } => {
  let isWhole = true;
  const points = [...extents].map(([partition, { first, end }]): [number, Point] => {
    // A partition that was not there then: all of it came after.
    const point = place.get(partition) ?? { offset: first, told: 0 };
    if (point.offset >= first && point.offset <= end) return [partition, point];
    isWhole = false;
    return [partition, { offset: point.offset < first ? first : end, told: 0 }];
  });
  return { place: new Map(points), isWhole };
};

export type CatchUp = {
  readonly watch: Watch;
  readonly stand: Stand;
  readonly source: Source;
  /** Of the shared reading, as they move on. */
  readonly positions: Positions;
  readonly limits: CatchUpLimits;
  readonly log: Log;
};

/**
 * Reads for one watch what lies between its place and the shared reading, no faster than it is taken, until the watch stands where the others do,
 * is closed, or has read as much as it may.
 * @throws {KafkaError} `unavailable`
 */
export const catchUp = async ({ watch, stand, source, positions, limits, log }: CatchUp): Promise<void> => {
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  const tenants = new Set([watch.tenant]);
  let bytes = 0;
  const from = new Map([...stand.place(positions)].map(([partition, { offset }]) => [partition, offset]));
  const following = await source.follow({
    from,
    onRecord: (record) => {
      bytes += record.value?.length ?? 0;
      if (bytes > limits.bytes) return end();
      watch.offerAlone(new TakenRecord(record.partition, Number(record.offset), newsIn(record, tenants, log), positions));
      if (!stand.isBehind) end();
    },
    whenReady: () => Promise.race([watch.room(), ended]),
  });
  const timer = setTimeout(end, limits.ms);
  await Promise.race([ended, watch.closed]);
  clearTimeout(timer);
  if (stand.isBehind) {
    stand.giveUp();
    watch.miss({ reason: 'too_far' });
  }
  await following.close();
};
