import { durationMs, type CreateSubscriptionBody, type UpdateSubscriptionBody } from '@posthorn/contracts';
import type { SubscriptionChanges, SubscriptionSettings } from '@posthorn/domain';

const DEFAULT_TIMEOUT_MS = 15_000;
const DEFAULT_MAX_CONCURRENCY = 10;

/** Durations in milliseconds; members that the body leaves out are left out. */
const policyOf = ({ timeout, retry_schedule, max_concurrency }: NonNullable<CreateSubscriptionBody['policy']>) => ({
  ...(timeout !== undefined && { timeout_ms: durationMs(timeout) }),
  ...(max_concurrency !== undefined && { max_concurrency }),
  ...(retry_schedule !== undefined && { retry_schedule_ms: retry_schedule.map(durationMs) }),
});

export const settingsOf = (body: CreateSubscriptionBody): SubscriptionSettings => ({
  name: body.name,
  ...(body.description !== undefined && { description: body.description }),
  url: body.url,
  event_types: body.event_types,
  headers: body.headers ?? {},
  policy: { timeout_ms: DEFAULT_TIMEOUT_MS, max_concurrency: DEFAULT_MAX_CONCURRENCY, ...policyOf(body.policy ?? {}) },
  metadata: body.metadata ?? {},
});

/** `payload` and `authentication` have one value so far: naming it changes nothing. */
export const changesOf = ({
  enabled: _switched,
  payload: _payload,
  authentication: _authentication,
  policy,
  ...changes
}: UpdateSubscriptionBody): SubscriptionChanges => ({ ...changes, ...(policy && { policy: policyOf(policy) }) });
