import type { TenantState } from '@posthorn/contracts';
import { CommandRefused, type Decider, type Fact } from '../decider.js';

export type Tenant = { readonly kind: 'absent' } | TenantState;

export type CreateTenant = { readonly kind: 'create'; readonly id: string; readonly name: string; readonly at: string };
export type TenantCommand = CreateTenant;

export type TenantCreated = Fact<'TenantCreated', { readonly id: string; readonly name: string }>;
export type TenantEvent = TenantCreated;

export const tenant: Decider<TenantCommand, Tenant, TenantEvent> = {
  initialState: { kind: 'absent' },

  decide: ({ id, name, at }, state) => {
    if (state.kind !== 'absent') throw new CommandRefused('already_exists', `tenant ${id} exists`);
    return [{ type: 'TenantCreated', data: { id, name }, at }];
  },

  evolve: (_state, { data: { id, name } }) => ({ kind: 'tenant', id, name }),
};
