import { Fifo } from '../../fifo.js';

/** A follower waits so long in memory for the delivery in front of it; then its key goes to the backlog, and its record is done. */
export const PATIENCE_MS = 2_000;
/** Followers in one statement at most. */
const MOST_ROWS = 256;

/** What is in order: deliveries of one subscription whose events have the same `partitionkey`. */
export type Ordered = { readonly subscription: string; readonly key: string };

/** When a delivery's turn comes again, and what for. */
export type Later = {
  readonly dueAtMs: number;
  /** Of the attempt that is still to be made. */
  readonly number: number;
  /** Its place in its lane's rate has been reserved. */
  readonly isReserved: boolean;
};

/**
 * What is to be written into the backlog; answered by `written`. Of one chain there is one under way at a time.
 *
 * - `park`: rows for the head (`later` undefined: it is under way, and due at once for whoever comes after us) and the followers. `ended` have
 *   ended, but could be read again after a crash: the backlog has to know them. `behind` is what the followers wait for now.
 * - `postpone`: the head's row gets another time.
 * - `advance`: rows have ended. The answer is what comes next: the key's first row, or some of its first, or none.
 */
export type Statement<D> =
  | {
      readonly kind: 'park';
      readonly chain: Chain<D>;
      readonly ended: readonly D[];
      readonly head: { readonly delivery: D; readonly later: Later | undefined } | undefined;
      readonly followers: readonly D[];
      readonly behind: string | undefined;
    }
  | { readonly kind: 'postpone'; readonly chain: Chain<D>; readonly head: D; readonly later: Later }
  | { readonly kind: 'advance'; readonly chain: Chain<D>; readonly ended: readonly D[] };

/** What `KeyedQueues` has done by others. None of it waits. */
export type Hands<D> = {
  /**
   * The head of a key: to be attempted, and told of by `ended` or `later`. More than one when the subscription is withdrawn: to be ended without an
   * attempt, and told of by `ended` of the first.
   */
  start(heads: readonly D[], nowMs: number): void;
  /**
   * Nothing has to be read again for this delivery. To be told of by `committed`, when nothing will be.
   * @returns whether its record is done, which may have other deliveries too; if not, `recordDone` is to tell when it is
   */
  complete(delivery: D): boolean;
  /** There is no room for it in the backlog: it fails. @param later what it would have waited for, if it is a head: then it is told of by `ended` */
  refuse(delivery: D, later: Later | undefined): void;
  write(statement: Statement<D>): void;
  /** Nothing is sent to the subscription any more, or not in order: its rows end as they come. */
  isWithdrawn(subscription: string): boolean;
  /** Its id, by which others are told what they wait for. */
  idOf(delivery: D): string;
};

type Waiting<D> = { readonly delivery: D; readonly sinceMs: number };
type Result = { readonly kind: 'ended' } | { readonly kind: 'later'; readonly later: Later };

/** A subscription's keys, by what is the case with them: in memory something goes on in `chains`; of `blocked` there are rows, the first of them of that delivery. */
type Line<D> = { readonly subscription: string; rows: number; readonly blocked: Map<string, string>; readonly chains: Map<string, Chain<D>> };

/** A key in which something goes on. */
export type Chain<D> = {
  readonly line: Line<D>;
  readonly key: string;
  /** Its deliveries are in the backlog, or on their way there: what arrives has to get behind them. */
  isStored: boolean;
  /** A statement is under way. */
  isBusy: boolean;
  /** Started, and not yet known in the backlog to have ended or to be due later. */
  heads: readonly D[];
  /** What came of the heads, until it is acted upon. */
  result: Result | undefined;
  /** Arrived, and not in the backlog. */
  waiting: Fifo<Waiting<D>> | undefined;
  /** Ended in memory, and not yet committed: after a crash they are read again. */
  lingering: Fifo<D>;
  /** The first of these whose record is not done. The records behind it wait for it, so that a crash repeats all of them or none. */
  openRecord: D | undefined;
  uncompleted: Fifo<D> | undefined;
};

const ENDED: Result = { kind: 'ended' };

/**
 * The deliveries of one partition that must not overtake each other: of each key only the first, its *head*, is started; the next when
 * that one has ended for good. No clock, no I/O.
 *
 * A key is either wholly in memory, its records not done, or wholly in the backlog, its records done (*blocked*). It goes to the
 * backlog when its head has to come back later, or when a follower has run out of patience; it comes back to memory when its last row has ended.
 * So who takes the partition over, reading from the first record that is not done, meets a key's deliveries in their order.
 *
 *      arrives             head ended, none follows
 *   ┌────────▶ in memory ────────────▶ (gone)
 *   │   head later, or patience over │ park
 *   │                                ▼
 *   └──────────────────────────── blocked ◀──┐ arrives: park behind; head later: postpone;
 *     advance: no row is left        └───────┘ head ended: advance, the next row starts
 */
export class KeyedQueues<D extends Ordered> {
  readonly #hands: Hands<D>;
  /** Rows of one subscription at most. */
  readonly #limit: number;
  readonly #lines = new Map<string, Line<D>>();
  readonly #patience = new Fifo<{ readonly chain: Chain<D>; readonly untilMs: number }>();
  #isClosed = false;

  /** @param stored keys that have rows, how many, and of which delivery the first one is */
  constructor(hands: Hands<D>, limit: number, stored: Iterable<Ordered & { readonly rows: number; readonly head: string }> = []) {
    this.#hands = hands;
    this.#limit = limit;
    for (const { subscription, key, rows, head } of stored) {
      const line = this.#lineOf(subscription);
      line.blocked.set(key, head);
      line.rows += rows;
    }
  }

  /** Keys with rows in the backlog. */
  get blocked(): number {
    let count = 0;
    for (const { blocked } of this.#lines.values()) count += blocked.size;
    return count;
  }

  /** Rows in the backlog, those on their way there included. */
  get rows(): number {
    let count = 0;
    for (const { rows } of this.#lines.values()) count += rows;
    return count;
  }

  /** Subscriptions with rows in the backlog. */
  *withRows(): Iterable<string> {
    for (const { subscription, blocked } of this.#lines.values()) if (blocked.size > 0) yield subscription;
  }

  hasRows(subscription: string): boolean {
    return (this.#lines.get(subscription)?.blocked.size ?? 0) > 0;
  }

  /** Whether it is still to be attempted by us: not when the partition, or the key, has gone on without it. */
  isHead(delivery: D): boolean {
    return this.#lines.get(delivery.subscription)?.chains.get(delivery.key)?.heads[0] === delivery;
  }

  /** When to call `tick`; undefined: nothing waits for the time to pass. */
  get nextTickMs(): number | undefined {
    return this.#patience.peek()?.untilMs;
  }

  /** In the order of the partition. */
  arrive(delivery: D, nowMs: number): void {
    if (this.#isClosed) return;
    const line = this.#lineOf(delivery.subscription);
    const chain = line.chains.get(delivery.key) ?? this.#open(line, delivery.key);
    if (!chain.isStored && chain.heads.length === 0) {
      this.#start(chain, [delivery], nowMs);
      return;
    }
    (chain.waiting ??= new Fifo()).push({ delivery, sinceMs: nowMs });
    if (chain.isStored) this.#proceed(chain, nowMs);
    else this.#patience.push({ chain, untilMs: nowMs + PATIENCE_MS });
  }

  /** The head of a key has become due in the backlog. */
  due(delivery: D, nowMs: number): void {
    const line = this.#lines.get(delivery.subscription);
    if (this.#isClosed || line === undefined || !line.blocked.has(delivery.key)) return;
    const chain = line.chains.get(delivery.key) ?? this.#open(line, delivery.key);
    // Read while it was under way, and its row not yet told of that.
    if (chain.heads.length === 0) this.#start(chain, [delivery], nowMs);
  }

  /** A head has ended for good, and its outcome is in Kafka. */
  ended(head: D, nowMs: number): void {
    this.#resolve(head, ENDED, nowMs);
  }

  /** A head is to be attempted (again) later; what came of it until now is in Kafka. */
  later(head: D, later: Later, nowMs: number): void {
    this.#resolve(head, { kind: 'later', later }, nowMs);
  }

  /** The record of a delivery that was completed before is done. */
  recordDone(delivery: D): void {
    const chain = this.#lines.get(delivery.subscription)?.chains.get(delivery.key);
    if (chain === undefined || chain.openRecord !== delivery) return;
    chain.openRecord = undefined;
    while (chain.openRecord === undefined) {
      const next = chain.uncompleted?.shift();
      if (next === undefined) return;
      this.#complete(chain, next);
    }
  }

  /** In the order of their completion: the group knows that the delivery's record is done, and nobody will read it again. */
  committed(delivery: D): void {
    const chain = this.#lines.get(delivery.subscription)?.chains.get(delivery.key);
    if (chain === undefined || chain.lingering.peek() !== delivery) return;
    chain.lingering.shift();
    this.#dropIfIdle(chain);
  }

  /**
   * The backlog has it.
   * @param next after `advance`: the first rows of the key, its next head before all
   * @param duplicates after `park`: how many deliveries it had already, by other records
   */
  written(statement: Statement<D>, nowMs: number, { next = [], duplicates = 0 }: { next?: readonly D[]; duplicates?: number } = {}): void {
    if (this.#isClosed) return;
    const { chain } = statement;
    chain.isBusy = false;
    if (statement.kind === 'park') this.#parked(statement, duplicates);
    else if (statement.kind === 'postpone') chain.heads = [];
    else this.#advanced(statement, next, nowMs);
    this.#proceed(chain, nowMs);
  }

  tick(nowMs: number): void {
    for (let first = this.#patience.peek(); first !== undefined && first.untilMs <= nowMs; first = this.#patience.peek()) {
      this.#patience.shift();
      const { chain } = first;
      const oldest = chain.waiting?.peek();
      if (!chain.isStored && oldest !== undefined && oldest.sinceMs + PATIENCE_MS <= nowMs) this.#park(chain, undefined);
    }
  }

  /** The partition is somebody else's now: whatever is still told of it is of no effect. */
  close(): void {
    this.#isClosed = true;
    this.#lines.clear();
    while (this.#patience.length > 0) this.#patience.shift();
  }

  #resolve(head: D, result: Result, nowMs: number): void {
    const chain = this.#lines.get(head.subscription)?.chains.get(head.key);
    if (chain === undefined || chain.heads[0] !== head) return;
    chain.result = result;
    this.#proceed(chain, nowMs);
  }

  #start(chain: Chain<D>, deliveries: readonly D[], nowMs: number): void {
    chain.heads = deliveries.length > 1 && !this.#hands.isWithdrawn(chain.line.subscription) ? deliveries.slice(0, 1) : deliveries;
    this.#hands.start(chain.heads, nowMs);
  }

  #proceed(chain: Chain<D>, nowMs: number): void {
    if (chain.isBusy) return;
    const { result } = chain;
    if (chain.isStored) this.#proceedStored(chain);
    else if (result?.kind === 'ended') this.#nextInMemory(chain, nowMs);
    else if (result?.kind === 'later') this.#park(chain, result.later);
  }

  #proceedStored(chain: Chain<D>): void {
    const { result, heads } = chain;
    const [head] = heads;
    chain.result = undefined;
    if (result?.kind === 'ended') this.#write({ kind: 'advance', chain, ended: heads });
    else if (result?.kind === 'later' && head !== undefined) this.#write({ kind: 'postpone', chain, head, later: result.later });
    else {
      const followers = this.#admit(chain, 0);
      if (followers.length > 0) this.#write({ kind: 'park', chain, ended: [], head: undefined, followers, behind: chain.line.blocked.get(chain.key) });
      else this.#dropIfIdle(chain);
    }
  }

  #nextInMemory(chain: Chain<D>, nowMs: number): void {
    const [head] = chain.heads;
    chain.heads = [];
    chain.result = undefined;
    if (head !== undefined) this.#linger(chain, head);
    this.#startWaiting(chain, nowMs);
  }

  #startWaiting(chain: Chain<D>, nowMs: number): void {
    const next = chain.waiting?.shift();
    if (next === undefined) this.#dropIfIdle(chain);
    else this.#start(chain, [next.delivery], nowMs);
  }

  /** Out of memory, the whole of it. @param later undefined when the head is under way */
  #park(chain: Chain<D>, later: Later | undefined): void {
    const { line } = chain;
    const [head] = chain.heads;
    if (head === undefined) return;
    const hasRoom = line.rows + (later === undefined ? 1 : 0) < this.#limit;
    if (!hasRoom && later === undefined) {
      // Who has no patience left cannot be stored with the head.
      for (let next = chain.waiting?.shift(); next !== undefined; next = chain.waiting?.shift()) this.#hands.refuse(next.delivery, undefined);
      return;
    }
    chain.result = undefined;
    if (!hasRoom) {
      this.#hands.refuse(head, later);
      return;
    }
    const followers = this.#admit(chain, 1);
    const behind = this.#hands.idOf(head);
    line.blocked.set(chain.key, behind);
    chain.isStored = true;
    this.#write({ kind: 'park', chain, ended: chain.lingering.toArray(), head: { delivery: head, later }, followers, behind });
  }

  /** Takes what waits, as much as goes into one statement; what there is no room for fails. @param besides rows that are added in the same statement */
  #admit({ line, waiting }: Chain<D>, besides: number): readonly D[] {
    const room = this.#limit - line.rows - besides;
    const admitted: D[] = [];
    while (admitted.length < MOST_ROWS) {
      const next = waiting?.shift();
      if (next === undefined) break;
      if (admitted.length < room) admitted.push(next.delivery);
      else this.#hands.refuse(next.delivery, undefined);
    }
    return admitted;
  }

  #write(statement: Statement<D>): void {
    const { chain } = statement;
    chain.isBusy = true;
    if (statement.kind === 'park') chain.line.rows += statement.followers.length + (statement.head === undefined ? 0 : 1);
    this.#hands.write(statement);
  }

  #parked({ chain, head, followers }: Statement<D> & { readonly kind: 'park' }, duplicates: number): void {
    chain.line.rows -= duplicates;
    // What had ended is known in the backlog, too: nothing has to wait for anything.
    const { uncompleted } = chain;
    chain.lingering = new Fifo();
    chain.uncompleted = undefined;
    chain.openRecord = undefined;
    for (let next = uncompleted?.shift(); next !== undefined; next = uncompleted?.shift()) this.#hands.complete(next);
    if (head?.later !== undefined) chain.heads = [];
    if (head !== undefined) this.#hands.complete(head.delivery);
    for (const delivery of followers) this.#hands.complete(delivery);
  }

  #advanced({ chain, ended }: Statement<D> & { kind: 'advance' }, next: readonly D[], nowMs: number): void {
    const { line, key } = chain;
    line.rows -= ended.length;
    chain.heads = [];
    const [head] = next;
    if (head !== undefined) {
      line.blocked.set(key, this.#hands.idOf(head));
      this.#start(chain, next, nowMs);
      return;
    }
    chain.isStored = false;
    line.blocked.delete(key);
    this.#startWaiting(chain, nowMs);
    if (chain.waiting !== undefined && chain.waiting.length > 0) this.#patience.push({ chain, untilMs: nowMs + PATIENCE_MS });
  }

  #linger(chain: Chain<D>, delivery: D): void {
    chain.lingering.push(delivery);
    if (chain.openRecord === undefined) this.#complete(chain, delivery);
    else (chain.uncompleted ??= new Fifo()).push(delivery);
  }

  #complete(chain: Chain<D>, delivery: D): void {
    if (!this.#hands.complete(delivery)) chain.openRecord = delivery;
  }

  #dropIfIdle({ line, key, heads, waiting, lingering, isBusy }: Chain<D>): void {
    if (isBusy || heads.length > 0 || (waiting !== undefined && waiting.length > 0) || lingering.length > 0) return;
    line.chains.delete(key);
    if (line.chains.size === 0 && line.blocked.size === 0) this.#lines.delete(line.subscription);
  }

  #open(line: Line<D>, key: string): Chain<D> {
    const chain: Chain<D> = {
      line,
      key,
      isStored: line.blocked.has(key),
      isBusy: false,
      heads: [],
      result: undefined,
      waiting: undefined,
      lingering: new Fifo(),
      openRecord: undefined,
      uncompleted: undefined,
    };
    line.chains.set(key, chain);
    return chain;
  }

  #lineOf(subscription: string): Line<D> {
    let line = this.#lines.get(subscription);
    if (line === undefined) {
      line = { subscription, rows: 0, blocked: new Map(), chains: new Map() };
      this.#lines.set(subscription, line);
    }
    return line;
  }
}
