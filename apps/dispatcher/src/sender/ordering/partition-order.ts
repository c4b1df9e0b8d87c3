import { deliveryId } from '@posthorn/contracts';
import { Fifo } from '../../fifo.js';
import type { RegistryFeed } from '../../registry/registry-feed.js';
import type { Cancellations } from '../cancelling/cancellations.js';
import type { Round } from '../cancelling/cancelled-rounds.js';
import { idOfDelivery } from '../delivery.js';
import { BEFORE_ALL, HoldingLost, placeKey, type Advance, type Backlog, type DueCursor, type Holding, type Holdings, type Postponement, type Row, type StoredRow } from './backlog.js';
import { KeyedQueues, type Later, type Statement } from './keyed-queues.js';
import { deliveryOf, placeOf, recordOf, rowOf, type OrderedDelivery, type Standing } from './ordered-delivery.js';

export type OrderingParts = {
  readonly backlog: Backlog;
  readonly feed: Pick<RegistryFeed, 'whenReached'>;
  readonly cancellations: Pick<Cancellations, 'isCancelled' | 'has' | 'whenRead'>;
  /** Rows of one subscription at most. */
  readonly limit: number;
  /** Wall clock. */
  readonly nowMs: () => number;
  /** Runs it once, so many milliseconds from now, unless it is cancelled. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
  /** The offset that the group has committed for a partition: nothing below it is read again. */
  readonly committed: (partition: number) => number | undefined;
  /** Whether the group knows that a record above it is done: it is not read again either. */
  readonly isCommitted: (partition: number, offset: number) => boolean;
  /** Asks the group whether this sender still belongs to it. */
  readonly isMember: () => Promise<boolean>;
  /** The subscription is gone, disabled, or not served in order any more. */
  readonly isWithdrawn: (subscription: string) => boolean;
  /** Has it attempted, when its lane lets it; answered by `ended` or `later`. */
  readonly offer: (delivery: OrderedDelivery, nowMs: number) => void;
  /** Ends the delivery of a withdrawn subscription, or gives it back to be served without order. Resolves when that is in Kafka. */
  readonly release: (delivery: OrderedDelivery) => Promise<void>;
  /** Ends it as failed, because the backlog is full. Resolves when that is in Kafka. @param number of the attempt that is not made */
  readonly refuse: (delivery: OrderedDelivery, number: number) => Promise<void>;
  /** Says that it waits, and behind which delivery, if that is known. Resolves when that is in Kafka. */
  readonly tellBehind: (delivery: OrderedDelivery, behind: string | undefined) => Promise<void>;
  readonly fatal: (error: unknown) => void;
};

/** Heads that are read at once, and how many of the backlog may be under way. */
const PAGE = 64;
const MOST_UNDER_WAY = 4 * PAGE;
/** What they may take in memory, as much as a window. */
const MOST_UNDER_WAY_BYTES = 16 * 1024 * 1024;
/** Rows in one statement, unless a single key has more. */
const MOST_ROWS = 512;
const RETRY_MS = 500;
const FORGET_AFTER_MS = 5_000;
/** Alarms go by another clock than due times, which may leap ahead: no longer than this is anything late by that. */
const LONGEST_ALARM_MS = 10_000;
/** As often as the consumer commits. */
const CHECK_COMMITS_MS = 500;
/** Whoever has lost a partition in the backlog is told by Kafka, soon; if not, the other one was wrong. */
const LOST_MS = 30_000;

const ignore = (): void => undefined;

const earlier = (a: number | undefined, b: number | undefined): number | undefined => (a === undefined ? b : b === undefined ? a : Math.min(a, b));

/**
 * The order of one partition's keyed deliveries, between its lanes and the backlog: carries out what `KeyedQueues` decides, many statements
 * at a time, repeats what may not have been written, and starts the heads that are due.
 */
export class PartitionOrder {
  readonly partition: number;
  readonly #parts: OrderingParts;
  #queues: KeyedQueues<OrderedDelivery> | undefined;
  #holding: Holding | undefined;
  /** Until the partition has been taken. */
  #early: OrderedDelivery[] = [];
  /** Places in the backlog whose records may be read again. */
  #known = new Set<string>();
  readonly #statements: Statement<OrderedDelivery>[] = [];
  #isWriting = false;
  #isReading = false;
  #cursor: DueCursor = BEFORE_ALL;
  /** Of the first head after the cursor; undefined: there is none, or it is being found out. */
  #nextDueMs: number | undefined;
  /** Heads were made due then whose rows may have been on their way. */
  #hastenedMs: number | undefined;
  readonly #underWay = new Set<OrderedDelivery>();
  #underWayBytes = 0;
  readonly #whenLeft = Promise.withResolvers<void>();
  /** Heads in the backlog that are not begun, because the partition may be taken away. Undefined: none is held back. */
  #heldBack: (readonly OrderedDelivery[])[] | undefined;
  #forgetAtMs: number | undefined;
  /** Completed in memory, in that order. */
  readonly #uncommitted = new Fifo<OrderedDelivery>();
  #checkCommitsAtMs: number | undefined;
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined;
  #isGone = false;
  #isLost = false;
  #trouble: string | undefined;

  /** @param committed nothing below this offset is read again */
  constructor(partition: number, committed: number, parts: OrderingParts) {
    this.partition = partition;
    this.#parts = parts;
    void this.#take(committed).catch(parts.fatal);
  }

  /** Why keys may have to wait, in words. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Another sender has taken the partition, though Kafka has not said so yet. */
  get isLost(): boolean {
    return this.#isLost;
  }

  /** Rows that are under way. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** Resolves when the last of the rows under way has been said farewell to. */
  get whenLeft(): Promise<void> {
    return this.#whenLeft.promise;
  }

  get blockedKeys(): number {
    return this.#queues?.blocked ?? 0;
  }

  get rows(): number {
    return this.#queues?.rows ?? 0;
  }

  isHead(delivery: OrderedDelivery): boolean {
    return this.#queues?.isHead(delivery) ?? false;
  }

  /**
   * Whether nobody else has held the partition since it was taken. Who was away for long may be given it again without having been
   * told that it was gone.
   */
  async isStillHeld(): Promise<boolean> {
    if (this.#holding !== undefined) await this.#sure((backlog, holding) => backlog.nextDueMs(holding, BEFORE_ALL));
    return !this.#isLost;
  }

  /** The partition may be taken away: a row that is begun from now on would be begun once more by who has it next. Until `goOn`. */
  hold(): void {
    this.#heldBack ??= [];
  }

  /** It is ours for longer. */
  goOn(): void {
    const heldBack = this.#heldBack;
    if (heldBack === undefined || this.#isGone) return;
    this.#heldBack = undefined;
    const nowMs = this.#parts.nowMs();
    for (const heads of heldBack) this.#start(heads, nowMs);
    this.#setAlarm(nowMs);
  }

  arrive(delivery: OrderedDelivery): void {
    if (this.#queues === undefined) {
      this.#early.push(delivery);
      return;
    }
    // Read again after a restart: the backlog has it, or has ended it.
    if (this.#known.size > 0 && this.#known.delete(placeKey(placeOf(delivery)))) {
      delivery.request.oneDone();
      return;
    }
    const nowMs = this.#parts.nowMs();
    this.#queues.arrive(delivery, nowMs);
    this.#setAlarm(nowMs);
  }

  ended(delivery: OrderedDelivery): void {
    const nowMs = this.#parts.nowMs();
    this.#queues?.ended(delivery, nowMs);
    this.#setAlarm(nowMs);
  }

  later(delivery: OrderedDelivery, later: Later): void {
    const nowMs = this.#parts.nowMs();
    this.#queues?.later(delivery, later, nowMs);
    this.#setAlarm(nowMs);
  }

  /** The subscription is another than before: what was to wait may not have to. */
  changed(subscription: string): void {
    if (this.#queues?.hasRows(subscription) && this.#parts.isWithdrawn(subscription)) {
      void this.#hasten((backlog, holding, nowMs) => backlog.hasten(holding, subscription, nowMs)).catch(this.#parts.fatal);
    }
  }

  /** It may be a head that waits. One that is none ends when its turn comes. */
  cancelled(subscription: string, round: Round): void {
    if (this.#queues?.hasRows(subscription)) void this.#hasten((backlog, holding, nowMs) => backlog.hastenRounds(holding, [round], nowMs)).catch(this.#parts.fatal);
  }

  /** The partition went to another sender. */
  close(): void {
    this.#isGone = true;
    this.#queues?.close();
    for (const statement of this.#statements.splice(0)) this.#leave(statement);
    this.#early = [];
    this.#alarm?.cancel();
    this.#alarm = undefined;
  }

  /**
   * After `close`: what came of a head that was under way is still written, once, if nobody has taken the partition yet. So its attempt need not
   * be repeated.
   */
  farewell(delivery: OrderedDelivery, later: Later | undefined): void {
    const { subscription, key } = delivery;
    if (this.#holding === undefined || !this.#underWay.has(delivery)) return;
    const place = placeOf(delivery);
    const { backlog } = this.#parts;
    const written =
      later === undefined
        ? backlog.advance(this.#holding, [{ subscription, key, ended: [place], wants: 'head' }])
        : backlog.postpone(this.#holding, [{ ...place, ...later }]);
    void written.catch(ignore).then(() => this.dropped(delivery));
  }

  /** After `close`: what was still to be written of rows that were under way. */
  #leave(statement: Statement<OrderedDelivery>): void {
    if (statement.kind === 'postpone') this.farewell(statement.head, statement.later);
    if (statement.kind === 'advance') for (const ended of statement.ended) this.farewell(ended, undefined);
  }

  /** After `close`: nothing came of it. */
  dropped(delivery: OrderedDelivery): void {
    this.#isBack([delivery]);
    if (this.#underWay.size === 0) this.#whenLeft.resolve();
  }

  async #take(committed: number): Promise<void> {
    let isRepeated = false;
    const holdings = await this.#sure(async (backlog) => {
      // Meanwhile another sender may have been given the partition, and taken it: it would lose it to us, and what we park then would be sent once more.
      if (isRepeated && !(await this.#parts.isMember())) throw new Error('the group does not count on this sender now');
      isRepeated = true;
      return backlog.take(this.partition, committed);
    });
    if (holdings === undefined) return;
    const { cancellations, feed } = this.#parts;
    // Who parked these may have known subscriptions that we have not read of yet, and some may have been cancelled while nobody held them.
    cancellations.whenRead(this.partition, () => feed.whenReached(holdings.position, () => this.#begin(holdings)));
  }

  #begin(holdings: Holdings): void {
    if (this.#isGone) return;
    this.#holding = holdings;
    this.#known = new Set(holdings.known);
    const keys = holdings.keys.map(({ head, ...key }) => ({ ...key, head: idOfDelivery(head.delivery) }));
    this.#queues = new KeyedQueues(this.#hands(), this.#parts.limit, keys);
    this.#nextDueMs = holdings.keys.length > 0 ? 0 : undefined;
    if (holdings.known.size > 0) this.#forgetSoon();
    for (const subscription of this.#queues.withRows()) this.changed(subscription);
    for (const { subscription, head } of holdings.keys) if (this.#parts.cancellations.has(head)) this.cancelled(subscription, head);
    for (const delivery of this.#early.splice(0)) this.arrive(delivery);
    this.#setAlarm(this.#parts.nowMs());
  }

  #hands() {
    const { isWithdrawn, refuse, fatal } = this.#parts;
    return {
      start: (heads: readonly OrderedDelivery[], nowMs: number) => this.#start(heads, nowMs),
      complete: (delivery: OrderedDelivery) => this.#complete(delivery),
      refuse: (delivery: OrderedDelivery, later: Later | undefined) => {
        const written = refuse(delivery, later?.number ?? delivery.request.head.number);
        written.then(() => (later === undefined ? delivery.request.oneDone() : this.ended(delivery)), fatal);
      },
      write: (statement: Statement<OrderedDelivery>) => {
        this.#statements.push(statement);
        if (this.#isWriting) return;
        this.#isWriting = true;
        void this.#write().catch(fatal);
      },
      isWithdrawn,
      idOf: ({ request, subscription }: OrderedDelivery) => deliveryId(request.head.event.tenant, request.head.event.id, subscription),
    };
  }

  #complete(delivery: OrderedDelivery): boolean {
    const { request } = delivery;
    // It has a row, and waits in its lane.
    if (this.isHead(delivery)) {
      request.keep();
      this.#underWay.add(delivery);
      this.#underWayBytes += request.bytes;
    }
    request.oneDone();
    if (request.isDone) {
      this.#remember(delivery);
      return true;
    }
    request.whenDone(() => {
      this.#remember(delivery);
      this.#queues?.recordDone(delivery);
      this.#setAlarm(this.#parts.nowMs());
    });
    return false;
  }

  /** Until it is committed; its payload is not needed for that. */
  #remember(delivery: OrderedDelivery): void {
    delivery.request.letGo();
    this.#uncommitted.push(delivery);
  }

  #start(heads: readonly OrderedDelivery[], nowMs: number): void {
    const [head] = heads;
    if (head === undefined) return;
    const { isWithdrawn, offer, release, fatal } = this.#parts;
    if (head.place === undefined) {
      offer(head, nowMs);
      return;
    }
    if (this.#heldBack !== undefined) {
      this.#heldBack.push(heads);
      return;
    }
    for (const each of heads) {
      this.#underWay.add(each);
      this.#underWayBytes += each.request.bytes;
    }
    if (!isWithdrawn(head.subscription)) offer(head, nowMs);
    else void Promise.all(heads.map(release)).then(() => this.#released(heads, head), fatal);
  }

  #released(heads: readonly OrderedDelivery[], head: OrderedDelivery): void {
    if (this.#isGone) for (const each of heads) this.farewell(each, undefined);
    else this.ended(head);
  }

  // Writing

  async #write(): Promise<void> {
    // What is decided in the same turn goes into the same statement.
    await Promise.resolve();
    for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
      const parks = batch.filter((statement) => statement.kind === 'park');
      const postpones = batch.filter((statement) => statement.kind === 'postpone');
      const advances = batch.filter((statement) => statement.kind === 'advance');
      if (parks.length > 0) await this.#park(parks);
      if (postpones.length > 0) await this.#postpone(postpones);
      if (advances.length > 0) await this.#advance(advances);
      this.#readHastened();
    }
    this.#isWriting = false;
  }

  #nextBatch(): readonly Statement<OrderedDelivery>[] {
    if (this.#isGone || this.#isLost) return [];
    let rows = 0;
    let count = 0;
    while (rows < MOST_ROWS && count < this.#statements.length) {
      const statement = this.#statements[count];
      rows += statement?.kind === 'park' ? statement.followers.length + 1 : 1;
      count += 1;
    }
    return this.#statements.splice(0, count);
  }

  async #park(statements: readonly (Statement<OrderedDelivery> & { kind: 'park' })[]): Promise<void> {
    const standing = statements.flatMap(({ ended, head, followers }) => [
      ...ended.map((delivery): readonly [OrderedDelivery, Standing] => [delivery, 'ended']),
      ...(head === undefined ? [] : [[head.delivery, head.later ?? 'under way'] as const]),
      ...followers.map((delivery): readonly [OrderedDelivery, Standing] => [delivery, 'follows']),
    ]);
    const waiting = standing.filter(([, standing]) => standing !== 'ended');
    const records = new Map(waiting.map(([delivery]) => [delivery.request, recordOf(delivery)]));
    const sentMs = this.#parts.nowMs();
    const rows = (): readonly Row[] => standing.map(([delivery, standing]) => rowOf(delivery, this.#stillLater(delivery, standing, sentMs)));
    const told = statements.flatMap(({ followers, behind }) => followers.map((follower) => this.#parts.tellBehind(follower, behind)));
    const [missing] = await Promise.all([this.#sure((backlog, holding) => backlog.park(holding, [...records.values()], rows())), ...told]);
    if (missing === undefined) return;
    const missed = new Set(missing.map(placeKey));
    const nowMs = this.#parts.nowMs();
    if (standing.length > waiting.length) this.#forgetSoon();
    for (const statement of statements) {
      const duplicates = missed.size === 0 ? 0 : statement.followers.filter((delivery) => missed.has(placeKey(placeOf(delivery)))).length;
      if (statement.head?.later !== undefined) this.#awaits(this.#stillLater(statement.head.delivery, statement.head.later, sentMs).dueAtMs);
      this.#queues?.written(statement, nowMs, { duplicates });
    }
    this.#setAlarm(nowMs);
  }

  async #postpone(statements: readonly (Statement<OrderedDelivery> & { kind: 'postpone' })[]): Promise<void> {
    const sentMs = this.#parts.nowMs();
    const changes = (): readonly Postponement[] => statements.map(({ head, later }) => ({ ...placeOf(head), ...this.#stillLater(head, later, sentMs) }));
    const written = await this.#sure((backlog, holding) => backlog.postpone(holding, changes()).then(() => true));
    if (written === undefined) return statements.forEach((statement) => this.#leave(statement));
    const nowMs = this.#parts.nowMs();
    for (const statement of statements) {
      this.#awaits(this.#stillLater(statement.head, statement.later, sentMs).dueAtMs);
      this.#isBack([statement.head]);
      this.#queues?.written(statement, nowMs);
    }
    this.#setAlarm(nowMs);
  }

  async #advance(statements: readonly (Statement<OrderedDelivery> & { kind: 'advance' })[]): Promise<void> {
    const advances = statements.map(
      ({ chain: { line, key }, ended }): Advance => ({
        subscription: line.subscription,
        key,
        ended: ended.map(placeOf),
        wants: this.#parts.isWithdrawn(line.subscription) ? 'many' : 'head',
      }),
    );
    const next = await this.#sure((backlog, holding) => backlog.advance(holding, advances));
    if (next === undefined) return statements.forEach((statement) => this.#leave(statement));
    const nowMs = this.#parts.nowMs();
    this.#forgetSoon();
    for (const [i, statement] of statements.entries()) {
      this.#isBack(statement.ended);
      this.#queues?.written(statement, nowMs, { next: (next[i] ?? []).map(this.#restored) });
    }
    this.#setAlarm(nowMs);
  }

  /**
   * A head that was cancelled on its way into the backlog, or its subscription withdrawn, is due there at once. Asked as the statement is sent, each
   * time: what happens after that is written after it.
   */
  #stillLater<S extends Standing>({ request, subscription }: OrderedDelivery, standing: S, nowMs: number): S {
    if (typeof standing !== 'object') return standing;
    const { cancellations, isWithdrawn } = this.#parts;
    if (!isWithdrawn(subscription) && !cancellations.isCancelled(request.head, subscription)) return standing;
    return { ...standing, dueAtMs: Math.min(standing.dueAtMs, nowMs) };
  }

  #readHastened(): void {
    if (this.#hastenedMs === undefined) return;
    this.#awaits(this.#hastenedMs);
    this.#hastenedMs = undefined;
    this.#setAlarm(this.#parts.nowMs());
  }

  /** A head waits in the backlog. */
  #awaits(dueAtMs: number): void {
    this.#nextDueMs = earlier(this.#nextDueMs, dueAtMs);
    // It was written when the reading had gone further: it has to go back.
    if (dueAtMs <= this.#cursor.dueAtMs) this.#cursor = { dueAtMs, offset: -1, index: -1 };
    // Or it is just going further: then it begins again where it began.
    else if (this.#isReading) this.#cursor = { ...this.#cursor };
  }

  #isBack(heads: readonly OrderedDelivery[]): void {
    for (const head of heads) if (this.#underWay.delete(head)) this.#underWayBytes -= head.request.bytes;
  }

  // Reading

  get #canRead(): boolean {
    return !this.#isReading && this.#heldBack === undefined && this.#underWay.size < MOST_UNDER_WAY && this.#underWayBytes < MOST_UNDER_WAY_BYTES;
  }

  readonly #restored = (row: StoredRow): OrderedDelivery => deliveryOf(row, this.partition, () => this.#isGone || this.#isLost);

  async #read(): Promise<void> {
    const readsMs = this.#parts.nowMs();
    this.#nextDueMs = undefined;
    const after = this.#cursor;
    const rows = await this.#sure((backlog, holding) => backlog.due(holding, readsMs, after, PAGE));
    if (rows === undefined) return;
    // Told to go back meanwhile, it stays there: this reading may have passed over what was written.
    if (this.#cursor === after) await this.#moveOn(rows, Math.max(readsMs, after.dueAtMs));
    // And reads on from there at once: what was written may be due long after what is next.
    else this.#nextDueMs = earlier(this.#nextDueMs, readsMs);
    const nowMs = this.#parts.nowMs();
    for (const row of rows) this.#queues?.due(this.#restored(row), nowMs);
    this.#isReading = false;
    this.#setAlarm(nowMs);
  }

  async #moveOn(rows: readonly StoredRow[], readToMs: number): Promise<void> {
    const last = rows.at(-1);
    if (last !== undefined) {
      this.#cursor = last;
      this.#nextDueMs = last.dueAtMs;
      return;
    }
    const from = { dueAtMs: readToMs, offset: Number.MAX_SAFE_INTEGER, index: 0 };
    this.#cursor = from;
    const next = await this.#sure((backlog, holding) => backlog.nextDueMs(holding, from));
    this.#nextDueMs = earlier(this.#nextDueMs, next);
  }

  async #hasten(write: (backlog: Backlog, holding: Holding, nowMs: number) => Promise<void>): Promise<void> {
    const nowMs = this.#parts.nowMs();
    const hastened = await this.#sure((backlog, holding) => write(backlog, holding, nowMs).then(() => true));
    if (hastened === undefined) return;
    this.#awaits(nowMs);
    // A head that has got there, and whose answer has not: it is read, and passed over, if it is read before that.
    if (this.#isWriting) this.#hastenedMs = earlier(this.#hastenedMs, nowMs);
    this.#setAlarm(this.#parts.nowMs());
  }

  #checkCommits(nowMs: number): void {
    const { isCommitted } = this.#parts;
    for (let first = this.#uncommitted.peek(); first !== undefined; first = this.#uncommitted.peek()) {
      if (!isCommitted(this.partition, first.request.offset)) {
        this.#checkCommitsAtMs = nowMs + CHECK_COMMITS_MS;
        return;
      }
      this.#uncommitted.shift();
      this.#queues?.committed(first);
    }
  }

  // What has ended is forgotten when its record will not be read again.

  #forgetSoon(): void {
    this.#forgetAtMs ??= this.#parts.nowMs() + FORGET_AFTER_MS;
  }

  async #forget(): Promise<void> {
    const left = await this.#sure((backlog, holding) => backlog.forget(holding, this.#parts.committed(this.partition) ?? 0));
    if (left === undefined || left === 0) return;
    this.#forgetSoon();
    this.#setAlarm(this.#parts.nowMs());
  }

  // Time

  #setAlarm(nowMs: number): void {
    if (this.#isGone || this.#isLost || this.#queues === undefined) return;
    // Never later than that: the clock may have been set back since.
    if (this.#uncommitted.length > 0) this.#checkCommitsAtMs = earlier(this.#checkCommitsAtMs, nowMs + CHECK_COMMITS_MS);
    const rowsAtMs = earlier(this.#canRead ? this.#nextDueMs : undefined, this.#forgetAtMs);
    const atMs = earlier(earlier(this.#queues.nextTickMs, this.#checkCommitsAtMs), rowsAtMs);
    if (atMs === undefined || (this.#alarm !== undefined && this.#alarm.atMs <= atMs)) return;
    this.#alarm?.cancel();
    const inMs = Math.min(Math.max(0, atMs - nowMs), LONGEST_ALARM_MS);
    const cancel = this.#parts.setTimer(inMs, () => {
      this.#alarm = undefined;
      this.#ring(this.#parts.nowMs());
    });
    this.#alarm = { atMs: nowMs + inMs, cancel };
  }

  #ring(nowMs: number): void {
    const { fatal } = this.#parts;
    this.#queues?.tick(nowMs);
    if (this.#checkCommitsAtMs !== undefined && this.#checkCommitsAtMs <= nowMs) {
      this.#checkCommitsAtMs = undefined;
      this.#checkCommits(nowMs);
    }
    if (this.#nextDueMs !== undefined && this.#nextDueMs <= nowMs && this.#canRead) {
      this.#isReading = true;
      void this.#read().catch(fatal);
    }
    if (this.#forgetAtMs !== undefined && this.#forgetAtMs <= nowMs) {
      this.#forgetAtMs = undefined;
      void this.#forget().catch(fatal);
    }
    this.#setAlarm(nowMs);
  }

  // The database

  /** Repeats it until it has been done; undefined when the partition is no longer ours. */
  async #sure<T>(run: (backlog: Backlog, holding: Holding) => Promise<T>): Promise<T | undefined> {
    const { backlog, setTimer } = this.#parts;
    while (!this.#isGone) {
      try {
        const answer = await run(backlog, this.#holding ?? { partition: this.partition, epoch: 0 });
        this.#trouble = undefined;
        return this.#isGone ? undefined : answer;
      } catch (error) {
        if (error instanceof HoldingLost) {
          this.#lose(error);
          return undefined;
        }
        this.#trouble = `the order of partition ${this.partition} cannot be kept up: ${error instanceof Error ? error.message : String(error)}`;
        await new Promise<void>((resolve) => void setTimer(RETRY_MS, resolve));
      }
    }
    return undefined;
  }

  #lose(error: HoldingLost): void {
    if (this.#isGone || this.#isLost) return;
    this.#isLost = true;
    this.#trouble = `another sender has taken the order of partition ${this.partition}`;
    this.#queues?.close();
    this.#isBack([...this.#underWay]);
    this.#alarm?.cancel();
    this.#parts.setTimer(LOST_MS, () => this.#isGone || this.#parts.fatal(error));
  }
}
