import type { AggregateState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import { defaultRetryScheduleMs, GenerationCache } from '@posthorn/domain';
import { attemptTermsOf, type AttemptTerms } from '@posthorn/egress';
import { IntRows } from '../registry/packed/int-rows.js';
import { SharedTexts } from '../registry/packed/shared-texts.js';
import { TextStore } from '../registry/packed/text-store.js';
import { laneTermsOf, type LaneTerms } from './lane-terms.js';

/** What sending to a subscription needs. */
export type SendingTerms = {
  readonly id: string;
  /** As the registry counts its changes. */
  readonly version: number;
  readonly tenant: string;
  readonly enabled: boolean;
  /** Partitions that its deliveries go over. */
  readonly spread: number;
  readonly ordering: SubscriptionState['policy']['ordering'];
  readonly retryScheduleMs: readonly number[];
  /** Of its lane, or of each of them. */
  readonly lane: LaneTerms;
  /** Of each attempt. */
  readonly attempt: AttemptTerms;
};

/** Terms kept of subscriptions in use lately, in each of two generations; terms hold keys that take longer to make than to use. */
const KEPT = 10_000;
/** Of those that get access tokens: one that was forgotten has to be asked for again. */
const KEPT_WITH_TOKENS = 25_000;

/** Where the text of its own is, the number of what it has in common with others, whether it gets access tokens, and its version. */
const OWN = 0;
const COMMON = 1;
const HAS_TOKEN = 2;
const VERSION = 3;
const COLUMNS = 4;

/**
 * The sender's own view of `registry.state`. A subscription is kept as packed text, some 200 bytes, outside of the JavaScript heap; what is the
 * same for many, once. Terms are made of it when they are first needed, and kept while they are in use. Secrets stay encrypted until a
 * delivery needs them.
 */
export class Subscriptions {
  readonly #ids = new SharedTexts();
  /** By the number of the id. */
  readonly #rows = new IntRows(COLUMNS);
  readonly #own = new TextStore();
  readonly #common = new SharedTexts();
  readonly #terms: GenerationCache<number, SendingTerms>;
  readonly #termsWithToken: GenerationCache<number, SendingTerms>;

  /** @param partitions of `deliveries.requested` */
  constructor(decrypt: (secret: Encrypted) => string, partitions: number) {
    const make = (row: number): SendingTerms => termsOf(this.#stateOf(row), this.#rows.get(row, VERSION), decrypt, partitions);
    this.#terms = new GenerationCache(KEPT, make);
    this.#termsWithToken = new GenerationCache(KEPT_WITH_TOKENS, make);
  }

  get(id: string): SendingTerms | undefined {
    const row = this.#ids.find(id);
    return row === undefined ? undefined : this.#cacheOf(row).get(row);
  }

  changed(state: AggregateState, version: number): void {
    if (state.kind !== 'subscription') return;
    const known = this.#ids.find(state.id);
    if (known !== undefined) this.#clear(known);
    const row = known ?? this.#ids.hold(state.id);
    const { own, common } = packed(state);
    this.#rows.set(row, OWN, this.#own.add(own));
    this.#rows.set(row, COMMON, this.#common.hold(common));
    this.#rows.set(row, HAS_TOKEN, Number(state.authentication.type === 'oauth2_client_credentials'));
    this.#rows.set(row, VERSION, version);
  }

  removed(id: string): void {
    const row = this.#ids.find(id);
    if (row === undefined) return;
    this.#clear(row);
    this.#ids.release(row);
  }

  #clear(row: number): void {
    this.#cacheOf(row).delete(row);
    this.#own.remove(this.#rows.get(row, OWN));
    this.#common.release(this.#rows.get(row, COMMON));
  }

  #cacheOf(row: number): GenerationCache<number, SendingTerms> {
    return this.#rows.get(row, HAS_TOKEN) === 1 ? this.#termsWithToken : this.#terms;
  }

  #stateOf(row: number): SendingState {
    return unpacked(this.#ids.text(row), { own: this.#own.get(this.#rows.get(row, OWN)), common: this.#common.text(this.#rows.get(row, COMMON)) });
  }
}

type SendingState = Pick<
  SubscriptionState,
  'id' | 'tenant' | 'url' | 'authentication' | 'signing_secrets' | 'enabled' | 'headers' | 'payload' | 'policy'
>;

/** What a subscription has to itself, and what many have alike, each as the JSON of a tuple. */
type Packed = { readonly own: string; readonly common: string };
type Own = readonly [SendingState['tenant'], SendingState['url'], SendingState['authentication'], SendingState['signing_secrets']];
type Common = readonly [SendingState['enabled'], SendingState['headers'], SendingState['payload'], SendingState['policy']];

const packed = ({ tenant, url, authentication, signing_secrets, enabled, headers, payload, policy }: SubscriptionState): Packed => ({
  own: JSON.stringify([tenant, url, authentication, signing_secrets] satisfies Own),
  common: JSON.stringify([enabled, headers, payload, policy] satisfies Common),
});

const unpacked = (id: string, { own, common }: Packed): SendingState => {
  // Written by `packed`.
  const [tenant, url, authentication, signing_secrets] = JSON.parse(own) as Own;
  const [enabled, headers, payload, policy] = JSON.parse(common) as Common;
  return { id, tenant, url, authentication, signing_secrets, enabled, headers, payload, policy };
};

export const termsOf = (state: SendingState, version: number, decrypt: (secret: Encrypted) => string, partitions: number): SendingTerms => ({
  id: state.id,
  version,
  tenant: state.tenant,
  enabled: state.enabled,
  spread: state.policy.spread ?? 1,
  ordering: state.policy.ordering,
  retryScheduleMs: state.policy.retry_schedule_ms ?? defaultRetryScheduleMs,
  lane: laneTermsOf(state.policy, partitions),
  attempt: attemptTermsOf(state, decrypt),
});
