import { eventIdOfKey, newId } from '@posthorn/contracts';
import type { Fault } from '@posthorn/domain';
import { KafkaError, type Logger } from '@posthorn/kafka';
import { Problem } from '@posthorn/service-kit';
import { accept, type Acceptable, type Verdict } from './acceptance/accept.js';
import { type Draft, faultsWithin, type Refusal, refuse, shown, within } from './acceptance/draft.js';
import type { Origin } from './acceptance/reject.js';
import type { Admission } from './catalogue/admission.js';
import type { Admitted, Ruling } from './catalogue/ruling.js';
import { holdKey, type Idempotency, type Notes } from './deduplication/idempotency.js';
import { leftOf } from './deadline.js';
import type { Outlet } from './outlet.js';
import type { RateLimits } from './rate-limit.js';

export type PublishingOptions = {
  readonly outlet: Outlet;
  /** Does not wait for what it has to know longer than somebody waits for an answer. */
  readonly admission: Admission;
  /** False until the tenants are known: before that, nobody's event can be told from a stranger's. */
  readonly isOpen: () => boolean;
  readonly limits: RateLimits;
  readonly notes: Notes;
  readonly log: Logger;
  readonly maxEventBytes: number;
  /** How long anybody waits for an answer, whatever it is that they wait for. */
  readonly deadlineMs: number;
  /** Events waiting for Kafka's acknowledgement; beyond that, new ones are turned away. */
  readonly maxPendingBytes: number;
};

/** What is kept of the refused, for whoever looks for it among `events.rejected`. */
export type Evidence = Pick<Origin, 'headers' | 'value'>;

/** A request, or what a stream brings at a time: all that holds for each of its events. */
export type Arrival = {
  readonly tenant: string;
  /** Whose key it is. */
  readonly actor: string;
  /** By performance.now() */
  readonly startedMs: number;
  readonly traceparent?: unknown;
  readonly registryPosition?: unknown;
  readonly idempotency?: Idempotency | undefined;
  /** Of the whole. */
  readonly evidence: () => Evidence;
};

/** One event as it was read, judged by nobody yet. */
export type Incoming = {
  readonly draft: Draft | Refusal;
  /** Where it stands among others, as in `events[3]`. */
  readonly place?: string;
  /** Of this event. */
  readonly evidence: () => Evidence;
};

/** What became of one event. `unavailable`: it may or may not have been written, and can be published again. */
export type Published =
  | { readonly kind: 'accepted'; readonly id: string; readonly warnings: readonly Fault[] }
  | Refusal
  | { readonly kind: 'unavailable' };

export const unavailable = (cause?: unknown): Problem =>
  new Problem('unavailable', 'The event log does not answer. Nothing was acknowledged; try again.', { cause });

const notRead = (): Problem => new Problem('unavailable', 'The tenants and their event types are still being read. Nothing was acknowledged; try again.');

const MS_PER_SECOND = 1_000;

const rateLimited = (waitMs: number): Problem =>
  new Problem('rate_limited', 'More events have come than are taken in this time.', {
    headers: { 'retry-after': String(Math.ceil(waitMs / MS_PER_SECOND)) },
  });

/** Events from whoever waits for an answer. What REST and gRPC do apart from reading requests and writing answers is here. */
export class Publishing {
  constructor(private readonly options: PublishingOptions) {}

  /**
   * Before the events are read: whether they could go anywhere.
   * @returns a refusal, recorded, when there is no such tenant
   * @throws {Problem} `rate_limited`, `unavailable`
   */
  async admit(arrival: Arrival): Promise<Refusal | undefined> {
    const { isOpen, limits, admission, outlet, maxPendingBytes } = this.options;
    const { tenant, startedMs } = arrival;
    const waitMs = limits.waitMs(arrival, 1, performance.now());
    if (waitMs > 0) throw rateLimited(waitMs);
    if (!isOpen()) throw notRead();
    if (outlet.pendingBytes + admission.waitingBytes > maxPendingBytes) throw unavailable();
    const isKnown = await admission.hasTenant(tenant, startedMs).catch((error: unknown) => {
      throw unavailable(error);
    });
    if (isKnown) return undefined;
    return this.refuse(refuse('unknown_tenant', `there is no tenant ${shown(tenant)}`, 'tenant'), arrival);
  }

  /**
   * Each event by itself: the results stand where the events stood. Synchronous up to Kafka, so that events leave in their order.
   * @throws {Problem} `rate_limited`, `idempotency_conflict`, `unavailable`
   */
  async publish(events: readonly Incoming[], arrival: Arrival): Promise<readonly Published[]> {
    const { limits } = this.options;
    const nowMs = performance.now();
    const waitMs = limits.waitMs(arrival, events.length, nowMs);
    if (waitMs > 0) throw rateLimited(waitMs);
    limits.count(arrival, events.length, nowMs);
    if (arrival.idempotency) await this.#holdKey(arrival.idempotency, arrival);
    return Promise.all(events.map((event, index) => this.#publish(event, index, arrival)));
  }

  /** Records a refusal of the whole. Whoever asked is told in any case: that it cannot be recorded makes the events no better. */
  async refuse(refusal: Refusal, { tenant, startedMs, evidence }: Pick<Arrival, 'tenant' | 'startedMs' | 'evidence'>): Promise<Refusal> {
    const { outlet, log } = this.options;
    try {
      await this.#inTime(outlet.reject(refusal, { tenant, ...evidence() }, startedMs), startedMs);
    } catch (error) {
      const { code, message, path } = refusal;
      log.warn({ err: error, reason: { code, message, path } }, 'could not record a rejection');
    }
    return refusal;
  }

  async #holdKey(idempotency: Idempotency, { actor, tenant, startedMs }: Arrival): Promise<void> {
    const { notes, deadlineMs } = this.options;
    try {
      await this.#inTime(holdKey(notes, actor, tenant, idempotency, leftOf(deadlineMs, startedMs)), startedMs);
    } catch (error) {
      throw error instanceof KafkaError ? unavailable(error) : error;
    }
  }

  #publish({ draft, place, evidence }: Incoming, index: number, arrival: Arrival): Promise<Published> {
    const refused = (refusal: Refusal): Promise<Refusal> => this.refuse(placed(refusal, place), { ...arrival, evidence });
    const verdict = this.#judge(draft, index, arrival);
    return verdict.kind === 'refused' ? refused(verdict) : this.#enter(verdict, arrival, place, refused);
  }

  #judge(draft: Draft | Refusal, index: number, { tenant, actor, idempotency, traceparent, registryPosition }: Arrival): Verdict {
    if (draft.kind === 'refused') return draft;
    const nowMs = Date.now();
    return accept(draft, {
      tenant,
      acceptedMs: nowMs,
      newId: () => (idempotency ? eventIdOfKey(actor, tenant, idempotency.key, index) : newId('evt', nowMs)),
      isNewIdStable: idempotency !== undefined,
      source: `/v1/tenants/${tenant}`,
      traceparent,
      registryPosition,
      maxBytes: this.options.maxEventBytes,
    });
  }

  /** Keeps nothing of the event itself: parsed, it may be many times what its record is, and that waits for Kafka. */
  #enter(event: Acceptable, { startedMs }: Arrival, place: string | undefined, refused: (refusal: Refusal) => Promise<Refusal>): Promise<Published> {
    const use = (ruling: Ruling): Promise<Published> => (ruling.kind === 'refused' ? refused(ruling) : this.#write(ruling, startedMs, place));
    return this.options.admission.admit(event, use, startedMs).catch((error: unknown) => this.#unavailable(error));
  }

  /** @throws what says nothing of Kafka */
  #unavailable(error: unknown): Published {
    if (!(error instanceof KafkaError)) throw error;
    // What the client can do is the same whatever has happened; what an operator can do is not.
    if (error.code === 'refused') this.options.log.error({ err: error }, 'Kafka refuses accepted events');
    return { kind: 'unavailable' };
  }

  async #write({ event, warnings }: Admitted, startedMs: number, place: string | undefined): Promise<Published> {
    const { id } = event.envelope;
    await this.#inTime(this.options.outlet.accept(event, startedMs), startedMs);
    return { kind: 'accepted', id, warnings: place === undefined ? warnings : faultsWithin(place, warnings) };
  }

  /** An answer in time, whatever becomes of the record later. @throws {KafkaError} `unavailable` */
  async #inTime<T>(written: Promise<T>, startedMs: number): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new KafkaError('unavailable', 'Kafka did not acknowledge the record in time')), leftOf(this.options.deadlineMs, startedMs));
    });
    try {
      return await Promise.race([written, late]);
    } finally {
      clearTimeout(timer);
    }
  }
}

const placed = (refusal: Refusal, place: string | undefined): Refusal => (place === undefined ? refusal : within(place, refusal));
