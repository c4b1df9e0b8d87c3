import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { fold } from '../decider.js';
import { tenant, type TenantCommand, type TenantEvent } from './tenant.js';

const born = '2026-01-02T03:04:05.678Z';
const at = '2026-01-03T00:00:00.000Z';
const settings = { schema_policy: 'warn', unknown_event_types: 'accept', retention_ms: 2_592_000_000 } as const;
const create = { kind: 'create', id: 'acme', name: 'Acme', settings, at: born } as const;
const created: TenantEvent = { type: 'TenantCreated', data: { id: 'acme', name: 'Acme', settings }, at: born };
const deleted: TenantEvent = { type: 'TenantDeleted', data: {}, at };

const given = (...history: TenantEvent[]) => {
  const state = fold(tenant, history);
  return { state, when: (command: TenantCommand) => tenant.decide(command, state) };
};

const refused = (code: string) => expect.objectContaining({ code });

describe('a tenant', () => {
  it('is created', () => {
    expect(given().when(create)).toEqual([created]);
  });

  it('is created once, also after its deletion', () => {
    expect(() => given(created).when(create)).toThrow(refused('already_exists'));
    expect(() => given(created, deleted).when(create)).toThrow('ids are not used again');
  });

  it('stands as registry.state carries it', () => {
    const { state } = given(created);
    expect(recordSchemas.registryState.parse({ position: 1, version: 1, state }).state).toEqual({
      kind: 'tenant',
      id: 'acme',
      name: 'Acme',
      settings,
      created_at: born,
      updated_at: born,
    });
  });

  it('is updated member by member', () => {
    const updated: TenantEvent = { type: 'TenantUpdated', data: { name: 'New', settings: { schema_policy: 'reject' } }, at };
    const update = { kind: 'update', name: 'New', settings: { schema_policy: 'reject', retention_ms: 2_592_000_000 }, at } as const;
    expect(given(created).when(update)).toEqual([updated]);
    expect(given(created, updated).state).toEqual({
      ...given(created).state,
      name: 'New',
      settings: { ...settings, schema_policy: 'reject' },
      updated_at: at,
    });
  });

  it('states nothing when nothing changes', () => {
    expect(given(created).when({ kind: 'update', name: 'Acme', settings, at })).toEqual([]);
    expect(given(created).when({ kind: 'update', at })).toEqual([]);
  });

  it('is deleted', () => {
    expect(given(created).when({ kind: 'delete', at })).toEqual([deleted]);
    expect(given(created, deleted).state).toEqual({ kind: 'deleted' });
  });

  it.each<TenantCommand>([
    { kind: 'update', name: 'New', at },
    { kind: 'delete', at },
  ])('that is not there refuses to $kind', (command) => {
    expect(() => given().when(command)).toThrow(refused('not_found'));
    expect(() => given(created, deleted).when(command)).toThrow(refused('not_found'));
  });

  it('refuses to fold an event it does not know', () => {
    const later = { type: 'TenantMoved', data: {}, at } as unknown as TenantEvent;
    expect(() => given(created, later)).toThrow('TenantMoved');
  });
});
