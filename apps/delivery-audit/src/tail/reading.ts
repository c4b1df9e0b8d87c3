import type { Extent, FollowedRecord, FollowOptions, Following } from '@posthorn/kafka';
import { mentionsAny, newsOf, type News } from './news.js';
import { TakenRecord, type Watch } from './watch.js';

/** `deliveries.attempted`, as Kafka has it. */
export type Source = {
  extents(): Promise<ReadonlyMap<number, Extent>>;
  follow(options: Omit<FollowOptions, 'topic'>): Promise<Pick<Following, 'close'>>;
};

export type Log = { warn(fields: object, message: string): void };

/**
 * What a record tells, if it says anything of these tenants. One that cannot be read is passed over: the loading ends the process at it, with
 * its place in the log.
 */
export const newsIn = ({ value, partition, offset }: FollowedRecord, tenants: { has(tenant: string): boolean }, log: Log): readonly News[] => {
  if (value === null || !mentionsAny(value, tenants)) return [];
  try {
    return newsOf(value);
  } catch (err) {
    log.warn({ err, partition, offset }, 'a record cannot be told to those who watch');
    return [];
  }
};

/** The one reading that all watches of a process share: from the topic's end on, for as long as there is one. */
export class Reading {
  readonly #positions = new Map<number, number>();
  readonly #watches = new Map<string, Set<Watch>>();
  #following: Pick<Following, 'close'> | undefined;

  private constructor(private readonly log: Log) {}

  /** @throws {KafkaError} `unavailable` */
  static async start(source: Source, log: Log): Promise<Reading> {
    const reading = new Reading(log);
    for (const [partition, { end }] of await source.extents()) reading.#positions.set(partition, end);
    reading.#following = await source.follow({ from: new Map(reading.#positions), onRecord: (record) => reading.#take(record) });
    return reading;
  }

  /** Offset of the next record that is to come, by partition; moves on. */
  get positions(): ReadonlyMap<number, number> {
    return this.#positions;
  }

  add(watch: Watch): void {
    const ofTenant = this.#watches.get(watch.tenant);
    if (ofTenant) ofTenant.add(watch);
    else this.#watches.set(watch.tenant, new Set([watch]));
  }

  remove(watch: Watch): void {
    const ofTenant = this.#watches.get(watch.tenant);
    ofTenant?.delete(watch);
    if (ofTenant?.size === 0) this.#watches.delete(watch.tenant);
  }

  async close(): Promise<void> {
    await this.#following?.close();
  }

  #take(record: FollowedRecord): void {
    const { partition } = record;
    const offset = Number(record.offset);
    const news = newsIn(record, this.#watches, this.log);
    if (news.length > 0) {
      const taken = new TakenRecord(partition, offset, news, this.#positions);
      for (const tenant of new Set(news.map((one) => one.tenant))) {
        for (const watch of this.#watches.get(tenant) ?? []) watch.offerShared(taken);
      }
    }
    this.#positions.set(partition, offset + 1);
  }
}
