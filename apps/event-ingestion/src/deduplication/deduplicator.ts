import { randomUUID } from 'node:crypto';
import { type GuardVerdict, KafkaError, type Logger, type OutgoingRecord, type Producer, type ProducerGuard } from '@posthorn/kafka';
import { type AcceptedLog, hashOfRecord } from './accepted-log.js';
import { type Bounds, type Claimed, type Claims, OwnerLost } from './claims.js';
import type { Hash } from './hash.js';
import { Lanes } from './lanes.js';

/** An event on its way to `events.accepted`. */
export type Outgoing = {
  /** Absent: nobody can publish it again, because nobody but us knows its id. */
  readonly hash: Hash | undefined;
  /** Events of the same key keep their order. */
  readonly key: string | undefined;
  readonly record: OutgoingRecord;
};

/** `duplicate`: it had been accepted before. */
export type Ended = 'accepted' | 'duplicate';

/** What is remembered besides events; `keep` or `forget` is called once. */
export type Note = { readonly kind: 'known' } | { readonly kind: 'new'; readonly keep: () => void; readonly forget: () => void };

export type DeduplicatorOptions = {
  readonly claims: Claims;
  readonly log: AcceptedLog & { refresh(): Promise<void> };
  /** Name of `events.accepted` on the broker. */
  readonly topic: string;
  /** Opens the one producer through which claimed events go. */
  readonly openProducer: (guard: ProducerGuard) => Promise<Producer>;
  readonly logger: Logger;
  readonly onStatement: (seconds: number) => void;
  /** For tests. */
  readonly timing?: Timing;
};

/** An owner that has not been heard of for so long may be taken for dead. It stops counting on its claims well before. */
export const LAPSE_MS = 5_000;

const TIMING = {
  /** How long after it last reached PostgreSQL an owner counts on its claims. */
  leaseMs: 3_000,
  beatMs: 1_000,
  firstPauseMs: 10,
  longestPauseMs: 250,
  /** Closing waits for the next claim, but not for ever: what is closed late is in doubt longer if this process dies. */
  closeWithinMs: 100,
  /** After an attempt without an answer: what the broker had in hand then is in the log by now, or never. */
  settledAfterMs: 1_000,
};
export type Timing = Readonly<typeof TIMING>;

const MOST_HASHES = 1_000;
/** Longer than PostgreSQL takes to have a commit on the disk that did not wait for it. */
const REMEMBERED_MS = 5_000;
const LATE = 'the event was not accepted in time';

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** What one statement has taken. */
type Holding = {
  id: string;
  readonly owner: string;
  readonly ticket: number;
  readonly bounds: Bounds;
  /** Without what has been released. */
  readonly hashes: Set<Hash>;
  readonly accepted: Entry[];
  /** Events whose fate is not known yet. */
  open: number;
  closedAtMs: number | undefined;
};

type Entry = {
  readonly hash: Hash;
  readonly key: string | undefined;
  readonly bytes: number;
  /** What is to be done with it once it is claimed. */
  readonly go: (entry: Entry, holding: Holding) => void;
  readonly place: number;
  expiresAtMs: number;
  /** Not asked for again before. */
  dueAtMs: number;
  pauseMs: number;
  holding: Holding | undefined;
  readonly ended: Promise<Ended>;
  readonly resolve: (ended: Ended) => void;
  readonly reject: (error: unknown) => void;
};

const KNOWN: Note = { kind: 'known' };

/**
 * Lets every event into `events.accepted` once, however often and wherever it is published.
 *
 * An event is claimed in PostgreSQL, produced, and its claim closed with the next statement. One statement is in flight at a time and takes along
 * whatever has come meanwhile. A claim that somebody else has closed makes a duplicate. One that is open leaves the event in doubt: it is asked for
 * again, and what follows it with the same key waits; when the other's process has died, `orphans.ts` settles its claims.
 *
 * An owner counts on its claims only for a while (`leaseMs`) after it has last reached PostgreSQL; after `LAPSE_MS` others may take them over. One that
 * was taken for dead enters anew, and claims again what it has not had acknowledged.
 */
export class Deduplicator {
  readonly #entries = new Map<Hash, Entry>();
  readonly #lanes = new Lanes<Entry>();
  #queue: Entry[] = [];
  #holdings: Holding[] = [];
  #unclosed: Holding[] = [];
  readonly #ownerOf = new WeakMap<OutgoingRecord, string>();
  #owner: string = randomUUID();
  #reachedAtMs = -Infinity;
  #renewals: (() => void)[] = [];
  #producer: Producer | undefined;
  #boundsOfAttempt: Bounds = [];
  #ticket = 0;
  #place = 0;
  #waitingBytes = 0;
  #connections: number | undefined;
  #isPumping = false;
  #isClosed = false;
  #trouble: string | undefined;
  #pumpTimer: NodeJS.Timeout | undefined;
  #pumpsAtMs = Infinity;
  #closeTimer: NodeJS.Timeout | undefined;
  #entering: Promise<void> | undefined;
  #beatTimer: NodeJS.Timeout | undefined;

  readonly #timing: Timing;

  private constructor(private readonly options: DeduplicatorOptions) {
    this.#timing = options.timing ?? TIMING;
  }

  /** @throws when neither PostgreSQL nor Kafka answers */
  static async open(options: DeduplicatorOptions): Promise<Deduplicator> {
    const deduplicator = new Deduplicator(options);
    await options.log.refresh();
    await options.claims.enter(deduplicator.#owner);
    deduplicator.#producer = await options.openProducer(deduplicator.#guard);
    await deduplicator.#beat();
    return deduplicator;
  }

  get owner(): string {
    return this.#owner;
  }

  /** Why nothing can be claimed. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get pendingBytes(): number {
    return this.#waitingBytes + this.#opened.pendingBytes;
  }

  /**
   * Synchronous up to the queue, so that events of a key leave in the order of the calls.
   * @param deadlineMs after which it is given up, unless it is on its way to Kafka; then its fate is waited for
   * @throws {KafkaError} as `Producer.send`; `unavailable`: it was not accepted
   */
  send(event: Outgoing, deadlineMs?: number): Promise<Ended> {
    return this.#send(event, expiryAfter(deadlineMs));
  }

  /** A record that is no event: not claimed, and sent as it comes. */
  write(record: OutgoingRecord, deadlineMs?: number): Promise<void> {
    return this.#opened.send(record, { deadlineMs });
  }

  /**
   * Remembers a hash that is no event's.
   * @throws {KafkaError} `unavailable`
   */
  async note(hash: Hash, deadlineMs: number): Promise<Note> {
    const expiresAtMs = expiryAfter(deadlineMs);
    for (let other = this.#entries.get(hash); other !== undefined; other = this.#entries.get(hash)) {
      if ((await other.ended.catch(() => undefined)) !== undefined) return KNOWN;
    }
    return new Promise((resolve, reject) => {
      const go = (entry: Entry, holding: Holding): void => {
        const forget = (): void => void this.#notAccepted(entry, holding, new KafkaError('unavailable', 'forgotten'));
        resolve({ kind: 'new', keep: () => this.#accepted(entry, holding), forget });
      };
      this.#enter({ hash, key: undefined, bytes: 0, go }, expiresAtMs).then(() => resolve(KNOWN), reject);
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#beatTimer);
    await this.#producer?.flush();
    // What has just been acknowledged is handed over to be closed in the turn after.
    await pause(0);
    for (const entry of this.#queue.splice(0)) this.#fail(entry, new KafkaError('closed', 'closed before the event had been claimed'));
    clearTimeout(this.#pumpTimer);
    clearTimeout(this.#closeTimer);
    if (this.#unclosed.length > 0) await this.#statement(undefined);
    await this.options.claims.close(this.#owner);
  }

  get #opened(): Producer {
    if (!this.#producer) throw new Error('not open');
    return this.#producer;
  }

  #send(event: Outgoing, expiresAtMs: number): Promise<Ended> {
    const { hash, key, record } = event;
    if (hash === undefined) return this.#opened.send(record, deadlineOf(expiresAtMs)).then(() => 'accepted');
    const other = this.#entries.get(hash);
    if (!other) {
      const go = (entry: Entry, holding: Holding): void => this.#produce(entry, holding, record);
      return this.#enter({ hash, key, bytes: record.value?.length ?? 0, go }, expiresAtMs);
    }
    other.expiresAtMs = Math.max(other.expiresAtMs, expiresAtMs);
    return other.ended.then(
      () => 'duplicate',
      (error: unknown) => {
        if (!(error instanceof KafkaError) || error.code !== 'unavailable') throw error;
        return this.#send(event, expiresAtMs);
      },
    );
  }

  #enter(event: Pick<Entry, 'hash' | 'key' | 'bytes' | 'go'>, expiresAtMs: number): Promise<Ended> {
    if (this.#isClosed) return Promise.reject(new KafkaError('closed', 'closing'));
    if (expiresAtMs <= performance.now()) return Promise.reject(new KafkaError('unavailable', LATE));
    const { promise: ended, resolve, reject } = Promise.withResolvers<Ended>();
    const entry: Entry = { ...event, place: this.#place++, expiresAtMs, dueAtMs: 0, pauseMs: this.#timing.firstPauseMs, holding: undefined, ended, resolve, reject };
    this.#entries.set(event.hash, entry);
    this.#queue.push(entry);
    this.#waitingBytes += event.bytes;
    this.#pumpSoon();
    return ended;
  }

  // The queue

  #pumpSoon(): void {
    // A microtask later, so that what is sent in a row is claimed together.
    if (!this.#isPumping) queueMicrotask(() => void this.#pump());
  }

  async #pump(): Promise<void> {
    if (this.#isPumping) return;
    this.#isPumping = true;
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) await this.#claim(batch);
    this.#isPumping = false;
    this.#pumpAt(this.#queue.reduce((earliest, { dueAtMs }) => Math.min(earliest, dueAtMs), Infinity));
    if (this.#unclosed.length > 0) this.#closeSoon();
  }

  /** Should it not be looked at before anyway. */
  #pumpAt(dueAtMs: number): void {
    if (dueAtMs >= this.#pumpsAtMs) return;
    clearTimeout(this.#pumpTimer);
    this.#pumpsAtMs = dueAtMs;
    const pump = (): void => {
      this.#pumpsAtMs = Infinity;
      void this.#pump();
    };
    this.#pumpTimer = setTimeout(pump, Math.max(0, dueAtMs - performance.now()));
  }

  /** Should no claim come along. */
  #closeSoon(): void {
    if (this.#isPumping || this.#isClosed) return;
    this.#closeTimer ??= setTimeout(() => {
      this.#closeTimer = undefined;
      if (this.#unclosed.length > 0 && !this.#isPumping) void this.#closeClaims();
    }, this.#timing.closeWithinMs);
  }

  async #closeClaims(): Promise<void> {
    this.#isPumping = true;
    await this.#statement(undefined);
    this.#isPumping = false;
    await this.#pump();
  }

  /** What is due, in its order. */
  #take(): readonly Entry[] {
    const nowMs = performance.now();
    const batch: Entry[] = [];
    const rest: Entry[] = [];
    for (const entry of this.#queue) {
      if (entry.expiresAtMs <= nowMs) this.#fail(entry, new KafkaError('unavailable', LATE));
      else if (entry.dueAtMs <= nowMs && batch.length < MOST_HASHES) batch.push(entry);
      else rest.push(entry);
    }
    this.#queue = rest;
    return batch.sort((a, b) => a.place - b.place);
  }

  // Claims

  async #claim(batch: readonly Entry[]): Promise<void> {
    const byHash = [...batch].sort((a, b) => (a.hash < b.hash ? -1 : 1));
    const claim = { ticket: ++this.#ticket, hashes: byHash.map(({ hash }) => hash), bounds: this.options.log.bounds, staysOpen: true };
    const claimed = await this.#statement(claim);
    if (!claimed) {
      for (const entry of batch) this.#fail(entry, new KafkaError('closed', 'closed before the event had been claimed'));
      return;
    }
    const lost = new Map([...claimed.lost].map(([place, how]) => [byHash[place], how]));
    const won = batch.filter((entry) => !lost.has(entry));
    const holding: Holding = {
      id: claimed.id,
      owner: this.#owner,
      ticket: claim.ticket,
      bounds: claim.bounds,
      hashes: new Set(won.map(({ hash }) => hash)),
      accepted: [],
      open: won.length,
      closedAtMs: undefined,
    };
    if (won.length > 0) this.#holdings.push(holding);
    for (const entry of batch) {
      const how = lost.get(entry);
      if (how === 'open') this.#doubt(entry);
      else if (how === 'closed') this.#end(entry, 'duplicate');
      else this.#hold(entry, holding);
    }
  }

  /** Until it succeeds: what was sent before may have been done, and under the same ticket it is not done twice. */
  async #statement(claim: Parameters<Claims['claim']>[2]): Promise<Claimed | undefined> {
    for (let pauseMs = this.#timing.firstPauseMs; ; pauseMs = Math.min(2 * pauseMs, this.#timing.longestPauseMs)) {
      const startedMs = performance.now();
      const closed = this.#unclosed.filter(({ owner }) => owner === this.#owner);
      try {
        const claimed = await this.options.claims.claim(this.#owner, closed.map(({ id }) => id), claim);
        this.#reached(startedMs);
        this.options.onStatement((performance.now() - startedMs) / 1000);
        this.#forget(closed);
        await this.#reassert();
        return claimed;
      } catch (error) {
        await this.#failed(error);
        if (this.#isClosed) return undefined;
        await pause(pauseMs);
      }
    }
  }

  /** On a new connection, PostgreSQL may have crashed and have forgotten what did not wait for its disk: claims it again. */
  async #reassert(): Promise<void> {
    const { claims } = this.options;
    const before = this.#connections;
    if (before === claims.connections) return;
    this.#connections = claims.connections;
    if (before === undefined) return;
    try {
      for (const holding of this.#holdings) {
        const { owner, ticket, bounds, closedAtMs } = holding;
        const claimed = await claims.claim(owner, [], { ticket, hashes: [...holding.hashes].sort(), bounds, staysOpen: true });
        if (claimed) holding.id = claimed.id;
        if (closedAtMs !== undefined && !this.#unclosed.includes(holding)) this.#unclosed.push(holding);
      }
    } catch (error) {
      this.#connections = before;
      await this.#failed(error);
    }
  }

  #forget(closed: readonly Holding[]): void {
    const nowMs = performance.now();
    for (const holding of closed) {
      holding.closedAtMs ??= nowMs;
      for (const { hash } of holding.accepted) this.#entries.delete(hash);
    }
    this.#unclosed = this.#unclosed.filter((holding) => holding.owner === this.#owner && !closed.includes(holding));
    const isRecent = ({ closedAtMs }: Holding): boolean => closedAtMs === undefined || closedAtMs > nowMs - REMEMBERED_MS;
    if (this.#holdings.some((holding) => !isRecent(holding))) this.#holdings = this.#holdings.filter(isRecent);
  }

  /** Claimed by us: goes on, if nothing of its key that is in doubt stands before it. */
  #hold(entry: Entry, holding: Holding): void {
    entry.holding = holding;
    const freed = this.#lanes.decided(entry);
    if (this.#lanes.mayGo(entry)) this.#go(entry);
    for (const next of freed) this.#go(next);
  }

  #go(entry: Entry): void {
    const { holding, expiresAtMs } = entry;
    // Claimed by an owner that has been taken for dead since: worth nothing any more.
    if (holding?.owner !== this.#owner) this.#doubt(entry);
    else if (expiresAtMs <= performance.now()) void this.#notAccepted(entry, holding, new KafkaError('unavailable', LATE));
    else entry.go(entry, holding);
  }

  #doubt(entry: Entry): void {
    if (this.#isClosed) return this.#fail(entry, new KafkaError('closed', 'closed before it was known whether the event had been accepted'));
    entry.holding = undefined;
    this.#lanes.doubt(entry);
    entry.dueAtMs = performance.now() + entry.pauseMs;
    entry.pauseMs = Math.min(2 * entry.pauseMs, this.#timing.longestPauseMs);
    this.#queue.push(entry);
    if (!this.#isPumping) this.#pumpAt(entry.dueAtMs);
  }

  // Kafka

  #produce(entry: Entry, holding: Holding, record: OutgoingRecord): void {
    this.#ownerOf.set(record, holding.owner);
    this.#waitingBytes -= entry.bytes;
    void this.#opened.send(record, deadlineOf(entry.expiresAtMs)).then(
      () => this.#accepted(entry, holding),
      (error: unknown) => {
        this.#waitingBytes += entry.bytes;
        const code = error instanceof KafkaError ? error.code : undefined;
        if (code === 'withdrawn') this.#doubt(entry);
        // Closing: its claim stays open, and whoever finds it looks into the log.
        else if (code === 'closed') this.#fail(entry, error);
        else void this.#notAccepted(entry, holding, error);
      },
    );
  }

  #accepted(entry: Entry, holding: Holding): void {
    entry.resolve('accepted');
    // Until its claim is closed, who publishes it again is answered from here.
    if (holding.owner === this.#owner) holding.accepted.push(entry);
    else this.#entries.delete(entry.hash);
    this.#settled(holding);
  }

  async #notAccepted(entry: Entry, holding: Holding, error: unknown): Promise<void> {
    holding.hashes.delete(entry.hash);
    this.#fail(entry, error);
    for (let pauseMs = this.#timing.firstPauseMs; !this.#isClosed; pauseMs = Math.min(2 * pauseMs, this.#timing.longestPauseMs)) {
      try {
        await this.options.claims.release(holding.id, [entry.hash], false);
        break;
      } catch (failure) {
        await this.#failed(failure);
        await pause(pauseMs);
      }
    }
    this.#settled(holding);
  }

  /** The fate of one event is known. */
  #settled(holding: Holding): void {
    if (--holding.open > 0 || holding.owner !== this.#owner) return;
    this.#unclosed.push(holding);
    this.#closeSoon();
  }

  #end(entry: Entry, ended: Ended): void {
    this.#leave(entry);
    entry.resolve(ended);
  }

  #fail(entry: Entry, error: unknown): void {
    this.#leave(entry);
    // Whoever asked may have gone.
    entry.ended.catch(() => undefined);
    entry.reject(error);
  }

  #leave(entry: Entry): void {
    this.#entries.delete(entry.hash);
    this.#waitingBytes -= entry.bytes;
    for (const next of this.#lanes.decided(entry)) this.#go(next);
  }

  // The owner

  get #isCertain(): boolean {
    return performance.now() < this.#reachedAtMs + this.#timing.leaseMs;
  }

  /** @param startedMs before the statement: PostgreSQL has heard of us at that time or later */
  #reached(startedMs: number): void {
    this.#reachedAtMs = Math.max(this.#reachedAtMs, startedMs);
    if (this.#trouble !== undefined) this.options.logger.info({}, 'events can be claimed again');
    this.#trouble = undefined;
    for (const wake of this.#renewals.splice(0)) wake();
  }

  async #failed(error: unknown): Promise<void> {
    if (error instanceof OwnerLost) return (this.#entering ??= this.#enterAnew());
    if (this.#trouble === undefined) this.options.logger.warn({ err: error }, 'events cannot be claimed; trying until they can');
    this.#trouble = error instanceof Error ? error.message : String(error);
  }

  /** Was taken for dead: what others make of the claims is theirs, and what is not acknowledged yet has to be claimed again. */
  async #enterAnew(): Promise<void> {
    const owner = randomUUID();
    try {
      const startedMs = performance.now();
      await this.options.claims.enter(owner);
      this.options.logger.warn({}, 'was out of touch with PostgreSQL for too long; what is under way is claimed again');
      this.#owner = owner;
      for (const { accepted } of this.#holdings) for (const { hash } of accepted) this.#entries.delete(hash);
      this.#holdings = [];
      this.#unclosed = [];
      this.#reached(startedMs);
    } catch (error) {
      await this.#failed(error);
    } finally {
      this.#entering = undefined;
    }
  }

  async #beat(): Promise<void> {
    const startedMs = performance.now();
    // While Kafka is away, the bounds stay where they were.
    this.options.log.refresh().catch(() => undefined);
    try {
      await this.options.claims.claim(this.#owner, [], undefined);
      this.#reached(startedMs);
      await this.#reassert();
    } catch (error) {
      await this.#failed(error);
    }
    if (!this.#isClosed) this.#beatTimer = setTimeout(() => void this.#beat(), this.#timing.beatMs);
  }

  // What may be sent

  readonly #guard: ProducerGuard = (records, isRepetition) => {
    if (!isRepetition) this.#boundsOfAttempt = this.options.log.bounds;
    if (!isRepetition && this.#isCertain && records.every((record) => this.#isOurs(record))) return undefined;
    return this.#review(records, isRepetition);
  };

  /** Claimed by who we are now, or not claimed at all. */
  #isOurs(record: OutgoingRecord): boolean {
    return (this.#ownerOf.get(record) ?? this.#owner) === this.#owner;
  }

  async #review(records: readonly OutgoingRecord[], isRepetition: boolean): Promise<readonly GuardVerdict[]> {
    const written = isRepetition ? await this.#writtenSince(this.#boundsOfAttempt) : new Set<Hash>();
    if (records.some((record) => this.#ownerOf.has(record))) await this.#certainty();
    return records.map((record) => {
      const hash = record.topic === this.options.topic ? hashOfRecord(record.value) : undefined;
      if (hash !== undefined && written.has(hash)) return 'written';
      return this.#isOurs(record) ? 'send' : 'withdraw';
    });
  }

  async #writtenSince(bounds: Bounds): Promise<ReadonlySet<Hash>> {
    await pause(this.#timing.settledAfterMs);
    return this.options.log.find(bounds);
  }

  async #certainty(): Promise<void> {
    while (!this.#isCertain && !this.#isClosed) await new Promise<void>((resolve) => this.#renewals.push(resolve));
  }
}

const expiryAfter = (deadlineMs: number | undefined): number => (deadlineMs === undefined ? Infinity : performance.now() + deadlineMs);

const deadlineOf = (expiresAtMs: number): { readonly deadlineMs?: number } =>
  expiresAtMs === Infinity ? {} : { deadlineMs: Math.max(0, expiresAtMs - performance.now()) };
