import { newId } from '@posthorn/contracts';
import { KafkaError, type Logger } from '@posthorn/kafka';
import { Problem } from '@posthorn/service-kit';
import { accept, type Accepted, type Verdict } from './acceptance/accept.js';
import { type Draft, type Refusal, refuse, within } from './acceptance/draft.js';
import type { Origin } from './acceptance/reject.js';
import type { Outlet } from './outlet.js';
import type { Tenants } from './tenants.js';

export type PublishingOptions = {
  readonly outlet: Outlet;
  readonly tenants: Tenants;
  /** False until the tenants are known: before that, nobody's event can be told from a stranger's. */
  readonly isOpen: () => boolean;
  readonly log: Logger;
  readonly maxEventBytes: number;
  readonly deadlineMs: number;
  /** Events waiting for Kafka's acknowledgement; beyond that, new ones are turned away. */
  readonly maxPendingBytes: number;
};

/** What is kept of the refused, for whoever looks for it among `events.rejected`. */
export type Evidence = Pick<Origin, 'headers' | 'value'>;

/** A request, or what a stream brings at a time: all that holds for each of its events. */
export type Arrival = {
  readonly tenant: string;
  /** By performance.now() */
  readonly startedMs: number;
  readonly traceparent?: unknown;
  readonly registryPosition?: unknown;
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
export type Published = { readonly kind: 'accepted'; readonly id: string } | Refusal | { readonly kind: 'unavailable' };

export const unavailable = (cause?: unknown): Problem =>
  new Problem('unavailable', 'The event log does not answer. Nothing was acknowledged; try again.', { cause });

/** Events from whoever waits for an answer. What REST and gRPC do apart from reading requests and writing answers is here. */
export class Publishing {
  constructor(private readonly options: PublishingOptions) {}

  /**
   * Before the events are read: whether they could go anywhere.
   * @returns a refusal, recorded, when there is no such tenant
   * @throws {Problem} `unavailable`
   */
  async admit(arrival: Arrival): Promise<Refusal | undefined> {
    const { isOpen, tenants, outlet, maxPendingBytes } = this.options;
    const { tenant } = arrival;
    if (!isOpen() || outlet.pendingBytes > maxPendingBytes) throw unavailable();
    const known = tenants.exists(tenant);
    if (known === true || (await this.#inTime(known))) return undefined;
    return this.refuse(refuse('unknown_tenant', `there is no tenant ${tenant}`, 'tenant'), arrival);
  }

  /** Each event by itself: the results stand where the events stood. Synchronous up to Kafka, so that events leave in their order. */
  publish(events: readonly Incoming[], arrival: Arrival): Promise<readonly Published[]> {
    return Promise.all(events.map((event) => this.#publish(event, arrival)));
  }

  /** Records a refusal of the whole. Whoever asked is told in any case: that it cannot be recorded makes the events no better. */
  async refuse(refusal: Refusal, { tenant, startedMs, evidence }: Pick<Arrival, 'tenant' | 'startedMs' | 'evidence'>): Promise<Refusal> {
    const { outlet, log } = this.options;
    try {
      await outlet.reject(refusal, { tenant, ...evidence() }, startedMs);
    } catch (error) {
      const { code, message, path } = refusal;
      log.warn({ err: error, reason: { code, message, path } }, 'could not record a rejection');
    }
    return refusal;
  }

  #publish({ draft, place, evidence }: Incoming, arrival: Arrival): Promise<Published> {
    const verdict = this.#judge(draft, arrival);
    if (verdict.kind === 'accepted') return this.#enter(verdict, arrival);
    return this.refuse(place === undefined ? verdict : within(place, verdict), { ...arrival, evidence });
  }

  #judge(draft: Draft | Refusal, { tenant, traceparent, registryPosition }: Arrival): Verdict {
    if (draft.kind === 'refused') return draft;
    const nowMs = Date.now();
    return accept(draft, {
      tenant,
      acceptedMs: nowMs,
      newId: () => newId('evt', nowMs),
      source: `/v1/tenants/${tenant}`,
      traceparent,
      registryPosition,
      maxBytes: this.options.maxEventBytes,
    });
  }

  async #enter(event: Accepted, { startedMs }: Arrival): Promise<Published> {
    const { outlet, log } = this.options;
    try {
      await outlet.accept(event, startedMs);
      return { kind: 'accepted', id: event.envelope.id };
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error;
      // What the client can do is the same whatever has happened; what an operator can do is not.
      if (error.code === 'refused') log.error({ err: error }, 'Kafka refuses accepted events');
      return { kind: 'unavailable' };
    }
  }

  async #inTime(known: Promise<boolean>): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(unavailable()), this.options.deadlineMs);
    });
    try {
      return await Promise.race([known, late]);
    } catch (error) {
      throw error instanceof Problem ? error : unavailable(error);
    } finally {
      clearTimeout(timer);
    }
  }
}
