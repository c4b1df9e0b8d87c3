import type { TenantState } from '@posthorn/contracts';
import { differences, differencesOrNone, isEmpty, merged, type Changes } from '../changes.js';
import type { Decider, Fact } from '../decider.js';
import { existing, expectUnused, unknownEvent, type NotThere } from '../lifetime.js';

export type Tenant = NotThere | TenantState;
export type TenantSettingsState = Readonly<TenantState['settings']>;

export type TenantCommand =
  | {
      readonly kind: 'create';
      readonly id: string;
      readonly name: string;
      readonly settings: TenantSettingsState;
      readonly at: string;
    }
  | {
      readonly kind: 'update';
      readonly name?: string | undefined;
      readonly settings?: Changes<TenantSettingsState> | undefined;
      readonly at: string;
    }
  | { readonly kind: 'delete'; readonly at: string };

export type TenantCreated = Fact<
  'TenantCreated',
  { readonly id: string; readonly name: string; readonly settings: TenantSettingsState }
>;
/** Holds only what changed. */
export type TenantUpdated = Fact<
  'TenantUpdated',
  { readonly name?: string | undefined; readonly settings?: Changes<TenantSettingsState> }
>;
export type TenantDeleted = Fact<'TenantDeleted', Readonly<Record<string, never>>>;

export type TenantEvent = TenantCreated | TenantUpdated | TenantDeleted;

const decide = (command: TenantCommand, state: Tenant): readonly TenantEvent[] => {
  const { at } = command;
  switch (command.kind) {
    case 'create': {
      const { id, name, settings } = command;
      expectUnused(state, `tenant ${id}`);
      return [{ type: 'TenantCreated', data: { id, name, settings }, at }];
    }
    case 'update': {
      const current = existing(state, 'tenant');
      const settings = differencesOrNone(current.settings, command.settings);
      const data = { ...differences<{ name: string }>(current, { name: command.name }), ...(settings && { settings }) };
      return isEmpty(data) ? [] : [{ type: 'TenantUpdated', data, at }];
    }
    case 'delete':
      existing(state, 'tenant');
      return [{ type: 'TenantDeleted', data: {}, at }];
  }
};

const evolve = (state: Tenant, event: TenantEvent): Tenant => {
  switch (event.type) {
    case 'TenantCreated':
      return { kind: 'tenant', ...event.data, created_at: event.at, updated_at: event.at };
    case 'TenantUpdated': {
      const { settings, ...changes } = event.data;
      const current = existing(state, 'tenant');
      return {
        ...merged<TenantState>(current, changes),
        settings: merged(current.settings, settings),
        updated_at: event.at,
      };
    }
    case 'TenantDeleted':
      return { kind: 'deleted' };
    default:
      return unknownEvent(event, 'a tenant');
  }
};

export const tenant: Decider<TenantCommand, Tenant, TenantEvent> = { initialState: { kind: 'absent' }, decide, evolve };
