import { deliveryId, requireKnownSchema, unframe, type Outcome, type RequestedHead, type TopicName } from '@posthorn/contracts';
import { afterAttempt } from '@posthorn/domain';
import type { AttemptRequest, AttemptResult } from '@posthorn/egress';
import type { IncomingRecord, OutgoingRecord } from '@posthorn/kafka';
import { tierFor } from '../delay/wheel.js';
import type { RegistryFeed } from '../registry/registry-feed.js';
import { outcomeOf, Request } from './delivery.js';
import { RecentAttempts } from './recent-attempts.js';
import { SenderCore } from './sender-core.js';
import type { SendingTerms, Subscriptions } from './subscriptions.js';

export type SenderParts = {
  readonly subscriptions: Subscriptions;
  readonly feed: RegistryFeed;
  readonly attempt: (request: AttemptRequest) => Promise<AttemptResult>;
  readonly send: (record: OutgoingRecord) => Promise<void>;
  readonly writeOutcome: (partition: number, outcome: Outcome) => Promise<void>;
  readonly topic: (name: TopicName) => string;
  readonly maxInFlight: number;
  /** Told of every outcome, with the milliseconds from acceptance to the end of the first attempt. */
  readonly observe: (outcome: Outcome, latencyMs: number) => void;
  /** Something that must not be gone on from: the records it concerns will be read again after a restart. */
  readonly fatal: (error: unknown) => void;
};

type Delivery = { readonly request: Request; readonly subscription: string };

/**
 * `deliveries.requested` in, signed requests out, and for each an outcome (and a retry, if it comes to that) in Kafka before its
 * record is done.
 */
export class Sender {
  readonly core: SenderCore<Delivery>;
  readonly #parts: SenderParts;
  readonly #recentRetries = new RecentAttempts();

  constructor(parts: SenderParts) {
    this.#parts = parts;
    this.core = new SenderCore({
      maxInFlight: parts.maxInFlight,
      start: (delivery) => {
        this.#send(delivery)
          .catch(parts.fatal)
          .finally(() => this.core.finished(delivery.subscription));
      },
    });
  }

  readonly onRecord = (record: IncomingRecord): void => {
    requireKnownSchema(record.headers);
    if (record.value === null) throw new TypeError('a request without a value');
    const { head, data } = unframe<RequestedHead>(record.value);
    this.#parts.feed.whenReached(head.position, () => this.#accept(new Request(record, head, data)));
  };

  #accept(request: Request): void {
    for (const subscription of request.head.subscriptions) {
      const maxConcurrency = this.#parts.subscriptions.get(subscription)?.maxConcurrency ?? 1;
      this.core.offer(subscription, maxConcurrency, { request, subscription });
    }
  }

  async #send(delivery: Delivery): Promise<void> {
    if (delivery.request.revoked) return;
    if (this.#isRepeated(delivery)) {
      delivery.request.oneDone();
      return;
    }
    const terms = this.#parts.subscriptions.get(delivery.subscription);
    if (terms === undefined) await this.#cancel(delivery, 'the subscription was deleted');
    else if (!terms.enabled) await this.#cancel(delivery, 'the subscription is disabled');
    else await this.#attempt(delivery, terms);
  }

  async #attempt({ request, subscription }: Delivery, terms: SendingTerms): Promise<void> {
    const { head } = request;
    const payload = request.payload(terms.attempt.recipe);
    const { attempt, verdict } = await this.#parts.attempt({ eventId: head.event.id, payload, subscription: terms.attempt });
    // Cut off by our own end, or the partition has a new owner: the attempt is made again there, and one chain of retries is enough.
    if (!verdict.success && (request.revoked || verdict.error.code === 'aborted')) return;
    const nowMs = Date.now();
    const step = afterAttempt(verdict.success ? { kind: 'success' } : { kind: 'failure', ...verdict }, {
      number: head.number,
      scheduleMs: terms.retryScheduleMs,
      nowMs,
      random: Math.random(),
    });
    const outcome = outcomeOf(head, subscription, { step, attempt }, nowMs);
    await Promise.all([
      this.#write(request, outcome, nowMs),
      step.status === 'retrying' && this.#retryLater(request, subscription, step.dueAtMs, nowMs),
    ]);
    if (isRetry(head)) this.#recentRetries.add(keyOf(head, subscription));
    request.oneDone();
  }

  #isRepeated({ request: { head }, subscription }: Delivery): boolean {
    return isRetry(head) && this.#recentRetries.has(keyOf(head, subscription));
  }

  async #cancel({ request, subscription }: Delivery, reason: string): Promise<void> {
    const nowMs = Date.now();
    await this.#write(request, outcomeOf(request.head, subscription, { cancelled: reason }, nowMs), nowMs);
    request.oneDone();
  }

  #write(request: Request, outcome: Outcome, nowMs: number): Promise<void> {
    this.#parts.observe(outcome, nowMs - Date.parse(outcome.accepted_at));
    return this.#parts.writeOutcome(request.partition, outcome);
  }

  #retryLater(request: Request, subscription: string, dueAtMs: number, nowMs: number): Promise<void> {
    const topic = this.#parts.topic(`deliveries.delayed.${tierFor(dueAtMs - nowMs)}`);
    return this.#parts.send({ topic, ...request.retryRecord(subscription, dueAtMs) });
  }
}

const isRetry = ({ number }: RequestedHead): boolean => number > 1;

const keyOf = ({ event, round, number }: RequestedHead, subscription: string): string =>
  `${deliveryId(event.tenant, event.id, subscription)}/${round}/${number}`;
