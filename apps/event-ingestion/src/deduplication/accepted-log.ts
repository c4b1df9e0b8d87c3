import { type Envelope, unframe } from '@posthorn/contracts';
import type { Kafka } from '@posthorn/kafka';
import type { Bounds } from './claims.js';
import { type Hash, hashOfEvent } from './hash.js';

/** What `events.accepted` itself says of what has been accepted: asked only when nobody else knows. */
export interface AcceptedLog {
  /** Offsets that were the ends not long ago: what is sent from now on lies at or after them. */
  readonly bounds: Bounds;
  /** Which events lie between the bounds and the end. */
  find(from: Bounds): Promise<ReadonlySet<Hash>>;
}

/** @returns undefined for what is no record of ours */
export const hashOfRecord = (value: Buffer | string | null): Hash | undefined => {
  if (!Buffer.isBuffer(value)) return undefined;
  const { tenant, id } = unframe<Envelope>(value).head;
  return hashOfEvent(tenant, id);
};

export class KafkaAcceptedLog implements AcceptedLog {
  #bounds: Bounds = [];
  #refreshing: Promise<void> | undefined;

  /** @param topic name on the broker */
  constructor(
    private readonly kafka: Pick<Kafka, 'ends' | 'follow'>,
    private readonly topic: string,
  ) {}

  get bounds(): Bounds {
    return this.#bounds;
  }

  /** Moves the bounds on: the nearer they are to the end, the less has to be read when it comes to that. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined)));
  }

  async #refresh(): Promise<void> {
    const ends = await this.kafka.ends(this.topic);
    // A partition of which nothing is known is read from its beginning.
    this.#bounds = Array.from({ length: Math.max(-1, ...ends.keys()) + 1 }, (_, partition) => ends.get(partition) ?? 0);
  }

  async find(from: Bounds): Promise<ReadonlySet<Hash>> {
    const found = new Set<Hash>();
    const following = await this.kafka.follow({
      topic: this.topic,
      from: new Map(from.entries()),
      onRecord({ value }) {
        const hash = hashOfRecord(value);
        if (hash !== undefined) found.add(hash);
      },
    });
    await following.caughtUp.finally(() => following.close());
    return found;
  }
}
