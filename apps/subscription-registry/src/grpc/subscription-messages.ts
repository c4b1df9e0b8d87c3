import type { HistoryEntry as HistoryView, Missed as MissedView, SecretView, SubscriptionView, TestedAttempt } from '@posthorn/contracts';
import {
  DisabledReason,
  Ordering,
  PayloadFormat,
  SignatureScheme,
  type Authentication,
  type DeliveryPolicy,
  type HistoryEntry,
  type Missed,
  type Payload,
  type Subscription,
  type SubscriptionSecret,
  type TestAttempt,
} from '@posthorn/contracts/grpc/registry';
import { durationOf, given, givenList, givenMap, present, toDuration, toTime, words } from '@posthorn/service-kit/grpc';
import type { Maskable } from './update-mask.js';

const disabledReasons = words(DisabledReason, DisabledReason.DISABLED_REASON_UNSPECIFIED);
const orderings = words(Ordering, Ordering.ORDERING_UNSPECIFIED);
const payloadFormats = words(PayloadFormat, PayloadFormat.PAYLOAD_FORMAT_UNSPECIFIED);
export const signatureSchemes = words(SignatureScheme, SignatureScheme.SIGNATURE_SCHEME_UNSPECIFIED);

const payloadOf = ({ format, transform, context }: Payload) =>
  present({ format: payloadFormats.of(format), transform, context });

const authenticationOf = ({ method }: Authentication) => {
  if (method?.$case !== 'api_key') return method ? present({ type: method.$case, ...method.value }) : {};
  const { header, key } = method.value;
  return present({ type: method.$case, header: given(header), key });
};

const policyOf = (policy: DeliveryPolicy) =>
  present({
    timeout: durationOf(policy.timeout),
    retry_schedule: policy.retry_schedule?.waits.map(durationOf),
    rate_limit: policy.rate_limit && present({ ...policy.rate_limit }),
    max_concurrency: policy.max_concurrency,
    ordering: orderings.of(policy.ordering),
    success: policy.success && { statuses: policy.success.statuses },
    disable_after: durationOf(policy.disable_after),
    spread: policy.spread,
  });

const bodyOf = (subscription: Subscription) =>
  present({
    name: given(subscription.name),
    description: subscription.description,
    url: given(subscription.url),
    event_types: givenList(subscription.event_types),
    filter: subscription.filter,
    enabled: subscription.enabled,
    payload: subscription.payload && payloadOf(subscription.payload),
    authentication: subscription.authentication && authenticationOf(subscription.authentication),
    headers: givenMap(subscription.headers),
    policy: subscription.policy && policyOf(subscription.policy),
    metadata: givenMap(subscription.metadata),
  });

/** `POST …/subscriptions`; nothing at all when there is no subscription in the call. */
export const newSubscriptionOf = ({
  subscription,
  secret,
}: {
  readonly subscription?: Subscription | undefined;
  readonly secret?: string | undefined;
}): unknown =>
  subscription && present({ ...bodyOf(subscription), signature: signatureSchemes.of(subscription.signature), secret });

/** `PATCH …/subscriptions/{id}` */
export const changedSubscriptionOf = (subscription: Subscription | undefined): Maskable => ({
  body: subscription ? bodyOf(subscription) : {},
  memberwise: ['policy'],
  empties: { event_types: [], headers: {}, metadata: {} },
});

const toAuthentication = ({ type, ...value }: SubscriptionView['authentication']): Authentication => ({
  method: { $case: type, value } as Authentication['method'], // both are told apart by the same words, and have the same members
});

const toPolicy = (policy: SubscriptionView['policy']): DeliveryPolicy => ({
  timeout: toDuration(policy.timeout),
  retry_schedule: { waits: policy.retry_schedule.map(toDuration) },
  rate_limit: policy.rate_limit,
  max_concurrency: policy.max_concurrency,
  ordering: orderings.to(policy.ordering),
  success: policy.success,
  disable_after: toDuration(policy.disable_after),
  spread: policy.spread,
});

export const toSubscription = (view: SubscriptionView): Subscription => ({
  id: view.id,
  tenant: view.tenant,
  name: view.name,
  description: view.description,
  url: view.url,
  event_types: view.event_types,
  filter: view.filter,
  enabled: view.enabled,
  disabled_reason: disabledReasons.to(view.disabled_reason),
  signature: signatureSchemes.to(view.signature),
  payload: { format: payloadFormats.to(view.payload.format), transform: view.payload.transform, context: view.payload.context },
  authentication: toAuthentication(view.authentication),
  headers: view.headers,
  policy: toPolicy(view.policy),
  metadata: view.metadata,
  version: view.version,
  created_at: toTime(view.created_at),
  updated_at: toTime(view.updated_at),
});

export const toSecret = ({ signature, secret, public_key, previous }: SecretView): SubscriptionSecret => ({
  signature: signatureSchemes.to(signature),
  secret,
  public_key,
  previous: previous.map(({ expires_at, ...old }) => ({
    signature: signatureSchemes.to(old.signature),
    secret: old.secret,
    public_key: old.public_key,
    expires_at: toTime(expires_at),
  })),
});

export const toHistoryEntry = ({ version, type, at, actor, cause, changes }: HistoryView): HistoryEntry => ({
  version,
  type,
  at: toTime(at),
  actor,
  cause,
  changes,
});

export const toMissed = ({ from, to, deliveries, at_least, replay }: MissedView): Missed => ({
  from: toTime(from),
  to: toTime(to),
  deliveries,
  at_least,
  replay,
});

export const toTestAttempt = ({ started_at, duration_ms, request, response, error }: TestedAttempt): TestAttempt => ({
  started_at: toTime(started_at),
  duration_ms,
  request,
  response,
  error,
});
