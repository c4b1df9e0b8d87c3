import { describe, expect, it } from '@jest/globals';
import type { EventTypeState, TenantState } from '@posthorn/contracts';
import { accept, type Acceptable } from '../acceptance/accept.js';
import { jsonDraft, plainDraft } from '../acceptance/parse-json.js';
import { eventTypeState, tenantState } from '../spec-support/states.js';
import { Admission } from './admission.js';
import { Catalogue } from './catalogue.js';
import type { Ruling } from './ruling.js';
import { Schemas } from './schemas.js';
import { Violations } from './violations.js';

/** Of every event and request. */
const ARRIVED_MS = 1_234;

const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

const eventOf = (json: object, registryPosition?: string): Acceptable => {
  const text = Buffer.from(JSON.stringify(json));
  const draft = jsonDraft(json, text, plainDraft);
  if (draft.kind === 'refused') throw new Error(draft.message);
  const verdict = accept(draft, { acceptedMs: 0, newId: () => 'new', source: '/', maxBytes: 1_000_000, registryPosition });
  if (verdict.kind === 'refused') throw new Error(verdict.message);
  return verdict;
};

/** A registry whose records are read when the test says so; and what became of the events, in the order in which they left. */
const given = () => {
  const schemas = new Schemas();
  const catalogue = new Catalogue(schemas);
  const counted: string[] = [];
  const violations = new Violations({ count: (policy) => void counted.push(policy), log: { warn: () => undefined } });
  const readings: { startedMs: number; done: () => void; fail: (error: Error) => void }[] = [];
  const registry = { position: 0 };
  const admission = new Admission({
    catalogue,
    schemas,
    violations,
    position: () => registry.position,
    readFresh: (startedMs) => new Promise((done, fail) => void readings.push({ startedMs, done, fail })),
  });
  const left: string[] = [];
  const admit = (event: Acceptable): Promise<string> =>
    admission.admit(event, async (ruling: Ruling) => {
      const what = `${ruling.kind === 'refused' ? ruling.eventId : ruling.event.envelope.id} ${ruling.kind === 'refused' ? ruling.code : ruling.warnings.length}`;
      left.push(what);
      return what;
    }, ARRIVED_MS);
  const hasTenant = (id: string, settings?: Partial<TenantState['settings']>): void => catalogue.tenants.changed(tenantState(id, settings));
  const hasType = (tenant: string, name: string, more?: Partial<EventTypeState>): void => catalogue.eventTypes.changed(eventTypeState(tenant, name, more));
  return { admission, admit, left, readings, registry, counted, hasTenant, hasType };
};
const event = (id: string, tenant = 'acme', type = 'a.b', registryPosition?: string): Acceptable => eventOf({ id, tenant, type, data: { n: 1 } }, registryPosition);

describe('an event is admitted', () => {
  it('at once while all is known that there is to know', () => {
    const { admit, left, readings, hasTenant, hasType } = given();
    hasTenant('acme', { unknown_event_types: 'reject' });
    hasType('acme', 'a.b', { schema: { required: ['m'] } });
    void admit(event('1'));
    expect([left, readings.length]).toEqual([['1 schema_violation'], 0]);
  });

  it('at once by a tenant who accepts types that are unknown', () => {
    const { admit, left, readings, hasTenant } = given();
    hasTenant('acme');
    void admit(event('1'));
    expect([left, readings.length]).toEqual([['1 0'], 0]);
  });

  it.each<[string, boolean, string]>([
    ['of a tenant created a moment ago', false, '1 0'],
    ['of a type created a moment ago', true, '1 0'],
  ])('%s', async (_what, isTenantKnown, expected) => {
    const { admit, left, readings, hasTenant, hasType } = given();
    if (isTenantKnown) hasTenant('acme', { unknown_event_types: 'reject' });
    const answered = admit(event('1'));
    await tick();
    expect(left).toEqual([]);
    expect(readings).toMatchObject([{ startedMs: ARRIVED_MS }]);
    hasTenant('acme', { unknown_event_types: 'reject' });
    hasType('acme', 'a.b');
    readings[0]?.done();
    expect(await answered).toBe(expected);
  });

  it('or refused, when it is unknown still after everything was read', async () => {
    const { admit, readings, hasTenant } = given();
    const [first, second] = [admit(event('1')), admit(event('2', 'other', 'c.d'))];
    hasTenant('other', { unknown_event_types: 'reject' });
    for (const { done } of readings) done();
    expect(await Promise.all([first, second])).toEqual(['1 unknown_tenant', '2 unknown_event_type']);
  });

  it('by what the registry said at the position that the producer names, and not before', async () => {
    const { admit, left, readings, registry, hasTenant, hasType } = given();
    hasTenant('acme');
    hasType('acme', 'a.b', { schema: { required: ['m'] } });
    registry.position = 6;
    const answered = admit(event('1', 'acme', 'a.b', '7'));
    await tick();
    expect(left).toEqual([]);
    hasType('acme', 'a.b', { schema: { required: ['n'] } });
    registry.position = 7;
    readings[0]?.done();
    expect(await answered).toBe('1 0');
    void admit(event('2', 'acme', 'a.b', '7'));
    expect([left, readings.length]).toEqual([['1 0', '2 0'], 1]);
  });

  it('after a position that nobody has heard of, once everything was read', async () => {
    const { admit, readings, hasTenant } = given();
    hasTenant('acme');
    const answered = admit(event('1', 'acme', 'a.b', '999999999999999'));
    readings[0]?.done();
    expect(await answered).toBe('1 0');
  });
});

describe('the events of a tenant', () => {
  it('leave in the order in which they came, while others pass', async () => {
    const { admit, left, readings, hasTenant, hasType } = given();
    hasTenant('acme', { unknown_event_types: 'reject' });
    hasTenant('other');
    hasType('acme', 'known');
    const answered = [admit(event('1', 'acme', 'new')), admit(event('2', 'acme', 'known')), admit(event('3', 'acme', 'new'))];
    void admit(event('o', 'other'));
    hasType('acme', 'new');
    void answered.push(admit(event('4', 'acme', 'new')));
    await tick();
    expect(left).toEqual(['o 0']);
    // The later reading is over first.
    readings[1]?.done();
    await tick();
    expect(left).toEqual(['o 0']);
    readings[0]?.done();
    await Promise.all(answered);
    expect(left).toEqual(['o 0', '1 0', '2 0', '3 0', '4 0']);
    void admit(event('5', 'acme', 'new'));
    expect(left.at(-1)).toBe('5 0');
  });

  it('share a reading: who comes while one is awaited asks at once, not when it is over', async () => {
    const { admit, readings } = given();
    const answered = [admit(event('1')), admit(event('2')), admit(event('3'))];
    expect(readings).toHaveLength(3);
    for (const { done } of readings) done();
    expect(await Promise.all(answered)).toEqual(['1 unknown_tenant', '2 unknown_tenant', '3 unknown_tenant']);
  });

  it('do not fail with one that could not be answered, nor pass those before it', async () => {
    const { admit, left, readings, hasTenant } = given();
    const [first, second] = [admit(event('1')), admit(event('2'))];
    hasTenant('acme');
    const third = admit(event('3'));
    readings[1]?.fail(new Error('Kafka is away'));
    await tick();
    expect(left).toEqual([]);
    readings[0]?.done();
    await expect(second).rejects.toThrow('Kafka is away');
    expect([await first, await third, left]).toEqual(['1 0', '3 0', ['1 0', '3 0']]);
  });

  it('do not wait for what becomes of those before them', async () => {
    const { admission, readings, hasTenant } = given();
    const never = new Promise<never>(() => undefined);
    const used: string[] = [];
    const use = (id: string) => () => (used.push(id), never);
    void admission.admit(event('1'), use('1'), ARRIVED_MS);
    void admission.admit(event('2'), use('2'), ARRIVED_MS);
    hasTenant('acme');
    for (const { done } of readings) done();
    await tick();
    expect(used).toEqual(['1', '2']);
  });

  it('are counted while they wait', async () => {
    const { admission, admit, readings } = given();
    const answered = admit(event('1'));
    expect(admission.waitingBytes).toBe('{"n":1}'.length);
    readings[0]?.done();
    await answered;
    expect(admission.waitingBytes).toBe(0);
  });
});

describe('what is wrong', () => {
  it('is counted by what the tenant wants done with it', () => {
    const { admit, counted, left, hasTenant, hasType } = given();
    const schema = { required: ['m'] };
    for (const schema_policy of ['warn', 'reject', 'off'] as const) {
      hasTenant(schema_policy, { schema_policy });
      hasType(schema_policy, 'a.b', { schema });
      void admit(event(schema_policy, schema_policy));
    }
    expect(counted).toEqual(['warn', 'reject']);
    expect(left).toEqual(['warn 1', 'reject schema_violation', 'off 0']);
  });
});

describe('a tenant', () => {
  it('is known, or unknown after everything was read', async () => {
    const { admission, readings, hasTenant } = given();
    hasTenant('acme');
    expect(await admission.hasTenant('acme', ARRIVED_MS)).toBe(true);
    const [fresh, stranger] = [admission.hasTenant('fresh', ARRIVED_MS), admission.hasTenant('stranger', ARRIVED_MS)];
    hasTenant('fresh');
    for (const { done } of readings) done();
    expect([await fresh, await stranger]).toEqual([true, false]);
    expect(readings.map(({ startedMs }) => startedMs)).toEqual([ARRIVED_MS, ARRIVED_MS]);
  });
});
