import type { Time } from '@posthorn/kafka/simulation';

/** Something that lives in the simulation and can die: when it does, everything that was still to happen to it never does. */
export class Life {
  isOver = false;
  /** It stands still until then (a long collection of garbage, a machine that was moved), and notices nothing of it. */
  stalledUntilMs = 0;
  /** Events so far, without the periodic ones. */
  activity = 0;
  readonly parked = new Set<Periodic>();

  constructor(readonly name: string) {}
}

type Event = {
  atMs: number;
  readonly order: number;
  readonly life: Life;
  readonly run: () => void;
  readonly isPeriodic: boolean;
  isCancelled: boolean;
};

type Periodic = { readonly life: Life; readonly ms: number; readonly run: () => void; readonly phaseMs: number; seen: number; next: Event | undefined; isCancelled: boolean };

/** How a history came to its end: nothing was left to happen, or a bound was met before. */
export type Ending = 'rest' | 'stopped' | 'late' | 'endless';

/** Events that are run before Node gets to look at the world; after each of them it runs what promises have set free. */
const EVENTS_PER_TURN = 32;

/**
 * Virtual time, from 2026 on. Events run one after the other, in the order of their times; what promises set free by one is run to its end before
 * the next: Node does so between two callbacks of `setImmediate`, the only thing in the simulation that is not simulated.
 */
export class Clock {
  static readonly START_MS = Date.UTC(2026, 0, 1);
  #nowMs = Clock.START_MS;
  #order = 0;
  #events = 0;
  #isStopped = false;
  readonly #heap = new Heap();

  /** Milliseconds since 1970, with fractions. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** What a process reads off its wall. */
  get wallMs(): number {
    return Math.floor(this.#nowMs);
  }

  /** Since the beginning. */
  get elapsedMs(): number {
    return this.#nowMs - Clock.START_MS;
  }

  get events(): number {
    return this.#events;
  }

  after(life: Life, ms: number, run: () => void): () => void {
    return this.#push(life, this.#nowMs + ms, run, false);
  }

  /** As a promise, which stays open when its life ends before. */
  sleep(life: Life, ms: number): Promise<void> {
    return new Promise((resolve) => void this.after(life, ms, resolve));
  }

  /**
   * What is done periodically is done as long as something happens between two times. After that it is left out, but for once right before the next
   * thing happens: in between nothing but the time was different, and days go by in no time.
   */
  every(life: Life, ms: number, run: () => void): () => void {
    const periodic: Periodic = { life, ms, run, phaseMs: this.#nowMs, seen: -1, next: undefined, isCancelled: false };
    this.#arm(periodic);
    return () => {
      periodic.isCancelled = true;
      life.parked.delete(periodic);
      if (periodic.next !== undefined) periodic.next.isCancelled = true;
    };
  }

  /** As the Kafka library wants it handed in. */
  timeOf(life: Life): Time {
    return {
      nowMs: () => this.elapsedMs,
      // A timer of Node's takes a millisecond at least, and is not exact.
      after: (ms, run) => this.after(life, Math.max(1, ms), run),
      every: (ms, run) => this.every(life, ms, run),
    };
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Runs until nothing is left to happen. */
  run({ untilMs, maxEvents, onError }: { readonly untilMs: number; readonly maxEvents: number; readonly onError: (error: unknown) => void }): Promise<Ending> {
    return new Promise((resolve) => {
      let ending: Ending | undefined;
      const step = (): void => {
        if (ending !== undefined) return;
        const event = this.#next();
        if (this.#isStopped) ending = 'stopped';
        else if (event === undefined) ending = 'rest';
        else if (event.atMs > untilMs) ending = 'late';
        else if (this.#events >= maxEvents) ending = 'endless';
        else {
          try {
            this.#happen(event);
          } catch (error) {
            onError(error);
          }
        }
      };
      const turn = (): void => {
        if (ending !== undefined) return resolve(ending);
        for (let n = 0; n < EVENTS_PER_TURN; n++) setImmediate(step);
        setImmediate(turn);
      };
      turn();
    });
  }

  /** The next event that really happens. */
  #next(): Event | undefined {
    for (;;) {
      const event = this.#heap.pop();
      if (event === undefined) return undefined;
      if (event.isCancelled || event.life.isOver) continue;
      if (event.life.stalledUntilMs <= event.atMs) return event;
      event.atMs = event.life.stalledUntilMs;
      this.#heap.push(event);
    }
  }

  #happen({ atMs, life, run, isPeriodic }: Event): void {
    this.#nowMs = Math.max(this.#nowMs, atMs);
    this.#events += 1;
    if (!isPeriodic) {
      if (life.parked.size > 0) this.#unpark(life);
      life.activity += 1;
    }
    run();
  }

  #arm(periodic: Periodic): void {
    const { life, ms, phaseMs } = periodic;
    const turns = Math.floor((this.#nowMs - phaseMs) / ms) + 1;
    const event = this.#entry(life, phaseMs + turns * ms, () => this.#tick(periodic), true);
    periodic.next = event;
    this.#heap.push(event);
  }

  #tick(periodic: Periodic): void {
    if (periodic.seen === periodic.life.activity) {
      periodic.next = undefined;
      periodic.life.parked.add(periodic);
      return;
    }
    periodic.seen = periodic.life.activity;
    periodic.run();
    if (!periodic.isCancelled) this.#arm(periodic);
  }

  #unpark(life: Life): void {
    const parked = [...life.parked];
    life.parked.clear();
    for (const periodic of parked) {
      periodic.run();
      if (!periodic.isCancelled) this.#arm(periodic);
    }
  }

  #push(life: Life, atMs: number, run: () => void, isPeriodic: boolean): () => void {
    const event = this.#entry(life, atMs, run, isPeriodic);
    this.#heap.push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  #entry(life: Life, atMs: number, run: () => void, isPeriodic: boolean): Event {
    this.#order += 1;
    return { atMs, order: this.#order, life, run, isPeriodic, isCancelled: false };
  }
}

/** Events by time and, at the same time, in the order in which they were planned. A binary heap. */
class Heap {
  readonly #events: Event[] = [];

  push(event: Event): void {
    const events = this.#events;
    let at = events.length;
    events.push(event);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = events[above];
      if (parent === undefined || !isBefore(event, parent)) break;
      events[at] = parent;
      at = above;
    }
    events[at] = event;
  }

  pop(): Event | undefined {
    const events = this.#events;
    const first = events[0];
    const last = events.pop();
    if (first === undefined || last === undefined || events.length === 0) return first;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      let child = events[below];
      const right = events[below + 1];
      if (child !== undefined && right !== undefined && isBefore(right, child)) {
        child = right;
        below += 1;
      }
      if (child === undefined || !isBefore(child, last)) break;
      events[at] = child;
      at = below;
    }
    events[at] = last;
    return first;
  }
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
