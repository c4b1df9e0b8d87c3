import { describe, expect, it } from '@jest/globals';
import type { Envelope } from '@posthorn/contracts';
import type { Accepted } from '../acceptance/accept.js';
import type { KnownType, Policy } from './catalogue.js';
import { isUnknown, ruleOn } from './ruling.js';
import { Schemas } from './schemas.js';

const schemas = new Schemas();
const schema = schemas.keep({ type: 'object', required: ['id'], properties: { id: { type: 'string' }, items: { items: { properties: { price: { type: 'number' } } } } } });

// What is not looked at is left out.
const event = { kind: 'accepted', envelope: { tenant: 'acme', id: 'e-1', type: 'a.b' } as Envelope, tenantPath: 'ce_tenant', typePath: 'ce_type' } as Accepted;
const rule = (value: unknown, type: KnownType | undefined, policy: Partial<Policy> = {}) =>
  ruleOn(event, value, { policy: { schema_policy: 'reject', unknown_event_types: 'accept', ...policy }, type }, (kept) => schemas.validatorOf(kept));

const admitted = { kind: 'admitted', event, warnings: [] };
const bad = { id: 'x', items: [{ price: 1 }, { price: '2' }] };
const price = { path: 'data.items[1].price', message: 'must be number' };

describe('the ruling on an event', () => {
  it('lets in what fits, and what no schema is about', () => {
    expect(rule({ id: 'x' }, schema)).toEqual(admitted);
    expect(rule(bad, 'no schema')).toEqual(admitted);
    expect(rule(bad, undefined)).toEqual(admitted);
    expect(rule(undefined, 'no schema')).toEqual(admitted);
  });

  it.each<[Policy['schema_policy'], object]>([
    ['off', admitted],
    ['warn', { ...admitted, warnings: [price] }],
    [
      'reject',
      {
        kind: 'refused',
        code: 'schema_violation',
        message: 'data does not fit the schema of a.b: data.items[1].price must be number',
        path: price.path,
        errors: [price],
        tenant: 'acme',
        eventId: 'e-1',
      },
    ],
  ])('on what does not fit is the tenant\'s: %s', (schema_policy, ruling) => {
    expect(rule(bad, schema, { schema_policy })).toEqual(ruling);
  });

  it.each<[string, unknown, string]>([
    ['null', null, 'data'],
    ['without a member', {}, 'data.id'],
  ])('tells where it is wrong that data is %s', (_what, value, path) => {
    expect(rule(value, schema)).toMatchObject({ code: 'schema_violation', path, errors: [{ path }] });
  });

  it('takes data that is not JSON for a violation of any schema', () => {
    const anything = schemas.keep(true);
    expect(rule('', anything)).toEqual(admitted);
    expect(rule(undefined, anything)).toMatchObject({ code: 'schema_violation', path: 'data', message: expect.stringContaining('is not JSON') });
  });

  it('judges numbers as JavaScript has them', () => {
    const whole = schemas.keep({ type: 'integer', maximum: 12345678901234567000 });
    expect(rule(JSON.parse('12345678901234567890'), whole)).toEqual(admitted);
    expect(rule(JSON.parse('1.0'), whole)).toEqual(admitted);
  });

  it('refuses an unknown type only for a tenant that wants types to be known', () => {
    expect(rule({}, undefined, { unknown_event_types: 'reject', schema_policy: 'off' })).toMatchObject({
      code: 'unknown_event_type',
      path: 'ce_type',
      tenant: 'acme',
      eventId: 'e-1',
    });
    expect(rule({}, 'no schema', { unknown_event_types: 'reject' })).toEqual(admitted);
  });

  it('refuses the event of a tenant that is none, by the name that its form has for it', () => {
    const ruling = ruleOn(event, {}, { policy: undefined, type: schema }, (kept) => schemas.validatorOf(kept));
    expect(ruling).toMatchObject({ code: 'unknown_tenant', path: 'ce_tenant', tenant: 'acme', eventId: 'e-1' });
  });

  it('needs to know more when a tenant is unknown, or a type that is to be known', () => {
    const policy: Policy = { schema_policy: 'warn', unknown_event_types: 'reject' };
    expect(isUnknown({ policy: undefined, type: schema })).toBe(true);
    expect(isUnknown({ policy, type: undefined })).toBe(true);
    expect(isUnknown({ policy, type: 'no schema' })).toBe(false);
    expect(isUnknown({ policy: { ...policy, unknown_event_types: 'accept' }, type: undefined })).toBe(false);
  });
});
