import { Problem, type Caller } from '@posthorn/service-kit';
import { catchUp, within, type CatchUpLimits } from './catch-up.js';
import { placeOf, type Place } from './place.js';
import { Reading, type Log, type Source } from './reading.js';
import { Stand } from './stand.js';
import { Watch, type Wanted } from './watch.js';

export type TailLimits = {
  /** In this process. */
  readonly watchers: number;
  /** Of one API key, or of the portal tokens that it made for one tenant. */
  readonly perKey: number;
};

export type TailOptions = {
  readonly source: Source;
  readonly limits: TailLimits;
  readonly metrics: { readonly watchers: (count: number) => void; readonly missed: () => void };
  readonly log: Log;
  /** Aborted when the process wants to end. */
  readonly stopping: AbortSignal;
  readonly maxBytes?: number;
  readonly quietMs?: number;
  readonly catchUpLimits?: CatchUpLimits;
};

/** News of a few seconds at any rate that a person could follow. */
const MAX_BYTES = 512 * 1024;
/** Below the half minute after which proxies as a rule take a silent connection for a dead one. */
const QUIET_MS = 15_000;
const CATCH_UP_LIMITS: CatchUpLimits = { bytes: 256 * 1024 * 1024, ms: 60_000 };
/** Readings for one watch alone that are under way at a time; others wait for their turn. Each holds what one fetch brings, 8 MiB at most. */
const MOST_CATCHING_UP = 4;
const RETRY_AFTER_S = 5;

const tooMany = (what: string): Problem =>
  new Problem('rate_limited', `${what} Close one, or try again later.`, { headers: { 'retry-after': String(RETRY_AFTER_S) } });

const shuttingDown = (): Problem => new Problem('unavailable', 'The service is shutting down.');

const whoOf = ({ actor, tenant = '' }: Caller): string => `${actor} ${tenant}`;

/** Tells what happens to deliveries as it happens. Reads Kafka only while somebody watches, once for all of them. */
export class Tail {
  readonly #options: TailOptions;
  readonly #watches = new Set<Watch>();
  readonly #byKey = new Map<string, number>();
  #count = 0;
  #reading: Promise<Reading> | undefined;
  #catchingUp = 0;
  readonly #turns: (() => void)[] = [];

  constructor(options: TailOptions) {
    this.#options = options;
    options.stopping.addEventListener('abort', () => {
      for (const watch of this.#watches) watch.close(shuttingDown());
    });
  }

  /**
   * @param after the last place that was told to this watcher; undefined: from now on
   * @param signal aborted when nobody watches any more; its reason is told to who still does
   * @throws {Problem} `malformed` when `after` is no place, `rate_limited`, `unavailable`
   */
  async open(wanted: Wanted, { caller, after, signal }: { readonly caller: Caller; readonly after: string | undefined; readonly signal: AbortSignal }): Promise<Watch> {
    const place = after === undefined ? undefined : readPlace(after);
    const release = this.#admit(caller);
    try {
      const watch = await this.#begin(wanted, place);
      void watch.closed.then(release);
      signal.addEventListener('abort', () => watch.close(signal.reason));
      if (signal.aborted) watch.close(signal.reason);
      return watch;
    } catch (error) {
      release();
      throw error;
    }
  }

  async #begin(wanted: Wanted, after: Place | undefined): Promise<Watch> {
    const { source, stopping, metrics, maxBytes = MAX_BYTES, quietMs = QUIET_MS } = this.#options;
    const reading = await (this.#reading ??= this.#startReading());
    const resumed = after && within(after, await source.extents());
    if (stopping.aborted) throw shuttingDown();
    const { positions } = reading;
    const stand = resumed && new Stand(resumed.place, positions);
    const watch = new Watch({ wanted, positions, stand, maxBytes, quietMs, onMissed: metrics.missed });
    if (resumed?.isWhole === false) watch.miss({ reason: 'expired' });
    reading.add(watch);
    this.#watches.add(watch);
    void watch.closed.then(() => {
      reading.remove(watch);
      this.#watches.delete(watch);
    });
    if (stand?.isBehind) void this.#catchUp(watch, stand, positions);
    return watch;
  }

  /** Never rejects. */
  async #catchUp(watch: Watch, stand: Stand, positions: Reading['positions']): Promise<void> {
    const { source, log, catchUpLimits: limits = CATCH_UP_LIMITS } = this.#options;
    // Whoever has had its turn gives it on.
    if (this.#catchingUp >= MOST_CATCHING_UP) await new Promise<void>((resolve) => void this.#turns.push(resolve));
    else this.#catchingUp += 1;
    try {
      if (!watch.isOver) await catchUp({ watch, stand, source, positions, limits, log });
    } catch (cause) {
      watch.close(new Problem('unavailable', 'Kafka does not answer.', { cause }));
    }
    const next = this.#turns.shift();
    if (next) next();
    else this.#catchingUp -= 1;
  }

  #startReading(): Promise<Reading> {
    const starting = Reading.start(this.#options.source, this.#options.log);
    starting.catch(() => {
      if (this.#reading === starting) this.#reading = undefined;
    });
    return starting;
  }

  /** Counts one more. @returns to be called once, when there is one less */
  #admit(caller: Caller): () => void {
    const { limits, stopping } = this.#options;
    const who = whoOf(caller);
    const ofKey = this.#byKey.get(who) ?? 0;
    if (stopping.aborted) throw shuttingDown();
    if (ofKey >= limits.perKey) throw tooMany(`This key has ${ofKey} tails open.`);
    if (this.#count >= limits.watchers) throw tooMany('As many tails are open here as there may be.');
    this.#byKey.set(who, ofKey + 1);
    this.#counted(1);
    return () => {
      const left = (this.#byKey.get(who) ?? 0) - 1;
      if (left > 0) this.#byKey.set(who, left);
      else this.#byKey.delete(who);
      this.#counted(-1);
    };
  }

  #counted(more: number): void {
    this.#count += more;
    this.#options.metrics.watchers(this.#count);
    if (this.#count > 0 || this.#reading === undefined) return;
    const reading = this.#reading;
    this.#reading = undefined;
    void reading.then((started) => started.close()).catch((err: unknown) => this.#options.log.warn({ err }, 'the reading of a tail did not end well'));
  }
}

const readPlace = (text: string): Place => {
  const place = placeOf(text);
  if (place) return place;
  throw new Problem('malformed', 'This is no place in the tail. Go on after one that was told, or leave it out.');
};
