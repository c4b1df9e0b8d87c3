import type { AggregateState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import { defaultRetryScheduleMs } from '@posthorn/domain';
import { attemptTermsOf, type AttemptTerms } from '@posthorn/egress';
import { laneTermsOf, type LaneTerms } from './lane-terms.js';

/** What sending to a subscription needs. */
export type SendingTerms = {
  readonly id: string;
  readonly tenant: string;
  readonly enabled: boolean;
  /** Partitions that its deliveries go over. */
  readonly spread: number;
  readonly retryScheduleMs: readonly number[];
  /** Of its lane, or of each of them. */
  readonly lane: LaneTerms;
  /** Of each attempt. */
  readonly attempt: AttemptTerms;
};

/** The sender's own view of `registry.state`. Secrets stay encrypted until a delivery needs them. */
export class Subscriptions {
  readonly #terms = new Map<string, SendingTerms>();
  readonly #decrypt: (secret: Encrypted) => string;
  readonly #partitions: number;

  /** @param partitions of `deliveries.requested` */
  constructor(decrypt: (secret: Encrypted) => string, partitions: number) {
    this.#decrypt = decrypt;
    this.#partitions = partitions;
  }

  get(id: string): SendingTerms | undefined {
    return this.#terms.get(id);
  }

  changed(state: AggregateState): void {
    if (state.kind === 'subscription') this.#terms.set(state.id, termsOf(state, this.#decrypt, this.#partitions));
  }

  removed(id: string): void {
    this.#terms.delete(id);
  }
}

const termsOf = (state: SubscriptionState, decrypt: (secret: Encrypted) => string, partitions: number): SendingTerms => ({
  id: state.id,
  tenant: state.tenant,
  enabled: state.enabled,
  spread: state.policy.spread ?? 1,
  retryScheduleMs: state.policy.retry_schedule_ms ?? defaultRetryScheduleMs,
  lane: laneTermsOf(state.policy, partitions),
  attempt: attemptTermsOf(state, decrypt),
});
