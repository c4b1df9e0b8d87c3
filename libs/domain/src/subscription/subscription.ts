import { isDeepStrictEqual } from 'node:util';
import type { AuthenticationState, DisabledReason, SigningSecret, SubscriptionState } from '@posthorn/contracts';
import { differences, differencesOrNone, isEmpty, merged, type Changes } from '../changes.js';
import { CommandRefused, type Decider, type Fact } from '../decider.js';
import { existing, expectUnused, unknownEvent, type NotThere } from '../lifetime.js';
import { policyFaults } from './policy.js';
import { rotated, sameAuthentication, sameSecrets, type NewSecret } from './secrets.js';

export type Subscription = NotThere | SubscriptionState;

/** What its owner decides about a subscription, apart from whether it is enabled and what signs it. */
export type SubscriptionSettings = Readonly<
  Pick<
    SubscriptionState,
    | 'name'
    | 'description'
    | 'url'
    | 'event_types'
    | 'filter'
    | 'payload'
    | 'authentication'
    | 'headers'
    | 'policy'
    | 'metadata'
  >
>;

/** What is present replaces, `policy` member by member; null removes what can be absent. */
export type SubscriptionChanges = Changes<Omit<SubscriptionSettings, 'policy'>> & {
  readonly policy?: Changes<SubscriptionSettings['policy']> | undefined;
};

export type SubscriptionCommand =
  | {
      readonly kind: 'create';
      readonly id: string;
      readonly tenant: string;
      readonly settings: SubscriptionSettings;
      readonly enabled: boolean;
      readonly signing_secret: NewSecret;
      readonly at: string;
    }
  | {
      readonly kind: 'update';
      readonly changes: SubscriptionChanges;
      readonly enabled?: boolean | undefined;
      readonly at: string;
    }
  | { readonly kind: 'enable'; readonly at: string }
  | {
      readonly kind: 'disable';
      readonly reason: DisabledReason;
      /** When what speaks against it was seen, if that is not now: it may have been enabled, or moved, since then. */
      readonly observed_at?: string | undefined;
      readonly at: string;
    }
  | {
      readonly kind: 'rotate_secret';
      readonly secret: NewSecret;
      /** The secret before signs too until then; without it the old ones go at once. */
      readonly overlap_until?: string | undefined;
      readonly at: string;
    }
  | {
      /** The same secrets under another encryption key. */
      readonly kind: 'reencrypt';
      readonly signing_secrets: readonly SigningSecret[];
      readonly authentication?: AuthenticationState | undefined;
      readonly at: string;
    }
  | { readonly kind: 'delete'; readonly at: string };

type CommandOf<Kind extends SubscriptionCommand['kind']> = Extract<SubscriptionCommand, { kind: Kind }>;

export type SubscriptionCreated = Fact<
  'SubscriptionCreated',
  SubscriptionSettings & {
    readonly id: string;
    readonly tenant: string;
    readonly type: 'rest';
    readonly enabled: boolean;
    readonly signing_secrets: readonly SigningSecret[];
  }
>;
/** Holds only what changed; null says that it was removed. */
export type SubscriptionUpdated = Fact<'SubscriptionUpdated', SubscriptionChanges>;
export type SubscriptionEnabled = Fact<'SubscriptionEnabled', Readonly<Record<string, never>>>;
export type SubscriptionDisabled = Fact<'SubscriptionDisabled', { readonly reason: DisabledReason }>;
/** Holds all that sign from now on, newest first. */
export type SubscriptionSecretRotated = Fact<'SubscriptionSecretRotated', { readonly signing_secrets: readonly SigningSecret[] }>;
/** Holds what was encrypted anew; the secrets are the same. */
export type SubscriptionReencrypted = Fact<
  'SubscriptionReencrypted',
  { readonly signing_secrets: readonly SigningSecret[]; readonly authentication?: AuthenticationState }
>;
export type SubscriptionDeleted = Fact<'SubscriptionDeleted', Readonly<Record<string, never>>>;

export type SubscriptionEvent =
  | SubscriptionCreated
  | SubscriptionUpdated
  | SubscriptionEnabled
  | SubscriptionDisabled
  | SubscriptionSecretRotated
  | SubscriptionReencrypted
  | SubscriptionDeleted;

/** @throws {CommandRefused} `invalid` */
const refuseFaulty = (policy: SubscriptionSettings['policy']): void => {
  const [fault] = policyFaults(policy);
  if (fault) throw new CommandRefused('invalid', fault.message, fault.path);
};

const create = (command: CommandOf<'create'>, state: Subscription): readonly SubscriptionEvent[] => {
  const { id, tenant, settings, enabled, signing_secret, at } = command;
  expectUnused(state, `subscription ${id}`);
  refuseFaulty(settings.policy);
  const data = { id, tenant, type: 'rest', ...settings, enabled, signing_secrets: [signing_secret] } as const;
  return [{ type: 'SubscriptionCreated', data, at }];
};

const enable = (state: SubscriptionState, at: string): readonly SubscriptionEvent[] =>
  state.enabled ? [] : [{ type: 'SubscriptionEnabled', data: {}, at }];

/**
 * The first reason stands: a subscription that is disabled stays as it is. What was observed before it was last enabled, or
 * before its URL changed, says nothing about it as it is now.
 */
const disable = (
  state: SubscriptionState,
  { reason, observed_at, at }: Omit<CommandOf<'disable'>, 'kind'>,
): readonly SubscriptionEvent[] => {
  const isOutdated = observed_at !== undefined && Date.parse(observed_at) < Date.parse(state.enabled_since);
  return state.enabled && !isOutdated ? [{ type: 'SubscriptionDisabled', data: { reason }, at }] : [];
};

const update = (state: SubscriptionState, { changes, enabled, at }: CommandOf<'update'>): readonly SubscriptionEvent[] => {
  const { policy: wantedPolicy, ...wanted } = changes;
  const policy = differencesOrNone(state.policy, wantedPolicy);
  if (policy) refuseFaulty(merged(state.policy, policy));
  const data = { ...differences<Omit<SubscriptionSettings, 'policy'>>(state, wanted), ...(policy && { policy }) };
  const updated: readonly SubscriptionEvent[] = isEmpty(data) ? [] : [{ type: 'SubscriptionUpdated', data, at }];
  if (enabled === undefined) return updated;
  return [...updated, ...(enabled ? enable(state, at) : disable(state, { reason: 'by_user', at }))];
};

const rotate = (state: SubscriptionState, command: CommandOf<'rotate_secret'>): readonly SubscriptionEvent[] => {
  const { secret, overlap_until, at } = command;
  const signing_secrets = rotated(state.signing_secrets, secret, { at, overlapUntil: overlap_until });
  return [{ type: 'SubscriptionSecretRotated', data: { signing_secrets }, at }];
};

/** Nothing but ciphertexts may differ: what was encrypted anew from an older state would undo what came since. */
const reencrypt = (state: SubscriptionState, command: CommandOf<'reencrypt'>): readonly SubscriptionEvent[] => {
  const { signing_secrets, authentication = state.authentication, at } = command;
  if (!sameSecrets(state.signing_secrets, signing_secrets) || !sameAuthentication(state.authentication, authentication)) {
    throw new CommandRefused('conflict', 'the secrets have changed since they were read');
  }
  const changed = !isDeepStrictEqual(authentication, state.authentication);
  if (!changed && isDeepStrictEqual(signing_secrets, state.signing_secrets)) return [];
  return [{ type: 'SubscriptionReencrypted', data: { signing_secrets, ...(changed && { authentication }) }, at }];
};

const decide = (command: SubscriptionCommand, state: Subscription): readonly SubscriptionEvent[] => {
  if (command.kind === 'create') return create(command, state);
  const current = existing(state, 'subscription');
  switch (command.kind) {
    case 'update':
      return update(current, command);
    case 'enable':
      return enable(current, command.at);
    case 'disable':
      return disable(current, command);
    case 'rotate_secret':
      return rotate(current, command);
    case 'reencrypt':
      return reencrypt(current, command);
    case 'delete':
      return [{ type: 'SubscriptionDeleted', data: {}, at: command.at }];
  }
};

const born = ({ data: { enabled, signing_secrets, ...data }, at }: SubscriptionCreated): SubscriptionState => ({
  kind: 'subscription',
  ...data,
  enabled,
  ...(!enabled && { disabled_reason: 'by_user', disabled_at: at }),
  enabled_since: at,
  signing_secrets: [...signing_secrets],
  created_at: at,
  updated_at: at,
});

const evolve = (state: Subscription, event: SubscriptionEvent): Subscription => {
  if (event.type === 'SubscriptionCreated') return born(event);
  const current = { ...existing(state, 'subscription'), updated_at: event.at };
  switch (event.type) {
    case 'SubscriptionUpdated': {
      const { policy, ...changes } = event.data;
      return {
        ...merged<SubscriptionState>(current, changes),
        policy: merged(current.policy, policy),
        enabled_since: changes.url === undefined ? current.enabled_since : event.at,
      };
    }
    case 'SubscriptionEnabled': {
      const { disabled_reason: _reason, disabled_at: _since, ...rest } = current;
      return { ...rest, enabled: true, enabled_since: event.at };
    }
    case 'SubscriptionDisabled':
      return { ...current, enabled: false, disabled_reason: event.data.reason, disabled_at: event.at };
    case 'SubscriptionSecretRotated':
    case 'SubscriptionReencrypted':
      return { ...current, ...event.data, signing_secrets: [...event.data.signing_secrets] };
    case 'SubscriptionDeleted':
      return { kind: 'deleted' };
    default:
      return unknownEvent(event, 'a subscription');
  }
};

export const subscription: Decider<SubscriptionCommand, Subscription, SubscriptionEvent> = {
  initialState: { kind: 'absent' },
  decide,
  evolve,
};
