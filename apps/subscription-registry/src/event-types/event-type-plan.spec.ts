import { describe, expect, it } from '@jest/globals';
import type { EventTypeState } from '@posthorn/contracts';
import { faultsOfContent, planOf, type WantedContent, type WantedVersion } from './event-type-plan.js';

const at = '2026-01-02T03:04:05.678Z';
const schema = { type: 'object', properties: { amount: { type: 'integer' } } };
const looser = { type: 'object', properties: { amount: { type: 'integer' }, note: {} } };
const breaking = { type: 'object', properties: { amount: { type: 'string' } } };
const present: EventTypeState = {
  kind: 'event_type',
  id: 'acme/invoice.paid',
  tenant: 'acme',
  name: 'invoice.paid',
  description: 'Paid',
  version: 3,
  schema,
  archived: false,
  created_at: at,
  updated_at: at,
};
const wanted = (changes: Partial<WantedContent> = {}): WantedContent => ({ description: 'Paid', archived: false, schema, ...changes });

/** What a plan comes to, in short. */
const outcome = (type: EventTypeState | undefined, content: WantedContent, version: WantedVersion): string => {
  const plan = planOf(type, content, version);
  return plan.kind === 'put' ? `${plan.action} ${plan.content.version}` : `${plan.why} ${plan.errors.map(({ path }) => path).join()}`;
};

describe('the plan for a type', () => {
  it.each<[string, EventTypeState | undefined, WantedContent, WantedVersion, string]>([
    ['is to make what is new', undefined, wanted(), undefined, 'create 1'],
    ['is to make it as version 1', undefined, wanted(), 1, 'create 1'],
    ['is none for a new one with another version', undefined, wanted(), 2, 'version version'],
    ['is nothing when nothing changes', present, wanted(), undefined, 'unchanged 3'],
    ['is an update', present, wanted({ description: 'Settled' }), undefined, 'update 3'],
    ['is an update by what does not break', present, wanted({ schema: looser }), 3, 'update 3'],
    ['is none for what breaks', present, wanted({ schema: breaking }), undefined, 'breaks schema.properties.amount.type,schema.properties.amount.type'],
    ['is none for what breaks as the same version', present, wanted({ schema: breaking }), 3, 'breaks schema.properties.amount.type,schema.properties.amount.type'],
    ['is none for a schema that goes', present, { description: 'Paid', archived: false }, undefined, 'breaks schema.type,schema.properties.amount'],
    ['is a new version for what breaks', present, wanted({ schema: breaking }), 4, 'new_version 4'],
    ['is a new version for whoever asks', present, wanted(), 4, 'new_version 4'],
    ['is none for a version to come', present, wanted(), 5, 'version version'],
    ['is none for a version gone by', present, wanted(), 2, 'version version'],
    ['is a new version only if need be', present, wanted({ schema: breaking }), 'next if it breaks', 'new_version 4'],
    ['is no new version without need', present, wanted({ schema: looser }), 'next if it breaks', 'update 3'],
  ])('%s', (_what, type, content, version, expected) => {
    expect(outcome(type, content, version)).toBe(expected);
  });

  it('says why a new version is one', () => {
    const plan = planOf(present, wanted({ schema: breaking }), 'next if it breaks', ['schemas', 'invoice.paid']);
    expect(plan.kind === 'put' && plan.reasons.map(({ path }) => path)).toEqual([
      'schemas["invoice.paid"].schema.properties.amount.type',
      'schemas["invoice.paid"].schema.properties.amount.type',
    ]);
  });
});

const deep = (levels: number): object => (levels === 0 ? {} : { a: deep(levels - 1) });

describe('the content of a type', () => {
  it.each<[string, Parameters<typeof faultsOfContent>[0], readonly string[]]>([
    ['may be nothing', {}, []],
    ['may have an example without a schema', { example: null }, []],
    ['may have an example that fits', { schema, example: { amount: 1 } }, []],
    ['has an example that fits', { schema, example: { amount: '1' } }, ['example.amount']],
    ['has a schema that compiles', { schema: { pattern: '(' }, example: 1 }, ['schema.pattern']],
    ['has no deep example', { example: deep(65) }, ['example']],
    ['has no large example', { example: 'x'.repeat(64 * 1024) }, ['example']],
    ['has neither this nor that', { schema: { $ref: 'x' }, example: deep(65) }, ['schema.$ref', 'example']],
  ])('%s', (_what, content, paths) => {
    expect(faultsOfContent(content).map(({ path }) => path)).toEqual(paths);
  });
});
