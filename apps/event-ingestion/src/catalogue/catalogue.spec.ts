import { describe, expect, it } from '@jest/globals';
import { eventTypeState, tenantState } from '../spec-support/states.js';
import { Catalogue } from './catalogue.js';
import { Schemas } from './schemas.js';

const given = () => {
  const schemas = new Schemas();
  return { schemas, catalogue: new Catalogue(schemas) };
};
const schema = { type: 'object', properties: { total: { type: 'number' } } };

describe('the catalogue', () => {
  it('knows a tenant, and its policy as it is now, from its record to its deletion', () => {
    const { catalogue } = given();
    catalogue.tenants.changed(tenantState('acme', { schema_policy: 'warn' }));
    expect(catalogue.policyOf('acme')).toEqual({ schema_policy: 'warn', unknown_event_types: 'accept' });
    catalogue.tenants.changed(tenantState('acme', { schema_policy: 'off', unknown_event_types: 'reject' }));
    expect(catalogue.policyOf('acme')).toEqual({ schema_policy: 'off', unknown_event_types: 'reject' });
    expect(catalogue.tenantCount).toBe(1);
    catalogue.tenants.removed('acme');
    expect([catalogue.policyOf('acme'), catalogue.tenantCount]).toEqual([undefined, 0]);
  });

  it('knows a type, archived or not, of its tenant only, until it is deleted', () => {
    const { catalogue } = given();
    catalogue.eventTypes.changed(eventTypeState('acme', 'invoice.paid', { archived: true }));
    expect(['acme', 'other'].map((tenant) => catalogue.typeOf(tenant, 'invoice.paid'))).toEqual(['no schema', undefined]);
    catalogue.eventTypes.removed('other/invoice.paid');
    expect(catalogue.typeOf('acme', 'invoice.paid')).toBe('no schema');
    catalogue.eventTypes.removed('acme/invoice.paid');
    expect(catalogue.typeOf('acme', 'invoice.paid')).toBeUndefined();
  });

  it('keeps equal schemas once, and none that no type has any more', () => {
    const { catalogue, schemas } = given();
    for (const tenant of ['a', 'b', 'c']) catalogue.eventTypes.changed(eventTypeState(tenant, 't', { schema }));
    const kept = catalogue.typeOf('a', 't');
    const once = schemas.packedBytes;
    expect(once).toBeGreaterThan(0);
    expect([catalogue.typeOf('b', 't'), catalogue.typeOf('c', 't')].every((type) => type === kept)).toBe(true);

    // Told again, as after a restart of the relay.
    catalogue.eventTypes.changed(eventTypeState('a', 't', { schema }));
    expect([catalogue.typeOf('a', 't') === kept, schemas.packedBytes]).toEqual([true, once]);

    catalogue.eventTypes.changed(eventTypeState('a', 't', { schema: false }));
    catalogue.eventTypes.changed(eventTypeState('b', 't'));
    expect(schemas.packedBytes).toBeGreaterThan(once);
    catalogue.eventTypes.removed('a/t');
    expect(schemas.packedBytes).toBe(once);
    catalogue.eventTypes.removed('c/t');
    expect(schemas.packedBytes).toBe(0);
  });
});
