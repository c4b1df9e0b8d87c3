import { durationMs, type CreateSubscriptionBody, type SubscriptionState, type UpdateSubscriptionBody } from '@posthorn/contracts';
import type { Changes, SubscriptionChanges, SubscriptionSettings } from '@posthorn/domain';
import type { SecretBox } from '@posthorn/service-kit';
import { authenticationState } from './authentication.js';

type PolicyBody = NonNullable<UpdateSubscriptionBody['policy']>;
type PolicyState = SubscriptionState['policy'];

const DEFAULT_POLICY: PolicyState = {
  timeout_ms: 15_000,
  max_concurrency: 10,
  ordering: 'none',
  disable_after_ms: durationMs('120h'),
};

/** Unless a burst is given, what may be sent in a second may be sent at once. */
const rateLimitOf = ({ per_second, burst }: NonNullable<PolicyBody['rate_limit']>): PolicyState['rate_limit'] => ({
  per_second,
  burst: burst ?? Math.max(1, Math.ceil(per_second)),
});

/** Null stays null, and what is absent stays absent. */
const mapped = <In extends object, Out>(value: In | null | undefined, map: (value: In) => Out): Out | null | undefined =>
  value ? map(value) : (value as null | undefined); // an object is never falsy

const policyChanges = ({ timeout, retry_schedule, rate_limit, disable_after, spread, ...rest }: PolicyBody): Changes<PolicyState> =>
  withoutUndefined({
    ...rest,
    timeout_ms: timeout === undefined ? undefined : durationMs(timeout),
    disable_after_ms: disable_after === undefined ? undefined : durationMs(disable_after),
    retry_schedule_ms: mapped(retry_schedule, (waits) => waits.map(durationMs)),
    rate_limit: mapped(rate_limit, rateLimitOf),
    spread: spread === 1 ? null : spread,
  });

const withoutUndefined = <T extends object>(record: T): T =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined)) as T; // as JSON, it is the same

const withoutNull = <T extends object>(record: Changes<T>): Partial<T> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null)) as Partial<T>; // null is only where `undefined` may be

/** @throws {Problem} `invalid` */
export const settingsOf = (body: CreateSubscriptionBody, secrets: SecretBox): SubscriptionSettings => {
  const { name, description, url, event_types, filter, payload, authentication, headers, policy, metadata } = body;
  return {
    name,
    ...(description !== undefined && { description }),
    url,
    event_types,
    ...(filter !== undefined && { filter }),
    payload: payload ?? { format: 'standard' },
    authentication: authenticationState(authentication ?? { type: 'none' }, undefined, secrets),
    headers: headers ?? {},
    policy: { ...DEFAULT_POLICY, ...withoutNull<PolicyState>(policyChanges(policy ?? {})) },
    metadata: metadata ?? {},
  };
};

/** @throws {Problem} `invalid` */
export const changesOf = (body: UpdateSubscriptionBody, present: SubscriptionState, secrets: SecretBox): SubscriptionChanges => {
  const { enabled: _switched, policy, authentication, ...changes } = body;
  return {
    ...changes,
    ...(policy && { policy: policyChanges(policy) }),
    ...(authentication && { authentication: authenticationState(authentication, present.authentication, secrets) }),
  };
};
