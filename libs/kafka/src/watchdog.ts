/** A partition as the watchdog sees it. */
export type Pulse = {
  readonly topic: string;
  readonly partition: number;
  /** Lowest offset that is not done. */
  readonly low: number;
  /** Completions so far, in any order. */
  readonly completed: number;
  /** Whether there is something to do: records in flight, or behind the end of the log. */
  readonly busy: boolean;
};

export type Stall = { readonly topic: string; readonly partition: number; readonly offset: string; readonly forMs: number };

type Seen = { readonly low: number; readonly completed: number; readonly sinceMs: number };

/** Notices a partition that has work and does none. Pure: whoever looks brings the clock. */
export class Watchdog {
  #seen = new Map<string, Seen>();

  constructor(readonly stallMs: number) {}

  /** The partitions that have been standing still for at least `stallMs`, longest first. Partitions not mentioned are forgotten. */
  look(pulses: Iterable<Pulse>, nowMs: number): readonly Stall[] {
    const seen = new Map<string, Seen>();
    const stalls: Stall[] = [];
    for (const { topic, partition, low, completed, busy } of pulses) {
      const key = `${topic}/${partition}`;
      const before = this.#seen.get(key);
      const isStill = busy && before?.low === low && before.completed === completed;
      const sinceMs = isStill ? before.sinceMs : nowMs;
      seen.set(key, { low, completed, sinceMs });
      const forMs = nowMs - sinceMs;
      if (isStill && forMs >= this.stallMs) stalls.push({ topic, partition, offset: String(low), forMs });
    }
    this.#seen = seen;
    return stalls.sort((a, b) => b.forMs - a.forMs);
  }
}
