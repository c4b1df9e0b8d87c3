import type { KeyUsed } from '@posthorn/contracts';

export type KeyUsageOptions = {
  readonly service: string;
  /** Resolves when Kafka has it. */
  readonly send: (used: KeyUsed) => Promise<unknown>;
  readonly log: { debug(fields: object, message: string): void };
  readonly now?: () => number;
};

const INTERVAL_MS = 60_000;
/** While Kafka is away notes pile up; beyond these none are made, until some are gone. */
const MOST_UNDER_WAY = 1_000;

/** Tells that keys are used, each at most once a minute. Nobody waits for it: a note that is lost is made again a minute later. */
export class KeyUsage {
  /** When each key was last told of, the oldest first; none older than a minute stays. */
  readonly #toldMs = new Map<string, number>();
  #underWay = 0;
  readonly #options: KeyUsageOptions;
  readonly #now: () => number;

  constructor(options: KeyUsageOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  used(keyId: string): void {
    const nowMs = this.#now();
    const toldMs = this.#toldMs.get(keyId);
    if ((toldMs !== undefined && nowMs - toldMs < INTERVAL_MS) || this.#underWay >= MOST_UNDER_WAY) return;
    for (const [id, ms] of this.#toldMs) {
      if (nowMs - ms < INTERVAL_MS) break;
      this.#toldMs.delete(id);
    }
    this.#toldMs.set(keyId, nowMs);
    void this.#tell({ key_id: keyId, service: this.#options.service, at: new Date(nowMs).toISOString() });
  }

  async #tell(used: KeyUsed): Promise<void> {
    this.#underWay++;
    try {
      await this.#options.send(used);
    } catch (err) {
      this.#options.log.debug({ err }, 'could not note that a key was used');
    } finally {
      this.#underWay--;
    }
  }
}
