import { deliveryId, unframe, type Attempted, type Cancelled, type Outcome, type RequestedHead } from '@posthorn/contracts';
import { defaultRetryScheduleMs, JITTER, placesOf } from '@posthorn/domain';
import { decodeDone } from '@posthorn/kafka/simulation';
import type { Round } from '../src/sender/cancelling/cancelled-rounds.js';
import type { Stored } from './broker.js';
import type { Clock, Life } from './clock.js';
import { keyOf } from './group.js';
import type { Scenario, SubscriptionPlan } from './scenario.js';

/** What must hold; the name under which a history has failed, by which a smaller one is known to have failed of the same. */
export type Invariant =
  | 'every delivery ends'
  | 'exactly one end'
  | 'ends as its attempts say'
  | 'attempts without gaps'
  | 'no attempt early'
  | 'no attempt late'
  | 'waits once'
  | 'no record is held'
  | 'concurrency'
  | 'requests in flight'
  | 'rate limit'
  | 'a receiver is left alone'
  | 'keys are not overtaken'
  | 'what is cancelled is left alone'
  | 'who waits is told of'
  | 'memory'
  | 'done when durable'
  | 'repeated only when something broke'
  | 'comes to rest'
  | 'goes on';

export type Violation = { readonly invariant: Invariant; readonly what: string; readonly atMs: number };

/** In the order of their strength, as the audit folds outcomes of the same number. */
const STRENGTH = { retrying: 0, cancelled: 1, failed: 2, delivered: 3 } as const;
type Status = keyof typeof STRENGTH;

type Request = { readonly number: string; readonly life: Life; readonly startedMs: number; answer?: 'success' | 'failure' | 'gone'; isTold: boolean; endedMs?: number };

/** Of one number of a delivery: what Kafka holds of it. */
type Step = {
  status: Status | undefined;
  /** When its next attempt may be made, by its outcome. */
  nextDueMs: number;
  /** It has been put off so often, unattempted; and so often Kafka says why. */
  postponed: number;
  told: number;
  /** When its last record was appended, counted in appends; and the last one that came or went back with a place reserved. */
  appended: number;
  reserved: number;
};

/** A round of one event for one subscription: everything that is known of it. */
class Delivery {
  readonly steps = new Map<number, Step>();
  readonly requests: Request[] = [];
  /** What made it, and what brought it back, was written twice: it may go on twice. */
  isDoubled = false;
  /** No attempt before. */
  notBeforeMs = 0;
  /** Since when a sender can have it. */
  arrivedMs = 0;
  end: { readonly number: number; readonly status: Status; readonly atMs: number } | undefined;
  /** By its user. */
  cancelledMs: number | undefined;
  /** When each process has read that it is cancelled. */
  readonly seenMs = new Map<Life, number>();
  /** Records about it that are not done. */
  open = 0;

  constructor(
    readonly id: string,
    readonly round: number,
    readonly plan: SubscriptionPlan,
    readonly event: string,
    readonly partition: number,
    readonly bornMs: number,
    /** In the sequence of its key. */
    readonly rank: number,
    readonly siblings: Delivery[] | undefined,
  ) {}

  get name(): string {
    return `${this.event}→${this.plan.id}${this.round === 0 ? '' : ` round ${this.round}`}`;
  }

  step(number: number): Step {
    let step = this.steps.get(number);
    if (step === undefined) {
      step = { status: undefined, nextDueMs: 0, postponed: 0, told: 0, appended: 0, reserved: 0 };
      this.steps.set(number, step);
    }
    return step;
  }
}

/** How a lane looks from outside: what one process has under way for one subscription on one partition. */
type LaneView = {
  underWay: number;
  tokens: number;
  countedMs: number;
  fullMs: number;
  /** Failures in a row, of requests that began after its breaker has opened for the last time, and when the last one came. */
  failures: number;
  failedMs: number;
  /** Whether its breaker has counted the same is not known: a lane that nothing came for may have been forgotten, a process may have stood still. */
  isForgotten: boolean;
  openedMs: number;
  /** Between these nothing may be sent there. */
  quietFromMs: number;
  quietUntilMs: number;
};

/** What a process has under way in all. */
type SenderView = { underWay: number; fullMs: number; pausedMs: number; readonly lanes: Map<string, LaneView>; readonly assignedMs: Map<number, number> };

/** How a subscriber has answered lately: whether a breaker may have opened by it. */
type Health = { consecutive: number; failedMs: number[]; answeredMs: number[]; suspectUntilMs: number };

/** Time comes in whole milliseconds to a process. */
const GRAIN_MS = 1;
const LATE_MS = 1_000;
/** After a rebalance, a crash, an outage: until everything runs again. */
const RECOVERY_MS = 15_000;
/** Two seconds of patience, and what Kafka and its commits take. */
const HELD_MS = 5_000;
/** For so long a breaker that has opened for the longest may still be felt. */
const BREAKER_MS = 20 * 60_000;
const BREAKER_WINDOW_MS = 30_000;
const MOST_FAILURES = 10;
const SHORTEST_OPEN_MS = 4_000;
const LONGEST_PAUSE_MS = 3_600_000;
/** A lane for so many bytes has room for all that such small histories put into it at a time. */
const ROOMY_BYTES = 50_000;
const ROOMY_SLOTS = 1_000;
/** Places that others have been given in a lane are taken by then. */
const RESERVED_MS = 300_000;

/**
 * Everything that can be seen of a history from outside (the records in Kafka, the commits, the requests at the subscribers), and what must hold of it,
 * looked at with every step. It knows nothing of how the dispatcher does what it does.
 */
export class Ledger {
  readonly #deliveries = new Map<string, Delivery>();
  readonly #plans: ReadonlyMap<string, SubscriptionPlan>;
  readonly #keys = new Map<string, Delivery[]>();
  readonly #senders = new Map<Life, SenderView>();
  readonly #health = new Map<string, Health>();
  readonly #requests = new Map<string, { readonly delivery: Delivery; readonly request: Request }>();
  /** Read records by their place: what has to have come of each before it is done. */
  readonly #heads = new Map<string, { readonly head: RequestedHead; readonly appended: number; readonly appendedMs: number; readonly isDelayed: boolean }>();
  /** Subscriptions that were switched off at some time. */
  readonly #off = new Set<string>();
  readonly #reconfigured = new Set<string>();
  readonly #repeatedEvents: ReadonlySet<string>;
  readonly #repeatedRounds = new Set<string>();
  #appended = 0;
  #disturbedMs = 0;
  #troubles = 0;
  violation: Violation | undefined;

  constructor(
    private readonly scenario: Scenario,
    private readonly clock: Clock,
    /** The number under which a round of a delivery waits in the backlog; undefined when it does not. */
    private readonly waitsAs: (round: Round) => number | undefined,
    private readonly stop: () => void,
  ) {
    this.#plans = new Map(scenario.subscriptions.map((plan) => [plan.id, plan]));
    this.#repeatedEvents = new Set(scenario.events.filter(({ isRepeated }) => isRepeated).map(({ id }) => id));
  }

  get deliveries(): number {
    return this.#deliveries.size;
  }

  get requests(): number {
    return this.#requests.size;
  }

  violate(invariant: Invariant, what: string): void {
    if (this.violation !== undefined) return;
    this.violation = { invariant, what, atMs: this.clock.elapsedMs };
    this.stop();
  }

  // What happens around

  /** A crash, a rebalance, trouble with Kafka or the database: promises about time and repetition hold again when it is over. */
  disturbed(): void {
    this.#disturbedMs = this.clock.nowMs;
  }

  /** Something is wrong from now on, and until what this returns is called. */
  troubled(): () => void {
    this.#troubles += 1;
    this.disturbed();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#troubles -= 1;
      this.disturbed();
    };
  }

  switchedOff(subscription: string): void {
    this.#off.add(subscription);
  }

  reconfigured(subscription: string): void {
    this.#reconfigured.add(subscription);
  }

  paused(life: Life): void {
    this.#senderOf(life).pausedMs = this.clock.nowMs;
  }

  /** The request for this round will be written twice. */
  asksTwice(event: string, subscription: string, round: number): void {
    this.#repeatedRounds.add(roundKey({ delivery: deliveryId('default', event, subscription), round }));
  }

  /** A process has read that something is cancelled. */
  seen(life: Life, { value }: Stored): void {
    for (const delivery of this.#cancelledIn(value)) if (!delivery.seenMs.has(life)) delivery.seenMs.set(life, this.clock.nowMs);
  }

  #cancelledIn(value: Buffer | null): readonly Delivery[] {
    const { cancellations } = JSON.parse(String(value)) as Cancelled;
    return cancellations.flatMap(({ delivery_id, round }) => this.#deliveries.get(roundKey({ delivery: delivery_id, round })) ?? []);
  }

  // Records in Kafka

  appended(record: Stored): void {
    const { topic, value } = record;
    if (value === null) return;
    if (topic.startsWith('deliveries.attempted')) {
      const { outcomes, postponed = [] } = JSON.parse(value.toString()) as Attempted;
      for (const outcome of outcomes) this.#told(outcome);
      for (const { delivery_id, round, number, until } of postponed) {
        const delivery = this.#deliveries.get(roundKey({ delivery: delivery_id, round }));
        if (delivery === undefined) continue;
        delivery.step(number).told += 1;
        if (until !== undefined && delivery.siblings !== undefined) delivery.notBeforeMs = Math.max(delivery.notBeforeMs, Date.parse(until));
      }
    } else if (topic.startsWith('deliveries.cancelled')) {
      for (const delivery of this.#cancelledIn(value)) delivery.cancelledMs ??= this.clock.nowMs;
    } else if (topic.startsWith('deliveries.requested')) this.#requested(record, false);
    else if (topic.startsWith('deliveries.delayed.')) this.#requested(record, true);
  }

  #requested({ topic, partition, offset, value }: Stored, isDelayed: boolean): void {
    const { head } = unframe<RequestedHead>(value ?? Buffer.alloc(0));
    this.#appended += 1;
    this.#heads.set(`${keyOf(topic, partition)}/${offset}`, { head, appended: this.#appended, appendedMs: this.clock.nowMs, isDelayed });
    for (const subscription of head.subscriptions) {
      const delivery = this.#deliveryOf(head, subscription, partition);
      if (delivery === undefined) continue;
      const step = delivery.step(head.number);
      const isMoved = step.appended > 0;
      step.appended = this.#appended;
      if (head.reserved === true) step.reserved = this.#appended;
      delivery.open += 1;
      if (!isDelayed) {
        delivery.arrivedMs = this.clock.nowMs;
        continue;
      }
      const dueMs = head.due_at === undefined ? 0 : Date.parse(head.due_at);
      if (!isMoved || head.reserved === true) this.#delayed(delivery, head, dueMs, isMoved);
    }
  }

  /** A retry, or a delivery that was put off, comes into the wheel. */
  #delayed(delivery: Delivery, { number, reserved }: RequestedHead, dueMs: number, isMoved: boolean): void {
    const before = delivery.steps.get(number - 1);
    if (dueMs === 0) this.violate('no attempt early', `${delivery.name} #${number} goes into the wheel without a due time`);
    if (number > 1 && before?.status !== undefined && before.status !== 'retrying' && this.#isUntroubled(delivery)) {
      this.violate('exactly one end', `${delivery.name} ended ${before.status} with #${number - 1}, and #${number} goes into the wheel`);
    }
    if (reserved === true) this.#postponed(delivery, number, dueMs, isMoved);
    delivery.notBeforeMs = Math.max(delivery.notBeforeMs, dueMs);
  }

  #postponed(delivery: Delivery, number: number, dueMs: number, isMoved: boolean): void {
    const step = delivery.step(number);
    // Moved on within the wheel, not put off again.
    if (isMoved && dueMs <= delivery.notBeforeMs && step.postponed > 0) return;
    step.postponed += 1;
    if (step.postponed > 1 && this.#waitsForItsRateAlone(delivery)) {
      this.violate('waits once', `${delivery.name} #${number} is put off for the ${step.postponed}. time, though nothing is wrong but its rate`);
    }
  }

  #waitsForItsRateAlone({ plan, isDoubled, bornMs }: Delivery): boolean {
    const isQuick = plan.behaviours.every(({ kind }) => kind === 'fast') && !this.#reconfigured.has(plan.id);
    const isRoomy = this.scenario.windowBytes / 8 >= ROOMY_BYTES && this.scenario.maxInFlight >= ROOMY_SLOTS;
    return isQuick && isRoomy && !isDoubled && this.#troubles === 0 && this.#disturbedMs + RESERVED_MS < bornMs;
  }

  #told(outcome: Outcome): void {
    const delivery = this.#deliveries.get(roundKey({ delivery: outcome.delivery_id, round: outcome.round }));
    if (delivery === undefined) return this.violate('exactly one end', `an outcome of a delivery that nobody asked for: ${outcome.delivery_id}`);
    const { number, status } = outcome;
    const step = delivery.step(number);
    const told = outcome.attempt === undefined ? undefined : this.#requests.get(outcome.attempt.request.headers['request'] ?? '');
    this.#checkOutcome(delivery, outcome, told?.request);
    if (told !== undefined) told.request.isTold = true;
    if (step.status === undefined || STRENGTH[status] > STRENGTH[step.status]) {
      step.status = status;
      step.nextDueMs = outcome.next_attempt_at === undefined ? 0 : Date.parse(outcome.next_attempt_at);
      if (status === 'retrying') delivery.notBeforeMs = Math.max(delivery.notBeforeMs, step.nextDueMs);
    }
    if (status !== 'retrying' && (delivery.end === undefined || number >= delivery.end.number)) {
      delivery.end = { number, status: step.status, atMs: this.clock.nowMs };
    }
  }

  #checkOutcome(delivery: Delivery, outcome: Outcome, request: Request | undefined): void {
    const { number, status, reason } = outcome;
    const { name, plan } = delivery;
    if (number > 1 && delivery.steps.get(number - 1)?.status === undefined && this.#isUntroubled(delivery)) {
      this.violate('attempts without gaps', `${name} #${number} ${status}, and nothing is known of #${number - 1}`);
    }
    if (delivery.end !== undefined && number > delivery.end.number && this.#isUntroubled(delivery)) {
      this.violate('exactly one end', `${name} #${number} ${status}, after it had ended ${delivery.end.status} with #${delivery.end.number}`);
    }
    const schedule = plan.scheduleMs ?? defaultRetryScheduleMs;
    const answers = new Set(delivery.requests.map(({ answer }) => answer));
    if (status === 'cancelled' && reason === 'cancelled_by_user') {
      if (delivery.cancelledMs === undefined || request === undefined) this.violate('ends as its attempts say', `${name} is said to be cancelled by its user, who has not done so, or without an attempt`);
    } else if (status === 'cancelled' && !this.#off.has(plan.id)) this.violate('ends as its attempts say', `${name} is cancelled, though ${plan.id} was never switched off`);
    if (status === 'delivered' && !answers.has('success')) this.violate('ends as its attempts say', `${name} is delivered, and no request of it was answered well`);
    if (status === 'failed' && number <= schedule.length && reason === undefined && !answers.has('gone')) {
      this.violate('ends as its attempts say', `${name} has failed with #${number}, and ${schedule.length + 1} attempts were to be made`);
    }
    if (status === 'retrying' && request !== undefined && (delivery.seenMs.get(request.life) ?? Infinity) < (request.endedMs ?? 0)) {
      this.violate('what is cancelled is left alone', `${name} #${number} is to be tried again, and ${request.life.name} knew that it was cancelled`);
    }
    if (status === 'retrying') {
      const waitMs = Date.parse(outcome.next_attempt_at ?? '') - Date.parse(outcome.at);
      const leastMs = (schedule[number - 1] ?? Infinity) * (1 - JITTER) - GRAIN_MS;
      if (!(waitMs >= leastMs)) this.violate('no attempt early', `${name} #${number} is to be tried again after ${waitMs} ms, ${leastMs} ms at least`);
    }
  }

  // Commits

  committed(topic: string, partition: number, after: { readonly offset: number; readonly metadata: string | null }, before: { readonly offset: number; readonly metadata: string | null }): void {
    if (after.offset < before.offset) this.violate('done when durable', `the commit of ${keyOf(topic, partition)} goes back from ${before.offset} to ${after.offset}`);
    for (let offset = Math.max(0, before.offset); offset < after.offset; offset++) this.#checkDone(topic, partition, offset);
    for (const { start, end } of decodeDone(after.offset, after.metadata)) {
      for (let offset = start; offset < end; offset++) this.#checkDone(topic, partition, offset);
    }
  }

  #checkDone(topic: string, partition: number, offset: number): void {
    const place = `${keyOf(topic, partition)}/${offset}`;
    const read = this.#heads.get(place);
    // Looked at before, as a part of the metadata.
    if (read === undefined) return;
    this.#heads.delete(place);
    const { head, appended, appendedMs, isDelayed } = read;
    if (!isDelayed) this.#checkHeld(place, head, appendedMs);
    for (const subscription of head.subscriptions) {
      const round = { delivery: deliveryId(head.event.tenant, head.event.id, subscription), round: head.round };
      const delivery = this.#deliveries.get(roundKey(round));
      if (delivery === undefined) continue;
      const waitsAs = this.waitsAs(round);
      const isParked = waitsAs !== undefined && waitsAs >= head.number;
      const missing = isParked || delivery.cancelledMs !== undefined ? undefined : isDelayed ? missingOfDelayed(delivery, head.number, appended) : missingOfRequested(delivery, head.number, appended);
      delivery.open -= 1;
      const step = delivery.step(head.number);
      if (!isDelayed && step.reserved > appended && step.told === 0 && step.status === undefined && delivery.cancelledMs === undefined) this.violate('who waits is told of', `${place} is committed: ${delivery.name} #${head.number} is put off, and nobody is told why`);
      if (missing !== undefined) this.violate('done when durable', `${place} is committed: ${delivery.name} #${head.number}, and ${missing}`);
    }
  }

  /** A record waits for no receiver any longer than what is under way may take, and the patience before that. */
  #checkHeld(place: string, { subscriptions }: RequestedHead, appendedMs: number): void {
    // What has a place in its rate waits for that. What has a key waits for the records before it, whomever these are for.
    if (subscriptions.some((id) => this.#plans.get(id)?.rate !== undefined)) return;
    const timeoutsMs = this.scenario.subscriptions.map(({ timeoutMs }) => timeoutMs);
    const heldMs = this.clock.nowMs - appendedMs;
    const isBusy = [...this.#senders.values()].some(({ fullMs, pausedMs }) => Math.max(fullMs, pausedMs) >= appendedMs);
    if (isBusy || this.#troubles > 0 || this.#disturbedMs + RECOVERY_MS >= appendedMs) return;
    if (heldMs > Math.max(...timeoutsMs) + HELD_MS) this.violate('no record is held', `${place} is done after ${Math.round(heldMs)} ms`);
  }

  // Requests at the subscribers

  /** @returns the number under which its answer is told */
  requestStarts(life: Life, subscription: string, event: string, round: number): string {
    const number = `r${this.#requests.size + 1}`;
    const delivery = this.#deliveries.get(roundKey({ delivery: deliveryId('default', event, subscription), round }));
    if (delivery === undefined) {
      this.violate('exactly one end', `a request of ${event} to ${subscription}, which nobody asked for`);
      return number;
    }
    this.#checkCancelled(life, delivery);
    this.#checkLimits(life, delivery);
    this.#checkTime(life, delivery);
    this.#checkRepetition(life, delivery);
    this.#checkOrder(delivery);
    const request: Request = { number, life, startedMs: this.clock.nowMs, isTold: false };
    delivery.requests.push(request);
    this.#requests.set(number, { delivery, request });
    return number;
  }

  /** @param pauseMs what the subscriber asks for by Retry-After */
  requestEnds(number: string, answer: 'success' | 'failure' | 'gone', pauseMs?: number): void {
    const asked = this.#requests.get(number);
    if (asked === undefined) return;
    const { delivery, request } = asked;
    request.answer = answer;
    request.endedMs = this.clock.nowMs;
    const sender = this.#senderOf(request.life);
    const lane = this.#laneOf(sender, delivery);
    const nowMs = this.clock.nowMs;
    if (lane.underWay >= this.#concurrencyOf(delivery.plan)) lane.fullMs = nowMs;
    if (sender.underWay >= this.scenario.maxInFlight) sender.fullMs = nowMs;
    lane.underWay -= 1;
    sender.underWay -= 1;
    // A process that stands still hears of it later.
    const isHeard = !request.life.isOver && request.life.stalledUntilMs <= nowMs;
    if (isHeard) this.#leaveAlone(lane, request.startedMs, answer, pauseMs);
    else lane.isForgotten = true;
    this.#judge(delivery.plan.id, answer, pauseMs ?? 0);
  }

  /** What a lane owes its receiver after this answer. */
  #leaveAlone(lane: LaneView, startedMs: number, answer: 'success' | 'failure' | 'gone', pauseMs: number | undefined): void {
    const nowMs = this.clock.nowMs;
    if (pauseMs !== undefined) {
      this.#isQuiet(lane, Math.min(pauseMs, LONGEST_PAUSE_MS));
      return;
    }
    if (startedMs <= lane.openedMs) return;
    if (answer === 'success') {
      lane.failures = 0;
      lane.isForgotten = false;
      return;
    }
    if (lane.failures > 0 && nowMs - lane.failedMs > BREAKER_WINDOW_MS) lane.isForgotten = true;
    lane.failures += 1;
    lane.failedMs = nowMs;
    if (lane.failures < MOST_FAILURES) return;
    lane.failures = 0;
    lane.openedMs = nowMs;
    if (!lane.isForgotten) this.#isQuiet(lane, SHORTEST_OPEN_MS);
  }

  #isQuiet(lane: LaneView, forMs: number): void {
    const { nowMs } = this.clock;
    if (lane.quietUntilMs < nowMs) lane.quietFromMs = nowMs;
    lane.quietUntilMs = Math.max(lane.quietUntilMs, nowMs + forMs - GRAIN_MS);
  }

  /** It has been read by this process that it is cancelled, or had to be when it got the partition. */
  #checkCancelled(life: Life, { name, partition, cancelledMs = Infinity, seenMs }: Delivery): void {
    const assignedMs = this.#senderOf(life).assignedMs.get(partition) ?? 0;
    if (seenMs.has(life)) this.violate('what is cancelled is left alone', `${name} is requested by ${life.name}, which knows that it is cancelled`);
    else if (cancelledMs < assignedMs) this.violate('what is cancelled is left alone', `${name} is requested by ${life.name}, and was cancelled before that had partition ${partition}`);
  }

  #checkLimits(life: Life, delivery: Delivery): void {
    const { plan, name } = delivery;
    const sender = this.#senderOf(life);
    const lane = this.#laneOf(sender, delivery);
    const nowMs = this.clock.nowMs;
    lane.underWay += 1;
    sender.underWay += 1;
    const most = this.#concurrencyOf(plan);
    if (lane.underWay > most) this.violate('concurrency', `${name} is the ${lane.underWay}. request under way of ${life.name}, and ${most} are allowed`);
    if (lane.underWay === most) lane.fullMs = nowMs;
    if (nowMs < lane.quietUntilMs && nowMs > lane.quietFromMs + GRAIN_MS) this.violate('a receiver is left alone', `${name} is requested by ${life.name} ${Math.ceil(lane.quietUntilMs - nowMs)} ms before its receiver may be asked again`);
    const { maxInFlight } = this.scenario;
    if (sender.underWay > maxInFlight) this.violate('requests in flight', `${name} is the ${sender.underWay}. request under way of ${life.name} in all, and ${maxInFlight} are allowed`);
    if (sender.underWay === maxInFlight) sender.fullMs = nowMs;
    if (plan.rate === undefined) return;
    const { perSecond, burst } = this.#rateOf(plan.rate, plan);
    lane.tokens = Math.min(burst, lane.tokens + ((nowMs - lane.countedMs) / 1_000) * perSecond) - 1;
    lane.countedMs = nowMs;
    // A process's clock knows whole milliseconds only, and so may be early by one.
    if (lane.tokens < (-2 * GRAIN_MS * perSecond) / 1_000 - 1e-6) {
      this.violate('rate limit', `${name} is ${(-lane.tokens).toFixed(3)} requests more than ${perSecond}/s and a burst of ${burst} allow to ${life.name}`);
    }
  }

  #checkTime(life: Life, delivery: Delivery): void {
    const { plan, name, notBeforeMs, arrivedMs } = delivery;
    const nowMs = this.clock.nowMs;
    if (nowMs < notBeforeMs - GRAIN_MS && this.#isUntroubled(delivery)) {
      this.violate('no attempt early', `${name} is attempted ${Math.ceil(notBeforeMs - nowMs)} ms before its time`);
    }
    const passedMs = this.#letPassMs(life, delivery);
    if (passedMs === undefined) return;
    const readyMs = Math.max(notBeforeMs === 0 ? arrivedMs : notBeforeMs, passedMs);
    if (nowMs <= readyMs + LATE_MS || this.#troubles > 0 || delivery.isDoubled || !isPrompt(plan)) return;
    const sender = this.#senderOf(life);
    const excuses = {
      disturbed: this.#disturbedMs + RECOVERY_MS,
      full: this.#laneOf(sender, delivery).fullMs,
      allFull: sender.fullMs,
      paused: sender.pausedMs,
      failing: this.#healthOf(plan.id).suspectUntilMs,
    };
    if (Object.values(excuses).every((untilMs) => untilMs < readyMs)) {
      this.violate('no attempt late', `${name} is attempted ${Math.round(nowMs - readyMs)} ms after its time, and nothing was in its way`);
    }
  }

  /** Since when nothing before it in its key holds it up, as far as this process can know; undefined: something does. */
  #letPassMs(life: Life, { siblings = [], rank }: Delivery): number | undefined {
    let passedMs = 0;
    for (const { end, seenMs, requests } of siblings.slice(0, rank)) {
      const atMs = end?.atMs ?? seenMs.get(life);
      if (atMs === undefined || requests.some(({ endedMs }) => endedMs === undefined)) return undefined;
      passedMs = Math.max(passedMs, atMs, ...requests.map(({ endedMs = 0 }) => endedMs));
    }
    return passedMs;
  }

  #checkRepetition(life: Life, delivery: Delivery): void {
    if (delivery.open === 0 && life.stalledUntilMs === 0 && this.waitsAs({ delivery: delivery.id, round: delivery.round }) === undefined) {
      this.violate('repeated only when something broke', `${delivery.name} is requested, and every record about it is done`);
    }
    const untold = delivery.requests.find(({ isTold }) => !isTold);
    if (untold !== undefined && this.#isUntroubled(delivery)) {
      this.violate('repeated only when something broke', `${delivery.name} is requested again, and nothing is known yet of ${untold.number}`);
    }
    if (delivery.end !== undefined && this.#isUntroubled(delivery)) {
      this.violate('repeated only when something broke', `${delivery.name} is requested again, though it has ended ${delivery.end.status}`);
    }
  }

  #checkOrder(delivery: Delivery): void {
    const { siblings, rank, name } = delivery;
    if (siblings === undefined) return;
    for (let n = 0; n < rank; n++) {
      const earlier = siblings[n];
      if (earlier !== undefined && !this.#letsPass(earlier)) {
        return this.violate('keys are not overtaken', `${name} is requested, and ${earlier.name} of the same key, which came before it, has not ended`);
      }
    }
    for (let n = rank + 1; n < siblings.length; n++) {
      const later = siblings[n]?.requests.at(-1);
      if (later !== undefined && this.#isUntroubled(delivery)) {
        return this.violate('keys are not overtaken', `${name} is requested after ${siblings[n]?.name} of the same key, which came after it`);
      }
    }
  }

  /** The next of its key may be requested. One that is cancelled under way goes on to the end of its request, unless who made it is dead. */
  #letsPass({ end, requests, cancelledMs }: Delivery): boolean {
    if (end !== undefined || requests.some(({ answer }) => answer === 'success' || answer === 'gone')) return true;
    return cancelledMs !== undefined && requests.every(({ answer, life }) => answer !== undefined || life.isOver || life.stalledUntilMs > 0);
  }

  // The end

  /** When nothing is left to happen: everything that was asked for has come to its one end. */
  atRest(): void {
    for (const delivery of this.#deliveries.values()) {
      const last = Math.max(...[...delivery.steps].flatMap(([number, { status }]) => (status === undefined ? [] : [number])), 0);
      const status = delivery.steps.get(last)?.status;
      for (let number = 1; number < last; number++) {
        if (delivery.steps.get(number)?.status === undefined) this.violate('attempts without gaps', `${delivery.name} has an outcome #${last}, and none #${number}`);
      }
      if (delivery.cancelledMs !== undefined) this.#checkLeft(delivery);
      else if (status === undefined) this.violate('every delivery ends', `${delivery.name} has no outcome at all`);
      else if (status === 'retrying') this.violate('every delivery ends', `${delivery.name} was to be tried again after #${last}, and was not`);
      if (this.waitsAs({ delivery: delivery.id, round: delivery.round }) !== undefined) this.violate('every delivery ends', `${delivery.name} is still in the backlog`);
    }
  }

  /** What is cancelled needs no outcome; its records have to be done. */
  #checkLeft({ name, open }: Delivery): void {
    if (open > 0) this.violate('every delivery ends', `${name} is cancelled, and ${open} of its records are not done`);
  }

  // The parts

  #deliveryOf(head: RequestedHead, subscription: string, partition: number): Delivery | undefined {
    const { event, round, number, reserved } = head;
    const id = deliveryId(event.tenant, event.id, subscription);
    const key = roundKey({ delivery: id, round });
    let delivery = this.#deliveries.get(key);
    const plan = this.#plans.get(subscription);
    if (delivery === undefined && plan !== undefined) {
      const siblings = plan.ordering === 'by_key' && event.partitionkey !== undefined ? this.#sequenceOf(`${subscription}/${event.partitionkey}`) : undefined;
      delivery = new Delivery(id, round, plan, event.id, partition, this.clock.nowMs, siblings?.length ?? 0, siblings);
      delivery.isDoubled = this.#repeatedRounds.has(key) || (round === 0 && this.#repeatedEvents.has(event.id));
      siblings?.push(delivery);
      this.#deliveries.set(key, delivery);
      if (number !== 1 || reserved === true) this.violate('exactly one end', `${delivery.name} begins with #${number}`);
    }
    return delivery;
  }

  #sequenceOf(key: string): Delivery[] {
    const sequence = this.#keys.get(key) ?? [];
    this.#keys.set(key, sequence);
    return sequence;
  }

  /** Nothing has happened since it was asked for by which it might be done twice. */
  #isUntroubled({ isDoubled, bornMs }: Delivery): boolean {
    return !isDoubled && this.#troubles === 0 && this.#disturbedMs < bornMs;
  }

  #judge(subscription: string, answer: 'success' | 'failure' | 'gone', pauseMs: number): void {
    const health = this.#healthOf(subscription);
    const nowMs = this.clock.nowMs;
    const recent = (ms: number): boolean => ms > nowMs - BREAKER_WINDOW_MS;
    health.answeredMs = [...health.answeredMs.filter(recent), nowMs];
    health.failedMs = health.failedMs.filter(recent);
    health.consecutive = answer === 'success' ? 0 : health.consecutive + 1;
    if (answer !== 'success') health.failedMs.push(nowMs);
    const mayOpen = health.consecutive >= 10 || (health.answeredMs.length >= 20 && health.failedMs.length * 2 >= health.answeredMs.length);
    health.suspectUntilMs = Math.max(health.suspectUntilMs, mayOpen ? nowMs + BREAKER_MS : 0, pauseMs > 0 ? nowMs + pauseMs + 1_000 : 0);
  }

  #healthOf(subscription: string): Health {
    let health = this.#health.get(subscription);
    if (health === undefined) {
      health = { consecutive: 0, failedMs: [], answeredMs: [], suspectUntilMs: 0 };
      this.#health.set(subscription, health);
    }
    return health;
  }

  #concurrencyOf(plan: SubscriptionPlan): number {
    const most = this.#reconfigured.has(plan.id) ? plan.maxConcurrency * 2 : plan.maxConcurrency;
    return Math.max(1, Math.floor(most / placesOf(plan.spread, this.scenario.partitions)));
  }

  #rateOf({ per_second, burst }: NonNullable<SubscriptionPlan['rate']>, { spread }: SubscriptionPlan) {
    const places = placesOf(spread, this.scenario.partitions);
    return { perSecond: per_second / places, burst: Math.max(1, Math.floor(burst / places)) };
  }

  #senderOf(life: Life): SenderView {
    let sender = this.#senders.get(life);
    if (sender === undefined) {
      sender = { underWay: 0, fullMs: 0, pausedMs: 0, lanes: new Map(), assignedMs: new Map() };
      this.#senders.set(life, sender);
    }
    return sender;
  }

  #laneOf({ lanes }: SenderView, { plan, partition }: Delivery): LaneView {
    const key = keyOf(plan.id, partition);
    let lane = lanes.get(key);
    if (lane === undefined) {
      const tokens = plan.rate === undefined ? 0 : this.#rateOf(plan.rate, plan).burst;
      lane = { underWay: 0, tokens, countedMs: this.clock.nowMs, fullMs: 0, failures: 0, failedMs: 0, isForgotten: false, openedMs: 0, quietFromMs: 0, quietUntilMs: 0 };
      lanes.set(key, lane);
    }
    return lane;
  }

  /** A process has another partition, or has one again: what its lanes knew may be gone with the one before, and their limits begin anew. */
  reassigned(life: Life, partition: number): void {
    const sender = this.#senderOf(life);
    if (!sender.assignedMs.has(partition)) sender.assignedMs.set(partition, this.clock.nowMs);
    for (const lane of sender.lanes.values()) {
      lane.tokens = Infinity;
      lane.countedMs = this.clock.nowMs;
    }
  }

  /** It has it no more. */
  revoked(life: Life, partition: number): void {
    this.#senderOf(life).assignedMs.delete(partition);
  }
}

const roundKey = ({ delivery, round }: Round): string => `${delivery}/${round}`;

/** What has to have come of a request's record before it is done. */
const missingOfRequested = (delivery: Delivery, number: number, appended: number): string | undefined => {
  const { status, appended: last, reserved } = delivery.step(number);
  if (reserved > appended) return undefined;
  if (status === undefined) return last > appended ? undefined : 'neither its outcome nor another place for it is in Kafka';
  if (status !== 'retrying') return undefined;
  const next = delivery.steps.get(number + 1);
  return next !== undefined && (next.appended > 0 || next.status !== undefined) ? undefined : 'its retry is nowhere';
};

/** A record of the wheel has gone on, or has been cancelled. */
const missingOfDelayed = (delivery: Delivery, number: number, appended: number): string | undefined => {
  const { status, appended: last } = delivery.step(number);
  return last > appended || status !== undefined ? undefined : 'it has not gone on';
};

/** One whose attempts are made at once, but for what can be seen: it has no rate, and does not take a sender's slots for long. */
const isPrompt = ({ rate, behaviours, timeoutMs }: SubscriptionPlan): boolean =>
  rate === undefined && behaviours.every(({ kind, latencyMs }) => kind !== 'slow' && (kind !== 'hanging' || timeoutMs <= 1_000) && latencyMs <= 500);
