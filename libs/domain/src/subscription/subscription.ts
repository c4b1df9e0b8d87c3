import { isDeepStrictEqual } from 'node:util';
import type { DisabledReason, Encrypted, SubscriptionState } from '@posthorn/contracts';
import { CommandRefused, type Decider, type Fact } from '../decider.js';

/** What `registry.state` carries, or that there is nothing (yet, or any more). An id is never used again after a deletion. */
export type Subscription = { readonly kind: 'absent' } | { readonly kind: 'deleted' } | SubscriptionState;

/** What its owner decides about a subscription, apart from whether it is enabled. */
export type SubscriptionSettings = Readonly<
  Pick<SubscriptionState, 'name' | 'description' | 'url' | 'event_types' | 'headers' | 'policy' | 'metadata'>
>;

/** What is present replaces; `policy` member by member. */
export type SubscriptionChanges = Readonly<
  Partial<Omit<SubscriptionSettings, 'policy'>> & { policy?: Partial<SubscriptionSettings['policy']> }
>;

export type SubscriptionCommand =
  | {
      readonly kind: 'create';
      readonly id: string;
      readonly tenant: string;
      readonly settings: SubscriptionSettings;
      readonly enabled: boolean;
      readonly signing_secret: Encrypted;
      readonly at: string;
    }
  | { readonly kind: 'update'; readonly changes: SubscriptionChanges; readonly enabled?: boolean; readonly at: string }
  | { readonly kind: 'enable'; readonly at: string }
  | { readonly kind: 'disable'; readonly reason: DisabledReason; readonly at: string }
  | { readonly kind: 'delete'; readonly at: string };

export type SubscriptionCreated = Fact<
  'SubscriptionCreated',
  SubscriptionSettings & {
    readonly id: string;
    readonly tenant: string;
    readonly type: 'rest';
    readonly enabled: boolean;
    readonly signing_secrets: readonly Encrypted[];
  }
>;
/** Holds only what changed. */
export type SubscriptionUpdated = Fact<'SubscriptionUpdated', SubscriptionChanges>;
export type SubscriptionEnabled = Fact<'SubscriptionEnabled', Readonly<Record<string, never>>>;
export type SubscriptionDisabled = Fact<'SubscriptionDisabled', { readonly reason: DisabledReason }>;
export type SubscriptionDeleted = Fact<'SubscriptionDeleted', Readonly<Record<string, never>>>;

export type SubscriptionEvent =
  | SubscriptionCreated
  | SubscriptionUpdated
  | SubscriptionEnabled
  | SubscriptionDisabled
  | SubscriptionDeleted;

const existing = (state: Subscription): SubscriptionState => {
  if (state.kind === 'subscription') return state;
  throw new CommandRefused('not_found', 'no such subscription');
};

/** The members of `wanted` that differ from `present`. */
const differences = <T extends object>(present: T, wanted: Partial<T>): Partial<T> => {
  const changed: Partial<T> = {};
  for (const key in wanted) {
    if (wanted[key] !== undefined && !isDeepStrictEqual(wanted[key], present[key])) changed[key] = wanted[key];
  }
  return changed;
};

const changesOf = (state: SubscriptionState, { policy, ...wanted }: SubscriptionChanges): SubscriptionChanges => {
  const changedPolicy = differences(state.policy, policy ?? {});
  return {
    ...differences<Omit<SubscriptionSettings, 'policy'>>(state, wanted),
    ...(Object.keys(changedPolicy).length > 0 && { policy: changedPolicy }),
  };
};

const enable = (state: SubscriptionState, at: string): readonly SubscriptionEvent[] =>
  state.enabled ? [] : [{ type: 'SubscriptionEnabled', data: {}, at }];

/** The first reason stands: a subscription that is disabled stays as it is. */
const disable = (state: SubscriptionState, reason: DisabledReason, at: string): readonly SubscriptionEvent[] =>
  state.enabled ? [{ type: 'SubscriptionDisabled', data: { reason }, at }] : [];

const update = (state: SubscriptionState, wanted: SubscriptionChanges, at: string): readonly SubscriptionEvent[] => {
  const data = changesOf(state, wanted);
  return Object.keys(data).length > 0 ? [{ type: 'SubscriptionUpdated', data, at }] : [];
};

const decide = (command: SubscriptionCommand, state: Subscription): readonly SubscriptionEvent[] => {
  const { at } = command;
  switch (command.kind) {
    case 'create': {
      if (state.kind !== 'absent') throw new CommandRefused('already_exists', `subscription ${command.id} exists`);
      const { id, tenant, settings, enabled, signing_secret } = command;
      return [
        {
          type: 'SubscriptionCreated',
          data: { id, tenant, type: 'rest', ...settings, enabled, signing_secrets: [signing_secret] },
          at,
        },
      ];
    }
    case 'update': {
      const current = existing(state);
      const switched =
        command.enabled === undefined ? [] : command.enabled ? enable(current, at) : disable(current, 'by_user', at);
      return [...update(current, command.changes, at), ...switched];
    }
    case 'enable':
      return enable(existing(state), at);
    case 'disable':
      return disable(existing(state), command.reason, at);
    case 'delete':
      existing(state);
      return [{ type: 'SubscriptionDeleted', data: {}, at }];
  }
};

const evolve = (state: Subscription, event: SubscriptionEvent): Subscription => {
  if (event.type === 'SubscriptionCreated') {
    const { enabled, signing_secrets, ...data } = event.data;
    return {
      kind: 'subscription',
      ...data,
      enabled,
      ...(!enabled && { disabled_reason: 'by_user' as const }),
      signing_secrets: [...signing_secrets],
      created_at: event.at,
      updated_at: event.at,
    };
  }
  const current = { ...existing(state), updated_at: event.at };
  switch (event.type) {
    case 'SubscriptionUpdated':
      return { ...current, ...event.data, policy: { ...current.policy, ...event.data.policy } };
    case 'SubscriptionEnabled': {
      const { disabled_reason: _over, ...rest } = current;
      return { ...rest, enabled: true };
    }
    case 'SubscriptionDisabled':
      return { ...current, enabled: false, disabled_reason: event.data.reason };
    case 'SubscriptionDeleted':
      return { kind: 'deleted' };
    default:
      return unknownEvent(event);
  }
};

/** Written by a later version of the registry. To skip it would be to answer with a wrong state. */
const unknownEvent = (event: never): never => {
  throw new TypeError(`unknown event ${JSON.stringify((event as { type?: unknown }).type)} of a subscription`);
};

export const subscription: Decider<SubscriptionCommand, Subscription, SubscriptionEvent> = {
  initialState: { kind: 'absent' },
  decide,
  evolve,
};
