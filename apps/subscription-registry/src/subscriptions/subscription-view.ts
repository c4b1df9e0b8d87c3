import { durationText, type SubscriptionState, type SubscriptionView } from '@posthorn/contracts';
import { defaultRetryScheduleMs } from '@posthorn/domain';

/** As the API shows it. Members are named one by one, so that nothing secret gets out by being added to the state. */
export const viewOfSubscription = (state: SubscriptionState, version: number): SubscriptionView => ({
  id: state.id,
  tenant: state.tenant,
  name: state.name,
  description: state.description,
  type: state.type,
  url: state.url,
  event_types: state.event_types,
  enabled: state.enabled,
  disabled_reason: state.disabled_reason,
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: state.headers,
  policy: {
    timeout: durationText(state.policy.timeout_ms),
    max_concurrency: state.policy.max_concurrency,
    retry_schedule: (state.policy.retry_schedule_ms ?? defaultRetryScheduleMs).map(durationText),
    ordering: 'none',
  },
  metadata: state.metadata,
  version,
  created_at: state.created_at,
  updated_at: state.updated_at,
});
