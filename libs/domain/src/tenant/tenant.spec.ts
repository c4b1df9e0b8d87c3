import { describe, expect, it } from '@jest/globals';
import { fold } from '../decider.js';
import { tenant, type TenantEvent } from './tenant.js';

const at = '2026-01-02T03:04:05.678Z';
const created: TenantEvent = { type: 'TenantCreated', data: { id: 'acme', name: 'Acme' }, at };

const given = (...history: TenantEvent[]) => fold(tenant, history);

describe('a tenant', () => {
  it('is created', () => {
    expect(tenant.decide({ kind: 'create', id: 'acme', name: 'Acme', at }, given())).toEqual([created]);
  });

  it('is created once', () => {
    expect(() => tenant.decide({ kind: 'create', id: 'acme', name: 'Other', at }, given(created))).toThrow(
      expect.objectContaining({ code: 'already_exists' }),
    );
  });

  it('stands as registry.state shows it', () => {
    expect(given(created)).toEqual({ kind: 'tenant', id: 'acme', name: 'Acme' });
  });
});
