import {
  requireKnownSchema,
  SCHEMA_HEADER,
  SCHEMA_VERSION,
  unframe,
  type Outcome,
  type Postponement,
  type RequestedHead,
  type TopicName,
} from '@posthorn/contracts';
import { afterAttempt, type NextStep } from '@posthorn/domain';
import type { AttemptRequest, AttemptResult } from '@posthorn/egress';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import type { Tracing } from '@posthorn/service-kit';
import type { Wheel } from '../delay/wheel.js';
import type { RegistryFeed } from '../registry/registry-feed.js';
import { Allowance } from './allowance.js';
import { traceAttempt } from './attempt-span.js';
import type { Cancellations } from './cancelling/cancellations.js';
import { dayOf, failureToTell, outcomeOf, postponementOf, Request, type Addressee, type DelayedRecord } from './delivery.js';
import { endingOf } from './ending.js';
import { LaneShares } from './lane-shares.js';
import { noTerms } from './lane-terms.js';
import type { Backlog } from './ordering/backlog.js';
import { orderingKeyOf, type OrderedDelivery } from './ordering/ordered-delivery.js';
import { Ordering } from './ordering/ordering.js';
import { RecentAttempts } from './recent-attempts.js';
import { SenderCore, type BreakerState, type Ending, type PostponeCause } from './sender-core.js';
import type { SendingTerms, Subscriptions } from './subscriptions.js';

export type SenderParts = {
  readonly subscriptions: Pick<Subscriptions, 'get'>;
  readonly feed: RegistryFeed;
  readonly cancellations: Pick<Cancellations, 'isCancelled' | 'has' | 'whenRead'>;
  readonly attempt: (request: AttemptRequest) => Promise<AttemptResult>;
  /** Resolves when Kafka has acknowledged it. */
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly writeOutcome: (partition: number, outcome: Outcome, isAwaited: boolean) => Promise<void>;
  readonly writePostponement: (partition: number, postponement: Postponement, isAwaited: boolean) => Promise<void>;
  readonly topic: (name: TopicName) => string;
  /** Where what is due later waits. */
  readonly wheel: Wheel;
  /** Where deliveries wait that must not overtake each other. */
  readonly backlog: Backlog;
  /** Deliveries of one subscription that may wait there. */
  readonly backlogLimit: number;
  /** The offset of `deliveries.requested` that the group has committed for a partition of ours. */
  readonly committed: (partition: number) => number | undefined;
  /** Whether the group knows that this record of it, which may be above, is done. */
  readonly isCommitted: (partition: number, offset: number) => boolean;
  readonly isMember: () => Promise<boolean>;
  /** Records that have been handed over and are not done. */
  readonly recordsInFlight: () => number;
  readonly maxInFlight: number;
  /** What a partition may have in memory. */
  readonly windowBytes: number;
  /** Wall clock. */
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Runs it once, so many milliseconds from now, unless it is cancelled. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
  /** Runs it after what is going on in this turn of the event loop. */
  readonly soon: (run: () => void) => void;
  readonly observe: SenderObserver;
  /** Absent: no spans. */
  readonly tracing?: Tracing | undefined;
  /** Something that must not be gone on from: the records it concerns will be read again after a restart. */
  readonly fatal: (error: unknown) => void;
};

export type SenderObserver = {
  /** With the milliseconds from acceptance to the end of the attempt. */
  readonly outcome: (outcome: Outcome, latencyMs: number) => void;
  readonly postponed: (cause: PostponeCause) => void;
  /** A round ends because its user has cancelled it. */
  readonly cancelled: () => void;
  readonly breaker: (to: BreakerState, subscription: string) => void;
  /**
   * The first attempt of a delivery starts.
   * @param latencyMs since its event was accepted
   * @param isHeld its own subscription let it wait: by its limits, its order, or its failures
   */
  readonly started: (latencyMs: number, isHeld: boolean) => void;
};

/** @property ordered when its subscription is served in order, and its event has a key */
type Delivery = {
  readonly request: Request;
  readonly subscription: string;
  readonly lane: string;
  readonly ordered: OrderedDelivery | undefined;
};

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };
/** A few milliseconds of work. */
const STARTS_A_TURN = 64;
const BACKLOG_FULL = 'ordering_backlog_full';
const BY_USER = 'cancelled_by_user';
/**
 * Alarms go by another clock than what they are set for: when the time of day leaps ahead, as that of a machine that slept, one that was to ring in hours would
 * still do so then, and hold up all that is due by now.
 */
const LONGEST_ALARM_MS = 10_000;
/** A rebalance takes a second as it is. */
const HOLD_LOOK_MS = 20;

/**
 * A record is one copy of its event for all its subscriptions; each that goes to the wheel takes one of its own. A large event for a thousand whose
 * lanes are closed would be a gigabyte at once.
 */
const MOST_COPIES_BYTES = 16 * 1024 * 1024;

/**
 * `deliveries.requested` in, signed requests out, and for each an outcome (and a retry, if it comes to that) in Kafka before its
 * record is done. What a lane cannot take goes to the delay wheel, and its record is done when it has arrived there. Of deliveries that are to be
 * in order, the core has only one of each key; whatever has to wait of them, waits in the backlog. What its user has cancelled ends where it
 * is met: no request, no outcome, since the cancellation itself is in Kafka.
 */
export class Sender {
  readonly core: SenderCore<Delivery>;
  readonly ordering: Ordering;
  readonly #parts: SenderParts;
  readonly #recentAttempts = new RecentAttempts();
  readonly #shares = new Map<number, LaneShares>();
  /** On their way to the wheel. */
  readonly #copies = new Allowance(MOST_COPIES_BYTES);
  #awaitsTurn = false;
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.core = new SenderCore({
      ...parts,
      startsATurn: STARTS_A_TURN,
      start: (delivery, nowMs, isHeld) => {
        this.#awaitTurn();
        this.#send(delivery, nowMs, isHeld).catch(parts.fatal);
      },
      postpone: (delivery, dueAtMs, cause) => void this.#postpone(delivery, dueAtMs, cause).catch(parts.fatal),
      onBreaker: (to, lane) => parts.observe.breaker(to, subscriptionOf(lane)),
    });
    this.ordering = new Ordering({
      ...parts,
      limit: parts.backlogLimit,
      isWithdrawn: (subscription) => !inOrder(parts.subscriptions.get(subscription)),
      offer: (ordered, nowMs) => {
        this.#offer(ordered.request, ordered.subscription, parts.subscriptions.get(ordered.subscription), ordered, nowMs);
        this.#setAlarm(nowMs);
      },
      release: (ordered) => this.#release(ordered),
      refuse: async (ordered, number) => {
        const { request, subscription } = ordered;
        if (this.#endsCancelled(ordered)) return;
        await this.#conclude(request, outcomeOf(request.headAs(number), this.#addressee(subscription), { failed: BACKLOG_FULL }, parts.nowMs()), true);
      },
      tellBehind: ({ request, subscription }, behind) =>
        parts.writePostponement(request.partition, postponementOf(request.head, subscription, { cause: 'ordered', behind }, parts.nowMs()), true),
    });
  }

  /** Partitions may be taken away: resolves when nothing is under way that would be repeated by who has them next, neither a record nor a row of the backlog. */
  readonly hold = async (): Promise<void> => {
    const { recordsInFlight, setTimer } = this.#parts;
    const { ordering } = this;
    ordering.hold();
    // What is under way of a record becomes a row when others of its key have waited too long for it.
    while (ordering.isHolding && recordsInFlight() + ordering.underWay > 0) await new Promise<void>((resolve) => void setTimer(HOLD_LOOK_MS, resolve));
  };

  readonly onRecord = (record: IncomingRecord): void => {
    requireKnownSchema(record.headers);
    if (record.value === null) throw new TypeError('a request without a value');
    const { head, data } = unframe<RequestedHead>(record.value);
    const { cancellations, feed } = this.#parts;
    cancellations.whenRead(record.partition, () => feed.whenReached(head.position, () => this.#accept(new Request(record, head, data))));
  };

  #accept(request: Request): void {
    // It has waited for the registry meanwhile. Others have had it since, also where the partition is ours again: it must not get behind what they parked.
    if (request.revoked) return;
    const { event, subscriptions } = request.head;
    const nowMs = this.#parts.nowMs();
    for (const [index, subscription] of subscriptions.entries()) {
      const terms = this.#parts.subscriptions.get(subscription);
      if (event.partitionkey === undefined || terms?.ordering !== 'by_key') this.#offer(request, subscription, terms, undefined, nowMs);
      else this.ordering.arrive({ request, subscription, key: orderingKeyOf(event.partitionkey), index });
    }
    this.#setAlarm(nowMs);
  }

  #offer(request: Request, subscription: string, terms: SendingTerms | undefined, ordered: OrderedDelivery | undefined, nowMs: number): void {
    const lane = laneOf(subscription, terms, request.partition);
    const delivery: Delivery = { request, subscription, lane, ordered };
    if (this.#endsCancelled(delivery)) {
      // Not at once: of a key whose next is cancelled, too, that would be told while this one is being told of.
      queueMicrotask(() => this.#done(delivery));
      return;
    }
    const share = this.#sharesOf(request.partition).of(lane, nowMs);
    this.core.offer({ delivery, lane, bytes: request.bytes, heldBytes: request.bytesEach, isReserved: request.head.reserved === true, share }, terms?.lane ?? noTerms, nowMs);
  }

  #sharesOf(partition: number): LaneShares {
    let shares = this.#shares.get(partition);
    if (shares === undefined) {
      shares = new LaneShares();
      this.#shares.set(partition, shares);
    }
    return shares;
  }

  #awaitTurn(): void {
    if (this.#awaitsTurn) return;
    this.#awaitsTurn = true;
    this.#parts.soon(() => {
      this.#awaitsTurn = false;
      const nowMs = this.#parts.nowMs();
      this.core.turn(nowMs);
      this.#setAlarm(nowMs);
    });
  }

  /** The core is told of the time when it wants to be. An alarm that has become too early is left: it costs one idle look. */
  #setAlarm(nowMs: number): void {
    const atMs = this.core.nextTickMs;
    if (atMs === undefined || (this.#alarm !== undefined && this.#alarm.atMs <= atMs)) return;
    this.#alarm?.cancel();
    const inMs = Math.min(Math.max(0, atMs - nowMs), LONGEST_ALARM_MS);
    const cancel = this.#parts.setTimer(inMs, () => {
      this.#alarm = undefined;
      const ringsMs = this.#parts.nowMs();
      this.core.tick(ringsMs);
      this.#setAlarm(ringsMs);
    });
    this.#alarm = { atMs: nowMs + inMs, cancel };
  }

  async #send(delivery: Delivery, startedMs: number, isHeld: boolean): Promise<void> {
    const { subscription, lane } = delivery;
    const terms = this.#parts.subscriptions.get(subscription);
    const isRevoked = this.#isRevoked(delivery);
    if (isRevoked || this.#isRepeated(delivery) || !terms?.enabled || this.#isCancelled(delivery)) {
      this.#finished(lane, { kind: 'not_attempted', durationMs: this.#since(startedMs) });
      if (isRevoked) this.#drop(delivery);
      else await this.#withoutAttempt(delivery, terms);
    } else {
      if (isFirst(delivery.request)) this.#parts.observe.started(startedMs - Date.parse(delivery.request.head.event.acceptedtime), isHeld || delivery.ordered !== undefined);
      await this.#attempt(delivery, terms, startedMs);
    }
    const nowMs = this.#parts.nowMs();
    this.core.recorded(nowMs);
    this.#setAlarm(nowMs);
  }

  async #withoutAttempt(delivery: Delivery, terms: SendingTerms | undefined): Promise<void> {
    if (!this.#isRepeated(delivery) && !this.#endsCancelled(delivery)) {
      const { request, subscription, ordered } = delivery;
      const outcome = outcomeOf(request.head, { id: subscription, version: terms?.version }, { cancelled: reasonToCancel(terms) }, this.#parts.nowMs());
      await this.#conclude(request, outcome, ordered !== undefined);
    }
    this.#done(delivery);
  }

  async #attempt(delivery: Delivery, terms: SendingTerms, startedMs: number): Promise<void> {
    const { request, subscription, lane, ordered } = delivery;
    const { head } = request;
    const payload = request.payload(terms.attempt.recipe);
    const { attempt, verdict } = await this.#parts.attempt({ eventId: head.event.id, payload, subscription: terms.attempt });
    const nowMs = this.#parts.nowMs();
    this.#finished(lane, endingOf(verdict, this.#since(startedMs)));
    // Cut off by our own end, or the partition has a new owner: the attempt is made again there, and one chain of retries is enough.
    const isRevoked = this.#isRevoked(delivery);
    if (!verdict.success && (isRevoked || verdict.error.code === 'aborted')) {
      if (isRevoked) this.#drop(delivery);
      return;
    }
    const step = this.#stepAfter(verdict, request, terms, nowMs, lane);
    const isRetrying = step.status === 'retrying' && !this.#endsCancelled(delivery);
    const isCalledOff = step.status === 'retrying' && !isRetrying;
    const { tracing } = this.#parts;
    const traceparent = tracing && traceAttempt(tracing, { head, subscription, attempt, status: isCalledOff ? 'cancelled' : step.status });
    const result = isCalledOff ? { cancelled: BY_USER, attempt, traceparent } : { step, attempt, traceparent };
    const written = this.#conclude(request, outcomeOf(head, { id: subscription, version: terms.version }, result, nowMs), ordered !== undefined);
    const isDelayed = isRetrying && ordered === undefined;
    await (isDelayed ? Promise.all([written, this.#delay(request.retryRecord(subscription, step.dueAtMs, traceparent), step.dueAtMs, nowMs)]) : written);
    if (isRetrying && ordered !== undefined && !this.#endsCancelled(delivery)) {
      this.ordering.later(ordered, { dueAtMs: step.dueAtMs, number: head.number + 1, isReserved: false });
      return;
    }
    if (mayRepeat(delivery)) this.#recentAttempts.add(keyOf(head, subscription));
    this.#done(delivery);
  }

  /** Its record is another sender's. */
  #drop({ ordered }: Delivery): void {
    if (ordered !== undefined) this.ordering.dropped(ordered);
  }

  /** It has had its whole effect. */
  #done({ request, ordered }: Delivery): void {
    if (ordered === undefined) request.oneDone();
    else this.ordering.ended(ordered);
  }

  /** A retry is due by its schedule, and not while its receiver is to be left alone. */
  #stepAfter(verdict: AttemptResult['verdict'], { head }: Request, { retryScheduleMs }: SendingTerms, nowMs: number, lane: string): NextStep {
    const step = afterAttempt(verdict.success ? { kind: 'success' } : { kind: 'failure', ...verdict }, {
      number: head.number,
      scheduleMs: retryScheduleMs,
      nowMs,
      random: this.#parts.random(),
    });
    if (step.status !== 'retrying') return step;
    return { ...step, dueAtMs: Math.max(step.dueAtMs, this.core.notBeforeMs(lane)) };
  }

  async #postpone(delivery: Delivery, dueAtMs: number, cause: PostponeCause): Promise<void> {
    const { request, subscription, ordered } = delivery;
    if (this.#isRevoked(delivery)) {
      this.#drop(delivery);
      return;
    }
    if (this.#endsCancelled(delivery)) {
      this.#done(delivery);
      return;
    }
    const { observe, writePostponement } = this.#parts;
    observe.postponed(cause);
    const nowMs = this.#parts.nowMs();
    const tell = (): Promise<void> => writePostponement(request.partition, postponementOf(request.head, subscription, { cause, untilMs: dueAtMs }, nowMs), false);
    if (ordered !== undefined) {
      await tell();
      this.ordering.later(ordered, { dueAtMs, number: request.head.number, isReserved: true });
      return;
    }
    await this.#delay(request.postponedRecord(subscription, dueAtMs), dueAtMs, nowMs, tell);
    request.oneDone();
  }

  /** The clock may have been set back meanwhile. */
  #since(startedMs: number): number {
    return Math.max(0, this.#parts.nowMs() - startedMs);
  }

  #finished(lane: string, ending: Ending): void {
    const nowMs = this.#parts.nowMs();
    this.core.finished(lane, ending, nowMs);
    this.#setAlarm(nowMs);
  }

  /** What waits in the backlog for a subscription that is not served in order any more. */
  async #release(ordered: OrderedDelivery): Promise<void> {
    const { request, subscription } = ordered;
    if (this.#endsCancelled(ordered)) return;
    const nowMs = this.#parts.nowMs();
    const terms = this.#parts.subscriptions.get(subscription);
    if (terms?.enabled) await this.#delay(request.plainRecord(subscription, nowMs), nowMs, nowMs);
    else await this.#conclude(request, outcomeOf(request.head, { id: subscription, version: terms?.version }, { cancelled: reasonToCancel(terms) }, nowMs), true);
  }

  /** Somebody else makes it, or has made it. */
  #isRevoked({ request, ordered }: Delivery): boolean {
    return request.revoked || (ordered !== undefined && !this.ordering.isHead(ordered));
  }

  #isCancelled({ request, subscription }: Pick<Delivery, 'request' | 'subscription'>): boolean {
    return this.#parts.cancellations.isCancelled(request.head, subscription);
  }

  /** Asked where it would go on otherwise: if it is cancelled it ends there, and is counted. */
  #endsCancelled(delivery: Pick<Delivery, 'request' | 'subscription'>): boolean {
    const isCancelled = this.#isCancelled(delivery);
    if (isCancelled) this.#parts.observe.cancelled();
    return isCancelled;
  }

  #addressee(subscription: string): Addressee {
    return { id: subscription, version: this.#parts.subscriptions.get(subscription)?.version };
  }

  #isRepeated(delivery: Delivery): boolean {
    return mayRepeat(delivery) && this.#recentAttempts.has(keyOf(delivery.request.head, delivery.subscription));
  }

  /**
   * Writes it down, and tells of a delivery that has failed for good.
   * @param isAwaited others of its key go on only then
   */
  #conclude(request: Request, outcome: Outcome, isAwaited: boolean): Promise<unknown> {
    const { observe, send, topic, writeOutcome } = this.#parts;
    observe.outcome(outcome, Date.parse(outcome.at) - Date.parse(outcome.accepted_at));
    const written = writeOutcome(request.partition, outcome, isAwaited);
    const failure = failureToTell(outcome);
    return failure === undefined ? written : Promise.all([written, send({ topic: topic('operations'), key: failure.tenant, value: JSON.stringify(failure), headers })]);
  }

  /** @param tell what is to be known of it besides, in its turn: what waits for that takes memory as well */
  async #delay({ key, bytes, value }: DelayedRecord, dueAtMs: number, nowMs: number, tell?: () => Promise<void>): Promise<void> {
    const turn = this.#copies.take(bytes);
    if (turn !== undefined) await turn;
    const sent = this.#parts.send({ ...this.#parts.wheel.placeFor(key, nowMs, dueAtMs), value: value(), headers });
    await Promise.all([sent, tell?.()]).finally(() => this.#copies.giveBack(bytes));
  }
}

/** A subscription that is spread has a lane, and a share of its limits, for each of its partitions. */
const laneOf = (subscription: string, terms: SendingTerms | undefined, partition: number): string =>
  terms === undefined || terms.spread === 1 ? subscription : `${subscription}/${partition}`;

const subscriptionOf = (lane: string): string => lane.split('/', 1)[0] ?? lane;

const inOrder = (terms: SendingTerms | undefined): boolean => terms?.enabled === true && terms.ordering === 'by_key';

const isFirst = ({ head: { trigger, number } }: Request): boolean => trigger === 'first' && number === 1;

const reasonToCancel = (terms: SendingTerms | undefined): string =>
  terms === undefined ? 'the subscription was deleted' : 'the subscription is disabled';

/**
 * It may have been written twice: a retry or an overflow by a crash before its record was done, a round that was asked for by a crash of who wrote
 * it, what is to be in order by the router.
 */
const mayRepeat = ({ request: { head }, ordered }: Delivery): boolean => head.number > 1 || head.round > 0 || head.reserved === true || ordered !== undefined;

/** Of an attempt; the subscription's id says whose event it is. */
const keyOf = ({ event, round, number }: RequestedHead, subscription: string): string =>
  `${subscription}/${round}/${number}/${dayOf(event)}/${event.id}`;
