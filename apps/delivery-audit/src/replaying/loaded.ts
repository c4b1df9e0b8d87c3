/** Of a topic, by partition. */
type Offsets = ReadonlyMap<number, number>;

export type LoadedParts = {
  /** Names on the broker of the topics that the selections of replays depend on. */
  readonly topics: readonly string[];
  /** One past the last record. */
  readonly ends: (topic: string) => Promise<Offsets>;
  /** Up to where the audit has committed its rows. */
  readonly progress: (topic: string) => Promise<Offsets>;
};

const hasPassed = (progress: Offsets, ends: Offsets): boolean => [...ends].every(([partition, end]) => (progress.get(partition) ?? 0) >= end);

/**
 * Whether the tables have what was in Kafka when a replay was first looked at. Without it, a replay up to now would end before what came last has been loaded, and nobody
 * would send that.
 */
export class Loaded {
  readonly #parts: LoadedParts;
  readonly #awaited = new Map<string, ReadonlyMap<string, Offsets>>();

  constructor(parts: LoadedParts) {
    this.#parts = parts;
  }

  async isLoadedFor(replay: string): Promise<boolean> {
    const { topics, progress } = this.#parts;
    const awaited = this.#awaited.get(replay) ?? (await this.#begin(replay));
    for (const topic of topics) if (!hasPassed(await progress(topic), awaited.get(topic) ?? new Map())) return false;
    return true;
  }

  forget(replay: string): void {
    this.#awaited.delete(replay);
  }

  async #begin(replay: string): Promise<ReadonlyMap<string, Offsets>> {
    const { topics, ends } = this.#parts;
    const awaited = new Map(await Promise.all(topics.map(async (topic) => [topic, await ends(topic)] as const)));
    this.#awaited.set(replay, awaited);
    return awaited;
  }
}
