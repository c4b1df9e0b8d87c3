import { describe, expect, it } from '@jest/globals';
import { recordSchemas } from '@posthorn/contracts';
import { fold } from '../decider.js';
import { subscription, type SubscriptionCommand, type SubscriptionEvent, type SubscriptionSettings } from './subscription.js';

const born = '2026-01-02T03:04:05.678Z';
const at = '2026-01-03T00:00:00.000Z';
const settings: SubscriptionSettings = {
  name: 'Billing',
  url: 'https://example.com/in',
  event_types: ['invoice.*'],
  headers: {},
  policy: { timeout_ms: 15_000, max_concurrency: 10 },
  metadata: { team: 'billing' },
};
const secret = { key_id: 'k1', ciphertext: 'c2VjcmV0' };

const create = {
  kind: 'create',
  id: 'sub_1',
  tenant: 'default',
  settings,
  enabled: true,
  signing_secret: secret,
  at: born,
} satisfies SubscriptionCommand;
const created: SubscriptionEvent = {
  type: 'SubscriptionCreated',
  data: { id: 'sub_1', tenant: 'default', type: 'rest', ...settings, enabled: true, signing_secrets: [secret] },
  at: born,
};
const disabled: SubscriptionEvent = { type: 'SubscriptionDisabled', data: { reason: 'failing' }, at };
const deleted: SubscriptionEvent = { type: 'SubscriptionDeleted', data: {}, at };

const given = (...history: readonly SubscriptionEvent[]) => {
  const state = fold(subscription, history);
  return { state, when: (command: SubscriptionCommand) => subscription.decide(command, state) };
};

const refused = (code: string) => expect.objectContaining({ code });

describe('creating', () => {
  it('states everything the subscription begins with', () => {
    expect(given().when(create)).toEqual([created]);
  });

  it('is refused when the id is taken, even by a deleted one', () => {
    expect(() => given(created).when(create)).toThrow(refused('already_exists'));
    expect(() => given(created, deleted).when(create)).toThrow(refused('already_exists'));
  });

  it('results in a state that registry.state accepts', () => {
    const { state } = given(created);
    expect(recordSchemas.registryState.parse({ position: 1, version: 1, state }).state).toEqual({
      kind: 'subscription',
      id: 'sub_1',
      tenant: 'default',
      type: 'rest',
      ...settings,
      enabled: true,
      signing_secrets: [secret],
      created_at: born,
      updated_at: born,
    });
  });

  it('can leave it disabled, by the wish of its owner', () => {
    const [event] = subscription.decide({ ...create, enabled: false }, { kind: 'absent' });
    const state = event && subscription.evolve({ kind: 'absent' }, event);
    expect(state).toMatchObject({ enabled: false, disabled_reason: 'by_user' });
  });
});

describe('updating', () => {
  it('states only what changed', () => {
    const changes = { name: 'Billing', url: 'https://example.com/new', event_types: ['invoice.*'] };
    expect(given(created).when({ kind: 'update', changes, at })).toEqual([
      { type: 'SubscriptionUpdated', data: { url: 'https://example.com/new' }, at },
    ]);
  });

  it('changes the policy member by member', () => {
    const update: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { policy: { timeout_ms: 5_000 } }, at };
    const changes = { policy: { timeout_ms: 5_000, max_concurrency: 10 } };
    expect(given(created).when({ kind: 'update', changes, at })).toEqual([update]);
    expect(given(created, update).state).toMatchObject({
      policy: { timeout_ms: 5_000, max_concurrency: 10 },
      created_at: born,
      updated_at: at,
    });
  });

  it('replaces maps and lists as wholes', () => {
    const update: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { metadata: { owner: 'ann' } }, at };
    expect(given(created).when({ kind: 'update', changes: { metadata: { owner: 'ann' } }, at })).toEqual([update]);
    expect(given(created, update).state).toMatchObject({ metadata: { owner: 'ann' } });
  });

  it('to what already holds states nothing', () => {
    expect(given(created).when({ kind: 'update', changes: settings, enabled: true, at })).toEqual([]);
  });

  it('can switch it off in the same command', () => {
    expect(given(created).when({ kind: 'update', changes: { name: 'Off' }, enabled: false, at })).toEqual([
      { type: 'SubscriptionUpdated', data: { name: 'Off' }, at },
      { type: 'SubscriptionDisabled', data: { reason: 'by_user' }, at },
    ]);
  });
});

describe('enabling and disabling', () => {
  it('states the reason', () => {
    expect(given(created).when({ kind: 'disable', reason: 'failing', at })).toEqual([disabled]);
    expect(given(created, disabled).state).toMatchObject({ enabled: false, disabled_reason: 'failing', updated_at: at });
  });

  it('keeps the first reason', () => {
    expect(given(created, disabled).when({ kind: 'disable', reason: 'by_user', at })).toEqual([]);
  });

  it('forgets the reason when enabled again', () => {
    const enabled: SubscriptionEvent = { type: 'SubscriptionEnabled', data: {}, at };
    expect(given(created, disabled).when({ kind: 'enable', at })).toEqual([enabled]);
    const { state } = given(created, disabled, enabled);
    expect(state).toMatchObject({ enabled: true });
    expect(state).not.toHaveProperty('disabled_reason');
  });

  it('states nothing when it is enabled already', () => {
    expect(given(created).when({ kind: 'enable', at })).toEqual([]);
  });
});

describe('deleting', () => {
  it('ends it', () => {
    expect(given(created).when({ kind: 'delete', at })).toEqual([deleted]);
    expect(given(created, deleted).state).toEqual({ kind: 'deleted' });
  });

  it.each<SubscriptionCommand>([
    { kind: 'update', changes: {}, at },
    { kind: 'enable', at },
    { kind: 'disable', reason: 'gone', at },
    { kind: 'delete', at },
  ])('leaves nothing to $kind', (command) => {
    expect(() => given(created, deleted).when(command)).toThrow(refused('not_found'));
    expect(() => given().when(command)).toThrow(refused('not_found'));
  });
});

it('refuses to fold an event it does not know', () => {
  const later = { type: 'SubscriptionMoved', data: {}, at } as unknown as SubscriptionEvent;
  expect(() => given(created, later)).toThrow('SubscriptionMoved');
});
