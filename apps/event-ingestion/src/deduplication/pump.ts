import { setTimeout as pause } from 'node:timers/promises';
import type { Entry } from './entry.js';
import type { Holdings } from './holdings.js';
import type { Owner } from './owner.js';
import type { Timing } from './timing.js';

export type PumpOptions = {
  readonly owner: Pick<Owner, 'isClosed'>;
  readonly holdings: Pick<Holdings, 'areToBeClosed' | 'close'>;
  readonly timing: Timing;
  /** In the order of their places. */
  readonly claim: (batch: readonly Entry[]) => Promise<void>;
  readonly onLate: (entry: Entry) => void;
};

const MOST_AT_ONCE = 1_000;

/**
 * The queue of what is to be claimed: one statement is in flight at a time, and the next one takes along whatever has come, or become due, meanwhile. An event
 * that comes alone is claimed at once. Under load there is a pace: a statement costs both sides what dozens of ids in it do.
 */
export class Pump {
  #queue: Entry[] = [];
  #isPumping = false;
  #timer: NodeJS.Timeout | undefined;
  #pumpsAtMs = Infinity;
  #closeTimer: NodeJS.Timeout | undefined;
  /** When the next statement may begin. */
  #notBeforeMs = -Infinity;

  constructor(private readonly options: PumpOptions) {}

  add(entry: Entry): void {
    this.#queue.push(entry);
    // A microtask later, so that what is sent in a row is claimed together.
    if (!this.#isPumping) queueMicrotask(() => void this.#pump());
  }

  /** After a pause that grows from time to time. */
  addAgain(entry: Entry): void {
    entry.dueAtMs = performance.now() + entry.pauseMs;
    entry.pauseMs = Math.min(2 * entry.pauseMs, this.options.timing.longestPauseMs);
    this.#queue.push(entry);
    if (!this.#isPumping) this.#pumpAt(entry.dueAtMs);
  }

  /** Should no claim come along by which what is settled can be closed. */
  closeSoon(): void {
    const { holdings, owner, timing } = this.options;
    if (this.#isPumping || owner.isClosed || !holdings.areToBeClosed) return;
    this.#closeTimer ??= setTimeout(() => {
      this.#closeTimer = undefined;
      if (holdings.areToBeClosed && !this.#isPumping) void this.#close();
    }, timing.closeWithinMs);
  }

  /** @returns what has not been claimed */
  stop(): readonly Entry[] {
    clearTimeout(this.#timer);
    clearTimeout(this.#closeTimer);
    return this.#queue.splice(0);
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let batch = await this.#next(); batch.length > 0; batch = await this.#next()) await this.options.claim(batch);
    this.#isPumping = false;
    this.#pumpAt(this.#queue.reduce((earliest, { dueAtMs }) => Math.min(earliest, dueAtMs), Infinity));
    this.closeSoon();
  }

  get #waitMs(): number {
    return this.#notBeforeMs - performance.now();
  }

  /** What is due, when its time has come. */
  async #next(): Promise<readonly Entry[]> {
    // A timer counts in whole milliseconds, and may be early by two.
    for (let waitMs = this.#waitMs; waitMs > 0 && this.#queue.length > 0; waitMs = this.#waitMs) await pause(waitMs);
    const batch = this.#take();
    // What did not fit follows at once. Ids that are no events come two by two, with each Idempotency-Key: no sign of load.
    const isLoad = batch.length < MOST_AT_ONCE && batch.filter(({ bytes }) => bytes > 0).length > 1;
    if (isLoad) this.#notBeforeMs = performance.now() + this.options.timing.paceMs;
    return batch;
  }

  /** Should it not be looked at before anyway. */
  #pumpAt(dueAtMs: number): void {
    if (dueAtMs >= this.#pumpsAtMs) return;
    clearTimeout(this.#timer);
    this.#pumpsAtMs = dueAtMs;
    const pump = (): void => {
      this.#pumpsAtMs = Infinity;
      void this.#pump();
    };
    this.#timer = setTimeout(pump, Math.max(0, dueAtMs - performance.now()));
  }

  async #close(): Promise<void> {
    this.#isPumping = true;
    await this.options.holdings.close();
    this.#isPumping = false;
    await this.#pump();
  }

  /** What is due. */
  #take(): readonly Entry[] {
    const nowMs = performance.now();
    const batch: Entry[] = [];
    const rest: Entry[] = [];
    for (const entry of this.#queue) {
      if (entry.expiresAtMs <= nowMs) this.options.onLate(entry);
      else if (entry.dueAtMs <= nowMs && batch.length < MOST_AT_ONCE) batch.push(entry);
      else rest.push(entry);
    }
    this.#queue = rest;
    return batch.sort((a, b) => a.place - b.place);
  }
}
