import { setTimeout as pause } from 'node:timers/promises';
import { KafkaError, type Logger, type OutgoingRecord, type Producer, type ProducerGuard } from '@posthorn/kafka';
import type { AcceptedLog } from './accepted-log.js';
import type { Claims } from './claims.js';
import { deadlineOf, type Ended, type Entry, type Entrant, expiryAfter, openEntry } from './entry.js';
import type { Hash } from './hash.js';
import { type Holding, Holdings } from './holdings.js';
import { Lanes } from './lanes.js';
import { Owner } from './owner.js';
import { Pump } from './pump.js';
import { SendGuard } from './send-guard.js';
import { type Timing, TIMING } from './timing.js';

export type { Ended } from './entry.js';
export { LAPSE_MS, type Timing } from './timing.js';

/** An event on its way to `events.accepted`. */
export type Outgoing = {
  /** Absent: nobody can publish it again, because nobody but us knows its id. */
  readonly hash: Hash | undefined;
  /** Events of the same key keep their order. */
  readonly key: string | undefined;
  readonly record: OutgoingRecord;
};

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

const KNOWN: Note = { kind: 'known' };
/** What waits takes besides its record, about: small events and keys would take far more than they count for. */
const WAITING_BYTES = 1024;
const LATE = 'the event was not accepted in time';
const CLOSED = 'closed before it was known whether the event had been accepted';

/**
 * Lets every event into `events.accepted` once, however often and wherever it is published.
 *
 * An event is claimed in PostgreSQL, produced, and its claim closed with the next statement. A claim that somebody else has closed makes a duplicate. One
 * that is open leaves the event in doubt: it is asked for again, and what follows it with the same key waits; when the other's process has died,
 * `orphans.ts` settles its claims.
 *
 * `pump.ts` says when something is claimed, `holdings.ts` what has been, `owner.ts` in whose name and whether that still counts; before each attempt
 * to send, the producer asks `send-guard.ts`.
 */
export class Deduplicator {
  readonly #entries = new Map<Hash, Entry>();
  readonly #lanes = new Lanes<Entry>();
  readonly #owner: Owner;
  readonly #holdings: Holdings;
  readonly #pump: Pump;
  readonly #guard: SendGuard;
  readonly #firstPauseMs: number;
  #producer: Producer | undefined;
  #place = 0;
  #waitingBytes = 0;

  private constructor(private readonly options: DeduplicatorOptions) {
    const { claims, log, logger, onStatement, topic, timing = TIMING } = options;
    const owner = new Owner({ claims, log, logger, timing, onBeat: () => this.#holdings.reassert(), onLost: () => this.#holdings.abandon() });
    this.#owner = owner;
    this.#holdings = new Holdings({ claims, owner, log, onStatement, onSeen: (hash) => void this.#entries.delete(hash) });
    this.#pump = new Pump({
      owner,
      holdings: this.#holdings,
      timing,
      claim: (batch) => this.#claim(batch),
      onLate: (entry) => this.#fail(entry, new KafkaError('unavailable', LATE)),
    });
    this.#guard = new SendGuard({ owner, log, topic, settledAfterMs: timing.settledAfterMs });
    this.#firstPauseMs = timing.firstPauseMs;
  }

  /** @throws when neither PostgreSQL nor Kafka answers */
  static async open(options: DeduplicatorOptions): Promise<Deduplicator> {
    const deduplicator = new Deduplicator(options);
    await options.log.refresh();
    await deduplicator.#owner.enter();
    deduplicator.#producer = await options.openProducer(deduplicator.#guard.ask);
    await deduplicator.#owner.beat();
    return deduplicator;
  }

  get owner(): string {
    return this.#owner.id;
  }

  /** Why nothing can be claimed. */
  get trouble(): string | undefined {
    return this.#owner.trouble;
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
      this.#count(0);
      const ended = await other.ended.catch(() => undefined);
      this.#discount(0);
      if (ended !== undefined) return KNOWN;
    }
    return new Promise((resolve, reject) => {
      const go = (entry: Entry, holding: Holding): void => {
        this.#discount(entry.bytes);
        const forget = (): void => {
          this.#count(entry.bytes);
          void this.#notAccepted(entry, holding, new KafkaError('unavailable', 'forgotten'));
        };
        resolve({ kind: 'new', keep: () => this.#accepted(entry, holding), forget });
      };
      this.#enter({ hash, key: undefined, bytes: 0, go }, expiresAtMs).then(() => resolve(KNOWN), reject);
    });
  }

  async close(): Promise<void> {
    this.#owner.close();
    await this.#producer?.flush();
    // What has just been acknowledged is handed over to be closed in the turn after.
    await pause(0);
    for (const entry of this.#pump.stop()) this.#fail(entry, new KafkaError('closed', CLOSED));
    if (this.#holdings.areToBeClosed) await this.#holdings.close();
    await this.options.claims.close(this.#owner.id);
  }

  get #opened(): Producer {
    if (!this.#producer) throw new Error('not open');
    return this.#producer;
  }

  #count(bytes: number): void {
    this.#waitingBytes += bytes + WAITING_BYTES;
  }

  #discount(bytes: number): void {
    this.#waitingBytes -= bytes + WAITING_BYTES;
  }

  #send(event: Outgoing, expiresAtMs: number): Promise<Ended> {
    const { hash, key, record } = event;
    if (hash === undefined) return this.#opened.send(record, deadlineOf(expiresAtMs)).then(() => 'accepted');
    const bytes = record.value?.length ?? 0;
    const other = this.#entries.get(hash);
    if (!other) {
      const go = (entry: Entry, holding: Holding): void => this.#produce(entry, holding, record);
      return this.#enter({ hash, key, bytes, go }, expiresAtMs);
    }
    other.expiresAtMs = Math.max(other.expiresAtMs, expiresAtMs);
    // It may be wanted yet, and so is held: a client that insists while PostgreSQL is away sends the same again and again.
    this.#count(bytes);
    return other.ended.then(
      () => {
        this.#discount(bytes);
        return 'duplicate';
      },
      (error: unknown) => {
        this.#discount(bytes);
        if (!(error instanceof KafkaError) || error.code !== 'unavailable') throw error;
        return this.#send(event, expiresAtMs);
      },
    );
  }

  #enter(event: Entrant, expiresAtMs: number): Promise<Ended> {
    if (this.#owner.isClosed) return Promise.reject(new KafkaError('closed', 'closing'));
    if (expiresAtMs <= performance.now()) return Promise.reject(new KafkaError('unavailable', LATE));
    const entry = openEntry({ ...event, place: this.#place++, expiresAtMs, pauseMs: this.#firstPauseMs });
    this.#entries.set(event.hash, entry);
    this.#count(event.bytes);
    this.#pump.add(entry);
    return entry.ended;
  }

  async #claim(batch: readonly Entry[]): Promise<void> {
    const claimed = await this.#holdings.claim(batch.map(({ hash }) => hash));
    for (const entry of batch) {
      const how = claimed?.lost.get(entry.hash);
      if (!claimed) this.#fail(entry, new KafkaError('closed', CLOSED));
      else if (how === 'open') this.#doubt(entry);
      else if (how === 'closed') this.#end(entry, 'duplicate');
      else this.#hold(entry, claimed.holding);
    }
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
    // What is not ours any more is worth nothing.
    if (!holding || !this.#holdings.isOurs(holding)) this.#doubt(entry);
    else if (expiresAtMs <= performance.now()) void this.#notAccepted(entry, holding, new KafkaError('unavailable', LATE));
    else entry.go(entry, holding);
  }

  #doubt(entry: Entry): void {
    if (this.#owner.isClosed) return this.#fail(entry, new KafkaError('closed', CLOSED));
    entry.holding = undefined;
    this.#lanes.doubt(entry);
    this.#pump.addAgain(entry);
  }

  #produce(entry: Entry, holding: Holding, record: OutgoingRecord): void {
    this.#guard.watch(record, holding.owner);
    this.#discount(entry.bytes);
    void this.#opened.send(record, deadlineOf(entry.expiresAtMs)).then(
      () => this.#accepted(entry, holding),
      (error: unknown) => {
        this.#count(entry.bytes);
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
    this.#holdings.accepted(holding, entry.hash);
    this.#pump.closeSoon();
  }

  async #notAccepted(entry: Entry, holding: Holding, error: unknown): Promise<void> {
    this.#fail(entry, error);
    await this.#holdings.release(holding, entry.hash);
    this.#pump.closeSoon();
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
    this.#discount(entry.bytes);
    for (const next of this.#lanes.decided(entry)) this.#go(next);
  }
}
