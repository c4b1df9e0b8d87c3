import type { AggregateState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import { defaultRetryScheduleMs } from '@posthorn/domain';

/** What sending to a subscription needs. */
export type SendingTerms = {
  readonly id: string;
  readonly enabled: boolean;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly maxConcurrency: number;
  readonly retryScheduleMs: readonly number[];
  /** In clear, newest first. Decrypted when first asked for. */
  readonly secrets: readonly string[];
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

const termsOf = (state: SubscriptionState, decrypt: (secret: Encrypted) => string): SendingTerms => {
  const { id, enabled, url, headers, policy, signing_secrets } = state;
  let secrets: readonly string[] | undefined;
  return {
    id,
    enabled,
    url,
    headers,
    timeoutMs: policy.timeout_ms,
    maxConcurrency: policy.max_concurrency,
    retryScheduleMs: policy.retry_schedule_ms ?? defaultRetryScheduleMs,
    get secrets() {
      secrets ??= signing_secrets.map(decrypt);
      return secrets;
    },
  };
};
