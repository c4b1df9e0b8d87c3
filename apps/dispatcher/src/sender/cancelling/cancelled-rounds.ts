/** A round of a delivery, named by both; the delivery as `deliveryOfDay` names it. */
export type Round = { readonly delivery: string; readonly round: number };

const ID_PREFIX = 'dlv_'.length;
const DAY_MS = 86_400_000;

/** The 16 bytes that the delivery's id stands for and two for the day, a character each, and the round where it is not the first. */
const keyOf = ({ delivery, round }: Round): string => {
  const [id = '', day = ''] = delivery.slice(ID_PREFIX).split('/');
  const days = Math.floor(Date.parse(day) / DAY_MS);
  const bytes = Buffer.from(id, 'hex').toString('latin1') + String.fromCharCode((days >> 8) & 0xff, days & 0xff);
  return round === 0 ? bytes : bytes + String(round);
};

/**
 * Which rounds were cancelled, for as long as a record about one may still come: that is as long as the topic keeps it. Not only until the
 * first such record: after a crash there may be copies. Bounded: what was remembered first is forgotten first.
 */
export class CancelledRounds {
  /** When each was cancelled, in seconds since 1970, in the order in which they were added. */
  readonly #cancelledAt = new Map<string, number>();
  readonly #most: number;
  readonly #keepMs: number;
  #forgotten = 0;

  /**
   * @param most rounds that are remembered
   * @param keepMs since it was cancelled
   */
  constructor(most: number, keepMs: number) {
    this.#most = most;
    this.#keepMs = keepMs;
  }

  get size(): number {
    return this.#cancelledAt.size;
  }

  /** How many have been forgotten before their time. */
  get forgotten(): number {
    return this.#forgotten;
  }

  has(round: Round): boolean {
    return this.#cancelledAt.has(keyOf(round));
  }

  /** @returns whether it is remembered, and not so long ago that nobody has to know of it any more */
  add(round: Round, atMs: number, nowMs: number): boolean {
    if (this.#isOver(atMs / 1_000, nowMs)) return false;
    this.#cancelledAt.set(keyOf(round), Math.floor(atMs / 1_000));
    for (const [key, at] of this.#cancelledAt) {
      const isOver = this.#isOver(at, nowMs);
      if (!isOver && this.#cancelledAt.size <= this.#most) break;
      this.#cancelledAt.delete(key);
      if (!isOver) this.#forgotten += 1;
    }
    return true;
  }

  #isOver(atSeconds: number, nowMs: number): boolean {
    return atSeconds * 1_000 + this.#keepMs <= nowMs;
  }
}
