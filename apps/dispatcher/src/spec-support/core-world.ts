import type { LaneTerms } from '../sender/lane-terms.js';
import { LEAST_SHARE } from '../sender/lane.js';
import { SenderCore, type BreakerState, type Ending, type PostponeCause } from '../sender/sender-core.js';

export type Parcel = { readonly lane: string; readonly n: number; readonly bytes: number; readonly isReserved: boolean };
export type Started = { readonly parcel: Parcel; readonly atMs: number };
export type Postponed = { readonly parcel: Parcel; readonly atMs: number; readonly dueMs: number; readonly cause: PostponeCause };

export const fast: LaneTerms = { maxConcurrency: 10, timeoutMs: 15_000 };

/** The core of the sender and a clock that the spec turns. */
export class CoreWorld {
  nowMs = 1_000_000;
  readonly core: SenderCore<Parcel>;
  readonly started: Started[] = [];
  readonly postponed: Postponed[] = [];
  readonly transitions: string[] = [];
  /** In the order of their starts. */
  readonly underWay: Started[] = [];
  /** Numbers of those that were started late because of their own lane. */
  readonly held: number[] = [];
  /** Ended, and not yet recorded. */
  unrecorded = 0;
  #offered = 0;

  constructor({ maxInFlight = 100, laneBytes = 1_000_000, random = 0.5, startsATurn = Number.POSITIVE_INFINITY }: { maxInFlight?: number; laneBytes?: number; random?: number; startsATurn?: number } = {}) {
    this.core = new SenderCore({
      maxInFlight,
      startsATurn,
      windowBytes: laneBytes / LEAST_SHARE,
      random: () => random,
      start: (parcel, atMs, isHeld) => {
        if (isHeld) this.held.push(parcel.n);
        this.started.push({ parcel, atMs });
        this.underWay.push({ parcel, atMs });
      },
      postpone: (parcel, dueMs, cause) => void this.postponed.push({ parcel, atMs: this.nowMs, dueMs, cause }),
      onBreaker: (to: BreakerState, lane) => void this.transitions.push(`${lane} ${to}`),
    });
  }

  offer(lane: string, { count = 1, bytes = 100, heldBytes = bytes, isReserved = false, terms = fast, share = LEAST_SHARE }: { count?: number; bytes?: number; heldBytes?: number; isReserved?: boolean; terms?: LaneTerms; share?: number } = {}): void {
    for (let i = 0; i < count; i += 1) {
      const delivery = { lane, n: this.#offered++, bytes, isReserved };
      this.core.offer({ delivery, lane, bytes, heldBytes, isReserved, share }, terms, this.nowMs);
    }
  }

  /** Ends the eldest one under way of the lane, or that one. */
  end(lane: string, kind: Ending['kind'] = 'success', { retryAfterMs, at }: { retryAfterMs?: number; at?: number } = {}): void {
    const index = at ?? this.underWay.findIndex(({ parcel }) => parcel.lane === lane);
    const [ended] = this.underWay.splice(index, 1);
    if (index < 0 || ended === undefined) throw new Error(`nothing is under way in ${lane}`);
    this.unrecorded += 1;
    this.core.finished(lane, { kind, durationMs: this.nowMs - ended.atMs, ...(retryAfterMs !== undefined && { retryAfterMs }) }, this.nowMs);
  }

  record(): void {
    this.unrecorded -= 1;
    this.core.recorded(this.nowMs);
  }

  /** Ends it and records it. */
  finish(lane: string, kind?: Ending['kind'], rest?: { retryAfterMs?: number; at?: number }): void {
    this.end(lane, kind, rest);
    this.record();
  }

  /** Lets time pass, with a tick whenever the core asks for one. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let nextMs = this.core.nextTickMs; nextMs !== undefined && nextMs <= untilMs; nextMs = this.core.nextTickMs) {
      this.nowMs = Math.max(this.nowMs, Math.ceil(nextMs));
      this.core.tick(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  /** Everything that starts ends so long after, until nothing is under way and so much time has passed. */
  serve(lane: string, { ms, responseMs }: { ms: number; responseMs: number }): void {
    const untilMs = this.nowMs + ms;
    while (this.nowMs < untilMs) {
      const eldest = this.underWay.find(({ parcel }) => parcel.lane === lane);
      const nextMs = Math.min(eldest === undefined ? untilMs : eldest.atMs + responseMs, this.core.nextTickMs ?? untilMs, untilMs);
      this.pass(Math.max(0, Math.ceil(nextMs) - this.nowMs));
      while (this.underWay.some(({ parcel, atMs }) => parcel.lane === lane && atMs + responseMs <= this.nowMs)) this.finish(lane);
    }
  }

  countOf(lane: string): number {
    return this.started.filter(({ parcel }) => parcel.lane === lane).length;
  }
}
