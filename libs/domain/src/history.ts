import { REDACTED, durationText, type AuthenticationState, type SigningSecret, type SubscriptionState } from '@posthorn/contracts';
import type { ApiKeyEvent } from './api-key/api-key.js';
import type { Changes } from './changes.js';
import type { EventTypeEvent } from './event-type/event-type.js';
import { unknownEvent } from './lifetime.js';
import type { PortalKeyEvent } from './portal-key/portal-key.js';
import { withoutSecrets } from './subscription/secrets.js';
import type { SubscriptionEvent } from './subscription/subscription.js';
import type { TenantEvent, TenantSettingsState } from './tenant/tenant.js';

export type DomainEvent = TenantEvent | EventTypeEvent | SubscriptionEvent | ApiKeyEvent | PortalKeyEvent;

type Shown = Record<string, unknown>;
type PolicyState = SubscriptionState['policy'];

/** Null stays null, and what is absent stays absent: so these serve a whole and its changes. */
const shownAs = <Value>(name: string, value: Value | null | undefined, show: (value: Value) => unknown): Shown =>
  value === undefined ? {} : { [name]: value === null ? null : show(value) };

const shownPolicy = ({ timeout_ms, retry_schedule_ms, disable_after_ms, spread, ...rest }: Changes<PolicyState>): Shown => ({
  ...shownAs('timeout', timeout_ms, durationText),
  ...shownAs('retry_schedule', retry_schedule_ms, (waits) => waits.map(durationText)),
  ...shownAs('disable_after', disable_after_ms, durationText),
  ...(spread !== undefined && { spread: spread ?? 1 }),
  ...rest,
});

const shownSettings = ({ retention_ms, ...rest }: Changes<TenantSettingsState>): Shown => ({
  ...rest,
  ...shownAs('retention', retention_ms, durationText),
});

const shownAuthentication = (authentication: AuthenticationState): Shown => withoutSecrets(authentication, REDACTED);

const shownSecret = ({ scheme }: SigningSecret): Shown => ({ signature: scheme, secret: REDACTED });

/** As the answer to `GET …/secret` names them. */
const shownSecrets = ([newest, ...previous]: readonly SigningSecret[]): Shown => ({
  ...(newest && shownSecret(newest)),
  ...(previous.length > 0 && {
    previous: previous.map((secret) => ({ ...shownSecret(secret), expires_at: secret.expires_at })),
  }),
});

/**
 * What a domain event changed, in the words of the API: durations are texts, and in the place of each secret stands `***`. Every event is
 * named here, so that a new one is not shown before somebody has thought about what of it is secret.
 * @throws {TypeError} for an event that is not known here
 */
export const changesOfEvent = (event: Pick<DomainEvent, 'type' | 'data'>): Readonly<Record<string, unknown>> => {
  const known = event as DomainEvent; // type and data are of the same event; `at` is not looked at
  switch (known.type) {
    case 'SubscriptionCreated':
    case 'SubscriptionUpdated':
    case 'SubscriptionSecretRotated':
    case 'SubscriptionReencrypted':
      return shownSubscription(known.data);
    case 'TenantCreated':
    case 'TenantUpdated': {
      const { settings, ...data } = known.data;
      return { ...data, ...shownAs('settings', settings, shownSettings) };
    }
    case 'ApiKeyCreated':
      return { ...known.data, hash: REDACTED };
    case 'PortalKeyCreated':
    case 'PortalKeyReencrypted':
      return { ...known.data, private_key: REDACTED };
    case 'EventTypeCreated':
    case 'EventTypeUpdated':
    case 'EventTypeDeleted':
    case 'SubscriptionEnabled':
    case 'SubscriptionDisabled':
    case 'SubscriptionDeleted':
    case 'TenantDeleted':
    case 'ApiKeyRevoked':
      return known.data;
    default:
      return unknownEvent(known, 'the registry');
  }
};

type SubscriptionData = {
  readonly signing_secrets?: readonly SigningSecret[] | undefined;
  readonly authentication?: AuthenticationState | undefined;
  readonly policy?: Changes<PolicyState> | undefined;
};

const shownSubscription = ({ signing_secrets, authentication, policy, ...data }: SubscriptionData): Shown => ({
  ...data,
  ...shownAs('authentication', authentication, shownAuthentication),
  ...shownAs('policy', policy, shownPolicy),
  ...(signing_secrets && shownSecrets(signing_secrets)),
});
