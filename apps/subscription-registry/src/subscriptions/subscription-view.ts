import {
  durationText,
  REDACTED,
  type AuthenticationState,
  type AuthenticationView,
  type SubscriptionState,
  type SubscriptionView,
} from '@posthorn/contracts';
import { defaultRetryScheduleMs } from '@posthorn/domain';

const ANY_SUCCESS = { statuses: ['2xx'] };

/** As the API shows it. Members are named one by one, so that nothing secret gets out by being added to the state. */
export const viewOfSubscription = (state: SubscriptionState, version: number): SubscriptionView => {
  const { policy } = state;
  return {
    id: state.id,
    tenant: state.tenant,
    name: state.name,
    ...(state.description !== undefined && { description: state.description }),
    type: state.type,
    url: state.url,
    event_types: state.event_types,
    ...(state.filter !== undefined && { filter: state.filter }),
    enabled: state.enabled,
    ...(state.disabled_reason && { disabled_reason: state.disabled_reason }),
    signature: state.signing_secrets[0]?.scheme ?? 'v1',
    payload: state.payload,
    authentication: viewOfAuthentication(state.authentication),
    headers: state.headers,
    policy: {
      timeout: durationText(policy.timeout_ms),
      retry_schedule: (policy.retry_schedule_ms ?? defaultRetryScheduleMs).map(durationText),
      ...(policy.rate_limit && { rate_limit: policy.rate_limit }),
      max_concurrency: policy.max_concurrency,
      ordering: policy.ordering,
      spread: policy.spread ?? 1,
      success: policy.success ?? ANY_SUCCESS,
      disable_after: durationText(policy.disable_after_ms),
    },
    metadata: state.metadata,
    version,
    created_at: state.created_at,
    updated_at: state.updated_at,
  };
};

const viewOfAuthentication = (state: AuthenticationState): AuthenticationView => {
  const { type } = state;
  switch (type) {
    case 'none':
      return { type };
    case 'api_key':
      return { type, header: state.header, key: REDACTED };
    case 'token':
    case 'bearer':
      return { type, token: REDACTED };
    case 'basic':
      return { type, username: state.username, password: REDACTED };
    case 'oauth2_client_credentials': {
      const { token_url, client_id, scope } = state;
      return { type, token_url, client_id, client_secret: REDACTED, ...(scope !== undefined && { scope }) };
    }
    case 'mtls': {
      const { certificate, ca } = state;
      return { type, certificate, private_key: REDACTED, ...(ca !== undefined && { ca }) };
    }
  }
};
