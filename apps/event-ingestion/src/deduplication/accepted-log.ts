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

/** @returns undefined for what is no record of ours: whoever may write to the topic may write anything, and it stays there for days */
export const hashOfRecord = (value: Buffer | string | null): Hash | undefined => {
  if (!Buffer.isBuffer(value)) return undefined;
  const { tenant, id } = headOf(value) ?? {};
  return typeof tenant === 'string' && typeof id === 'string' ? hashOfEvent(tenant, id) : undefined;
};

const headOf = (value: Buffer): Partial<Envelope> | null => {
  try {
    return unframe<Partial<Envelope> | null>(value).head;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
};

/** Others may write while nothing is claimed here: the next claim would have so much to read at most. */
const AT_REST_MS = 30_000;

export class KafkaAcceptedLog implements AcceptedLog {
  #bounds: Bounds = [];
  /** Something may have been claimed with the bounds as they are. */
  #isUsed = true;
  #refreshedAtMs = 0;
  #refreshing: Promise<void> | undefined;

  /** @param topic name on the broker */
  constructor(
    private readonly kafka: Pick<Kafka, 'ends' | 'follow'>,
    private readonly topic: string,
    private readonly nowMs: () => number = () => performance.now(),
  ) {}

  get bounds(): Bounds {
    this.#isUsed = true;
    return this.#bounds;
  }

  /** Moves the bounds on: the nearer they are to the end, the less has to be read when it comes to that. At rest they may stay where they are for a while. */
  async refresh(): Promise<void> {
    if (!this.#isUsed && this.nowMs() < this.#refreshedAtMs + AT_REST_MS) return;
    await (this.#refreshing ??= this.#refresh().finally(() => (this.#refreshing = undefined)));
  }

  async #refresh(): Promise<void> {
    const startedMs = this.nowMs();
    this.#isUsed = false;
    const ends = await this.kafka.ends(this.topic).catch((error: unknown) => {
      this.#isUsed = true;
      throw error;
    });
    this.#refreshedAtMs = startedMs;
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
