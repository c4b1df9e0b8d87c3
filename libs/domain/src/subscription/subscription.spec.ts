import { describe, expect, it } from '@jest/globals';
import { recordSchemas, type SigningSecret } from '@posthorn/contracts';
import { fold } from '../decider.js';
import { subscription, type SubscriptionCommand, type SubscriptionEvent, type SubscriptionSettings } from './subscription.js';

const born = '2026-01-02T03:04:05.678Z';
const at = '2026-01-03T00:00:00.000Z';
const settings: SubscriptionSettings = {
  name: 'Billing',
  url: 'https://example.com/in',
  event_types: ['invoice.*'],
  description: 'for the ledger',
  filter: 'data.total > 100.0',
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: {},
  policy: {
    timeout_ms: 15_000,
    max_concurrency: 10,
    ordering: 'none',
    disable_after_ms: 432_000_000,
    rate_limit: { per_second: 10, burst: 20 },
  },
  metadata: { team: 'billing' },
};
const secret = { key_id: 'k1', ciphertext: 'c2VjcmV0', scheme: 'v1' } as const;

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

const token = (ciphertext: string) => ({ type: 'token', token: { key_id: 'k1', ciphertext } }) as const;
const rotated = (...signing_secrets: readonly SigningSecret[]): SubscriptionEvent => ({
  type: 'SubscriptionSecretRotated',
  data: { signing_secrets },
  at,
});

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
      enabled_since: born,
      signing_secrets: [secret],
      created_at: born,
      updated_at: born,
    });
  });

  it('can leave it disabled, by the wish of its owner', () => {
    const [event] = subscription.decide({ ...create, enabled: false }, { kind: 'absent' });
    const state = event && subscription.evolve({ kind: 'absent' }, event);
    expect(state).toMatchObject({ enabled: false, disabled_reason: 'by_user', disabled_at: born, enabled_since: born });
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

  describe('of the policy is judged by what comes of it', () => {
    const refusal = expect.objectContaining({ code: 'invalid', path: 'policy.spread' });
    const ordered: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { policy: { ordering: 'by_key' } }, at };
    const spread: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { policy: { spread: 4 } }, at };

    it('what is ordered by key is not spread, and what is spread not ordered', () => {
      expect(() => given(created, ordered).when({ kind: 'update', changes: { policy: { spread: 4 } }, at })).toThrow(refusal);
      expect(() => given(created, spread).when({ kind: 'update', changes: { policy: { ordering: 'by_key' } }, at })).toThrow(refusal);
      expect(() => given().when({ ...create, settings: { ...settings, policy: { ...settings.policy, ordering: 'by_key', spread: 2 } } })).toThrow(refusal);
    });

    it('one may take the place of the other', () => {
      const changes = { policy: { ordering: 'by_key', spread: null } } as const;
      expect(given(created, spread).when({ kind: 'update', changes, at })).toEqual([{ ...ordered, data: changes }]);
    });
  });

  it('replaces maps and lists as wholes', () => {
    const update: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { metadata: { owner: 'ann' } }, at };
    expect(given(created).when({ kind: 'update', changes: { metadata: { owner: 'ann' } }, at })).toEqual([update]);
    expect(given(created, update).state).toMatchObject({ metadata: { owner: 'ann' } });
  });

  it('removes by null what can be absent', () => {
    const changes = { description: null, policy: { rate_limit: null, success: null } };
    const update: SubscriptionEvent = {
      type: 'SubscriptionUpdated',
      data: { description: null, policy: { rate_limit: null } },
      at,
    };
    expect(given(created).when({ kind: 'update', changes, at })).toEqual([update]);
    const { state } = given(created, update);
    expect(state).not.toHaveProperty('description');
    expect(state).not.toHaveProperty('policy.rate_limit');
    expect(state).toHaveProperty('filter', settings.filter);
  });

  it('takes another ciphertext for another secret', () => {
    const update: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { authentication: token('YQ==') }, at };
    expect(given(created).when({ kind: 'update', changes: { authentication: token('YQ==') }, at })).toEqual([update]);
    expect(given(created, update).when({ kind: 'update', changes: { authentication: token('Yg==') }, at })).toHaveLength(1);
  });

  it('of the URL begins a new time of being enabled, other updates do not', () => {
    const moved: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { url: 'https://example.com/new' }, at };
    const renamed: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { name: 'New' }, at };
    expect(given(created, moved).state).toHaveProperty('enabled_since', at);
    expect(given(created, renamed).state).toHaveProperty('enabled_since', born);
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
    expect(given(created, disabled).state).toMatchObject({
      enabled: false,
      disabled_reason: 'failing',
      disabled_at: at,
      enabled_since: born,
      updated_at: at,
    });
  });

  it.each([
    ['before it was enabled', '2026-01-02T03:04:05.677Z', []],
    ['when it was enabled', born, [disabled]],
    ['after it was enabled', at, [disabled]],
    ['before it was enabled, in another form', '2026-01-02T04:04:05.6+01:00', []],
  ])('weighs what was observed %s', (_when, observed_at, events) => {
    expect(given(created).when({ kind: 'disable', reason: 'failing', observed_at, at })).toEqual(events);
  });

  it('keeps the first reason', () => {
    expect(given(created, disabled).when({ kind: 'disable', reason: 'by_user', at })).toEqual([]);
  });

  it('forgets the reason when enabled again', () => {
    const enabled: SubscriptionEvent = { type: 'SubscriptionEnabled', data: {}, at };
    expect(given(created, disabled).when({ kind: 'enable', at })).toEqual([enabled]);
    const { state } = given(created, disabled, enabled);
    expect(state).toMatchObject({ enabled: true, enabled_since: at });
    expect(state).not.toHaveProperty('disabled_reason');
    expect(state).not.toHaveProperty('disabled_at');
  });

  it('states nothing when it is enabled already', () => {
    expect(given(created).when({ kind: 'enable', at })).toEqual([]);
  });
});

describe('rotating the secret', () => {
  const fresh = { key_id: 'k1', ciphertext: 'bmV3', scheme: 'v1a' } as const;
  const newer = { key_id: 'k1', ciphertext: 'bmV3ZXI=', scheme: 'v1' } as const;
  const until = '2026-01-04T00:00:00.000Z';

  it('lets the old one sign too, until the overlap ends', () => {
    const event = rotated(fresh, { ...secret, expires_at: until });
    expect(given(created).when({ kind: 'rotate_secret', secret: fresh, overlap_until: until, at })).toEqual([event]);
    expect(given(created, event).state).toMatchObject({ signing_secrets: [fresh, { ...secret, expires_at: until }], updated_at: at });
  });

  it('drops all the old ones when there is no overlap', () => {
    const history = [created, rotated(fresh, { ...secret, expires_at: until })] as const;
    expect(given(...history).when({ kind: 'rotate_secret', secret: newer, at })).toEqual([rotated(newer)]);
    expect(given(...history).when({ kind: 'rotate_secret', secret: newer, overlap_until: at, at })).toEqual([rotated(newer)]);
  });

  it('keeps what still signs, drops what is over', () => {
    const history = [created, rotated(fresh, { ...secret, expires_at: until })] as const;
    const overlap_until = '2026-01-09T00:00:00.000Z';
    const rotate = { kind: 'rotate_secret', secret: newer, overlap_until } as const;
    expect(given(...history).when({ ...rotate, at })).toEqual([
      rotated(newer, { ...fresh, expires_at: overlap_until }, { ...secret, expires_at: until }),
    ]);
    expect(given(...history).when({ ...rotate, at: until })).toEqual([
      { ...rotated(newer, { ...fresh, expires_at: overlap_until }), at: until },
    ]);
  });

  it('keeps five at most, the newest', () => {
    const old = ['YQ==', 'Yg==', 'Yw==', 'ZA=='].map((ciphertext) => ({ ...secret, ciphertext, expires_at: until }));
    const [event] = given(created, rotated(secret, ...old)).when({ kind: 'rotate_secret', secret: fresh, overlap_until: until, at });
    expect(event?.data).toEqual({ signing_secrets: [fresh, { ...secret, expires_at: until }, ...old.slice(0, 3)] });
  });
});

describe('encrypting anew', () => {
  const withToken: SubscriptionEvent = { type: 'SubscriptionUpdated', data: { authentication: token('YQ==') }, at };
  const anew = { ...secret, key_id: 'k2', ciphertext: 'YW5ldw==' };

  it('replaces ciphertexts and nothing else', () => {
    const authentication = { type: 'token', token: { key_id: 'k2', ciphertext: 'Yg==' } } as const;
    const event: SubscriptionEvent = { type: 'SubscriptionReencrypted', data: { signing_secrets: [anew], authentication }, at };
    expect(given(created, withToken).when({ kind: 'reencrypt', signing_secrets: [anew], authentication, at })).toEqual([event]);
    expect(given(created, withToken, event).state).toEqual({
      ...given(created, withToken).state,
      signing_secrets: [anew],
      authentication,
    });
  });

  it('leaves an authentication that is not given', () => {
    const event: SubscriptionEvent = { type: 'SubscriptionReencrypted', data: { signing_secrets: [anew] }, at };
    expect(given(created, withToken).when({ kind: 'reencrypt', signing_secrets: [anew], at })).toEqual([event]);
    expect(given(created, withToken, event).state).toHaveProperty('authentication', token('YQ=='));
  });

  it('of what is encrypted so already states nothing', () => {
    expect(given(created).when({ kind: 'reencrypt', signing_secrets: [secret], authentication: { type: 'none' }, at })).toEqual([]);
  });

  it.each<[string, Omit<Extract<SubscriptionCommand, { kind: 'reencrypt' }>, 'kind' | 'at'>]>([
    ['another number of secrets', { signing_secrets: [anew, { ...anew, expires_at: at }] }],
    ['no secret', { signing_secrets: [] }],
    ['another scheme', { signing_secrets: [{ ...anew, scheme: 'v1a' }] }],
    ['another end', { signing_secrets: [{ ...anew, expires_at: at }] }],
    ['another authentication', { signing_secrets: [anew], authentication: { type: 'none' } }],
    ['another member of it', { signing_secrets: [anew], authentication: { type: 'bearer', token: anew } }],
  ])('is refused for %s', (_what, secrets) => {
    expect(() => given(created, withToken).when({ kind: 'reencrypt', ...secrets, at })).toThrow(refused('conflict'));
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
    { kind: 'rotate_secret', secret, at },
    { kind: 'reencrypt', signing_secrets: [secret], at },
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
