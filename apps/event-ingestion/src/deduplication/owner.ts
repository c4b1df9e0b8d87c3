import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@posthorn/kafka';
import { type Claims, OwnerLost } from './claims.js';
import type { Timing } from './timing.js';

export type OwnerOptions = {
  readonly claims: Pick<Claims, 'enter' | 'claim'>;
  /** Its bounds move on with every beat. */
  readonly log: { refresh(): Promise<void> };
  readonly logger: Logger;
  readonly timing: Timing;
  /** PostgreSQL has answered a beat. */
  readonly onBeat: () => Promise<void>;
  /** Others have taken it for dead; it has another id already. */
  readonly onLost: () => void;
};

/**
 * In whose name events are claimed. It beats, so that others know it lives; it counts on its claims for a lease after it has last reached PostgreSQL; and
 * when it was taken for dead all the same, it goes on under another id, to which nothing belongs.
 */
export class Owner {
  #id: string = randomUUID();
  #reachedAtMs = -Infinity;
  #renewals: (() => void)[] = [];
  #trouble: string | undefined;
  #entering: Promise<void> | undefined;
  #beatTimer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(private readonly options: OwnerOptions) {}

  get id(): string {
    return this.#id;
  }

  /** Why nothing can be claimed. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Nobody can have taken its claims. */
  get isCertain(): boolean {
    return performance.now() < this.#reachedAtMs + this.options.timing.leaseMs;
  }

  /** Resolves as soon as it is certain; with false when it is closed before, as nothing makes it certain then. */
  async certainty(): Promise<boolean> {
    while (!this.isCertain && !this.#isClosed) await new Promise<void>((resolve) => this.#renewals.push(resolve));
    return this.isCertain;
  }

  /** @throws when PostgreSQL does not answer */
  enter(): Promise<void> {
    return this.options.claims.enter(this.#id);
  }

  /** Now, and then again and again until it is closed. */
  async beat(): Promise<void> {
    const { claims, log, onBeat, timing } = this.options;
    // While Kafka is away, the bounds stay where they were.
    log.refresh().catch(() => undefined);
    try {
      await this.speak((id) => claims.claim(id, [], undefined));
      await onBeat();
    } catch (error) {
      await this.failed(error);
    }
    if (!this.#isClosed) this.#beatTimer = setTimeout(() => void this.beat(), timing.beatMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#beatTimer);
    this.#wake();
  }

  /** @param statement tells others that it lives */
  async speak<T>(statement: (id: string) => Promise<T>): Promise<T> {
    const startedMs = performance.now();
    const answer = await statement(this.#id);
    this.#reached(startedMs);
    return answer;
  }

  /** Tries until it succeeds; undefined: it was closed before. */
  async insist<T>(attempt: () => Promise<T>): Promise<T | undefined> {
    const { firstPauseMs, longestPauseMs } = this.options.timing;
    for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, longestPauseMs)) {
      try {
        return await attempt();
      } catch (error) {
        await this.failed(error);
        if (this.#isClosed) return undefined;
        await pause(pauseMs);
      }
    }
  }

  /** Of a statement; when it returns, it can be tried again. */
  async failed(error: unknown): Promise<void> {
    if (error instanceof OwnerLost) return (this.#entering ??= this.#enterAnew());
    if (this.#trouble === undefined) this.options.logger.warn({ err: error }, 'events cannot be claimed; trying until they can');
    this.#trouble = error instanceof Error ? error.message : String(error);
  }

  /** What others make of the claims is theirs, and what is not acknowledged yet has to be claimed again. */
  async #enterAnew(): Promise<void> {
    const { claims, logger, onLost } = this.options;
    const id = randomUUID();
    try {
      const startedMs = performance.now();
      await claims.enter(id);
      logger.warn({}, 'was out of touch with PostgreSQL for too long; what is under way is claimed again');
      this.#id = id;
      onLost();
      this.#reached(startedMs);
    } catch (error) {
      await this.failed(error);
    } finally {
      this.#entering = undefined;
    }
  }

  /** @param startedMs before the statement: PostgreSQL has heard of us at that time or later */
  #reached(startedMs: number): void {
    this.#reachedAtMs = Math.max(this.#reachedAtMs, startedMs);
    if (this.#trouble !== undefined) this.options.logger.info({}, 'events can be claimed again');
    this.#trouble = undefined;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#renewals.splice(0)) wake();
  }
}
