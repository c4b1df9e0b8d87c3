import type { AggregateState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import { defaultRetryScheduleMs } from '@posthorn/domain';
import { attemptTermsOf, type AttemptTerms } from '@posthorn/egress';

/** What sending to a subscription needs. */
export type SendingTerms = {
  readonly id: string;
  readonly enabled: boolean;
  readonly maxConcurrency: number;
  /** Partitions that its deliveries go over. */
  readonly spread: number;
  readonly retryScheduleMs: readonly number[];
  /** Of each attempt. */
  readonly attempt: AttemptTerms;
};

/** The sender's own view of `registry.state`. Secrets stay encrypted until a delivery needs them. */
export class Subscriptions {
  readonly #terms = new Map<string, SendingTerms>();
  readonly #decrypt: (secret: Encrypted) => string;

  constructor(decrypt: (secret: Encrypted) => string) {
    this.#decrypt = decrypt;
  }

  get(id: string): SendingTerms | undefined {
    return this.#terms.get(id);
  }

  changed(state: AggregateState): void {
    if (state.kind === 'subscription') this.#terms.set(state.id, termsOf(state, this.#decrypt));
  }

  removed(id: string): void {
    this.#terms.delete(id);
  }
}

const termsOf = (state: SubscriptionState, decrypt: (secret: Encrypted) => string): SendingTerms => ({
  id: state.id,
  enabled: state.enabled,
  maxConcurrency: state.policy.max_concurrency,
  spread: state.policy.spread ?? 1,
  retryScheduleMs: state.policy.retry_schedule_ms ?? defaultRetryScheduleMs,
  attempt: attemptTermsOf(state, decrypt),
});
