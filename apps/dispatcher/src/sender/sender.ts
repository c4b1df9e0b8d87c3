import {
  deliveryId,
  requireKnownSchema,
  SCHEMA_HEADER,
  SCHEMA_VERSION,
  unframe,
  type Outcome,
  type RequestedHead,
  type TopicName,
} from '@posthorn/contracts';
import { afterAttempt, type NextStep } from '@posthorn/domain';
import type { AttemptRequest, AttemptResult } from '@posthorn/egress';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import type { Wheel } from '../delay/wheel.js';
import type { RegistryFeed } from '../registry/registry-feed.js';
import { failureToTell, outcomeOf, Request, type DelayedRecord } from './delivery.js';
import { endingOf } from './ending.js';
import { noTerms } from './lane-terms.js';
import { RecentAttempts } from './recent-attempts.js';
import { SenderCore, type BreakerState, type Ending, type PostponeCause } from './sender-core.js';
import type { SendingTerms, Subscriptions } from './subscriptions.js';

export type SenderParts = {
  readonly subscriptions: Subscriptions;
  readonly feed: RegistryFeed;
  readonly attempt: (request: AttemptRequest) => Promise<AttemptResult>;
  /** Resolves when Kafka has acknowledged it. */
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly writeOutcome: (partition: number, outcome: Outcome) => Promise<void>;
  readonly topic: (name: TopicName) => string;
  /** Where what is due later waits. */
  readonly wheel: Wheel;
  readonly maxInFlight: number;
  /** Bytes that may wait in one lane: a small part of what a partition's window holds, so that no lane can fill it. */
  readonly laneBytes: number;
  /** Wall clock. */
  readonly nowMs: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Runs it once, so many milliseconds from now, unless it is cancelled. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
  readonly observe: SenderObserver;
  /** Something that must not be gone on from: the records it concerns will be read again after a restart. */
  readonly fatal: (error: unknown) => void;
};

export type SenderObserver = {
  /** With the milliseconds from acceptance to the end of the attempt. */
  readonly outcome: (outcome: Outcome, latencyMs: number) => void;
  readonly postponed: (cause: PostponeCause) => void;
  readonly breaker: (to: BreakerState, subscription: string) => void;
};

type Delivery = { readonly request: Request; readonly subscription: string; readonly lane: string };

const headers = { [SCHEMA_HEADER]: SCHEMA_VERSION };

/**
 * `deliveries.requested` in, signed requests out, and for each an outcome (and a retry, if it comes to that) in Kafka before its
 * record is done. What a lane cannot take goes to the delay wheel, and its record is done when it has arrived there.
 */
export class Sender {
  readonly core: SenderCore<Delivery>;
  readonly #parts: SenderParts;
  readonly #recentRetries = new RecentAttempts();
  #alarm: { readonly atMs: number; readonly cancel: () => void } | undefined;

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.core = new SenderCore({
      ...parts,
      start: (delivery, nowMs) => void this.#send(delivery, nowMs).catch(parts.fatal),
      postpone: (delivery, dueAtMs, cause) => void this.#postpone(delivery, dueAtMs, cause).catch(parts.fatal),
      onBreaker: (to, lane) => parts.observe.breaker(to, subscriptionOf(lane)),
    });
  }

  readonly onRecord = (record: IncomingRecord): void => {
    requireKnownSchema(record.headers);
    if (record.value === null) throw new TypeError('a request without a value');
    const { head, data } = unframe<RequestedHead>(record.value);
    this.#parts.feed.whenReached(head.position, () => this.#accept(new Request(record, head, data)));
  };

  #accept(request: Request): void {
    const { reserved, subscriptions } = request.head;
    const nowMs = this.#parts.nowMs();
    for (const subscription of subscriptions) {
      const terms = this.#parts.subscriptions.get(subscription);
      const lane = laneOf(subscription, terms, request.partition);
      const delivery = { request, subscription, lane };
      this.core.offer({ delivery, lane, bytes: request.bytes, isReserved: reserved === true }, terms?.lane ?? noTerms, nowMs);
    }
    this.#setAlarm(nowMs);
  }

  /** The core is told of the time when it wants to be. An alarm that has become too early is left: it costs one idle look. */
  #setAlarm(nowMs: number): void {
    const atMs = this.core.nextTickMs;
    if (atMs === undefined || (this.#alarm !== undefined && this.#alarm.atMs <= atMs)) return;
    this.#alarm?.cancel();
    const cancel = this.#parts.setTimer(Math.max(0, atMs - nowMs), () => {
      this.#alarm = undefined;
      const ringsMs = this.#parts.nowMs();
      this.core.tick(ringsMs);
      this.#setAlarm(ringsMs);
    });
    this.#alarm = { atMs, cancel };
  }

  async #send(delivery: Delivery, startedMs: number): Promise<void> {
    const { request, subscription, lane } = delivery;
    const terms = this.#parts.subscriptions.get(subscription);
    if (request.revoked || this.#isRepeated(delivery) || !terms?.enabled) {
      this.#finished(lane, { kind: 'not_attempted', durationMs: this.#parts.nowMs() - startedMs });
      if (!request.revoked) await this.#withoutAttempt(delivery, terms);
    } else {
      await this.#attempt(delivery, terms, startedMs);
    }
    const nowMs = this.#parts.nowMs();
    this.core.recorded(nowMs);
    this.#setAlarm(nowMs);
  }

  async #withoutAttempt(delivery: Delivery, terms: SendingTerms | undefined): Promise<void> {
    if (!this.#isRepeated(delivery)) {
      const cancelled = terms === undefined ? 'the subscription was deleted' : 'the subscription is disabled';
      const { request, subscription } = delivery;
      await this.#conclude(request, outcomeOf(request.head, subscription, { cancelled }, this.#parts.nowMs()));
    }
    delivery.request.oneDone();
  }

  async #attempt({ request, subscription, lane }: Delivery, terms: SendingTerms, startedMs: number): Promise<void> {
    const { head } = request;
    const payload = request.payload(terms.attempt.recipe);
    const { attempt, verdict } = await this.#parts.attempt({ eventId: head.event.id, payload, subscription: terms.attempt });
    const nowMs = this.#parts.nowMs();
    this.#finished(lane, endingOf(verdict, nowMs - startedMs));
    // Cut off by our own end, or the partition has a new owner: the attempt is made again there, and one chain of retries is enough.
    if (!verdict.success && (request.revoked || verdict.error.code === 'aborted')) return;
    const step = this.#stepAfter(verdict, request, terms, nowMs, lane);
    await Promise.all([
      this.#conclude(request, outcomeOf(head, subscription, { step, attempt }, nowMs)),
      step.status === 'retrying' && this.#delay(request.retryRecord(subscription, step.dueAtMs), step.dueAtMs, nowMs),
    ]);
    if (isRetry(head)) this.#recentRetries.add(keyOf(head, subscription));
    request.oneDone();
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

  async #postpone({ request, subscription }: Delivery, dueAtMs: number, cause: PostponeCause): Promise<void> {
    if (request.revoked) return;
    this.#parts.observe.postponed(cause);
    await this.#delay(request.postponedRecord(subscription, dueAtMs), dueAtMs, this.#parts.nowMs());
    request.oneDone();
  }

  #finished(lane: string, ending: Ending): void {
    const nowMs = this.#parts.nowMs();
    this.core.finished(lane, ending, nowMs);
    this.#setAlarm(nowMs);
  }

  #isRepeated({ request: { head }, subscription }: Delivery): boolean {
    return isRetry(head) && this.#recentRetries.has(keyOf(head, subscription));
  }

  /** Writes it down, and tells of a delivery that has failed for good. */
  async #conclude(request: Request, outcome: Outcome): Promise<void> {
    const { observe, send, topic, writeOutcome } = this.#parts;
    observe.outcome(outcome, Date.parse(outcome.at) - Date.parse(outcome.accepted_at));
    const failure = failureToTell(outcome);
    await Promise.all([
      writeOutcome(request.partition, outcome),
      failure && send({ topic: topic('operations'), key: failure.tenant, value: JSON.stringify(failure), headers }),
    ]);
  }

  #delay({ key, value }: DelayedRecord, dueAtMs: number, nowMs: number): Promise<void> {
    return this.#parts.send({ ...this.#parts.wheel.placeFor(key, nowMs, dueAtMs), value, headers });
  }
}

/** A subscription that is spread has a lane, and a share of its limits, for each of its partitions. */
const laneOf = (subscription: string, terms: SendingTerms | undefined, partition: number): string =>
  terms === undefined || terms.spread === 1 ? subscription : `${subscription}/${partition}`;

const subscriptionOf = (lane: string): string => lane.split('/', 1)[0] ?? lane;

const isRetry = ({ number }: RequestedHead): boolean => number > 1;

const keyOf = ({ event, round, number }: RequestedHead, subscription: string): string =>
  `${deliveryId(event.tenant, event.id, subscription)}/${round}/${number}`;
