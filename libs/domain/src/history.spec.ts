import { describe, expect, it } from '@jest/globals';
import type { Encrypted } from '@posthorn/contracts';
import * as fc from 'fast-check';
import { CommandRefused, fold } from './decider.js';
import { changesOfEvent, type DomainEvent } from './history.js';
import { authentications, subscriptionCommands } from './spec-support/index.js';
import { subscription, type SubscriptionEvent } from './subscription/subscription.js';

const at = '2026-01-02T03:04:05.678Z';
const canary: Encrypted = { key_id: 'canary', ciphertext: 'Y2FuYXJ5' };

describe('the history', () => {
  it('names durations as the API does, and what was removed null', () => {
    const policy = {
      timeout_ms: 15_000,
      retry_schedule_ms: [5_000, 300_000],
      disable_after_ms: 432_000_000,
      rate_limit: null,
      ordering: 'by_key' as const,
    };
    expect(changesOfEvent({ type: 'SubscriptionUpdated', data: { filter: null, policy } })).toEqual({
      filter: null,
      policy: { timeout: '15s', retry_schedule: ['5s', '5m'], disable_after: '120h', rate_limit: null, ordering: 'by_key' },
    });
    expect(changesOfEvent({ type: 'SubscriptionUpdated', data: { policy: { retry_schedule_ms: null } } })).toEqual({
      policy: { retry_schedule: null },
    });
    expect(changesOfEvent({ type: 'SubscriptionUpdated', data: { policy: { spread: null } } })).toEqual({ policy: { spread: 1 } });
    expect(changesOfEvent({ type: 'TenantUpdated', data: { settings: { retention_ms: 2_592_000_000 } } })).toEqual({
      settings: { retention: '720h' },
    });
  });

  it('holds nothing but what changed', () => {
    expect(changesOfEvent({ type: 'SubscriptionUpdated', data: { name: 'New' } })).toStrictEqual({ name: 'New' });
    expect(changesOfEvent({ type: 'SubscriptionDisabled', data: { reason: 'gone' } })).toStrictEqual({ reason: 'gone' });
    expect(changesOfEvent({ type: 'TenantUpdated', data: { name: 'New' } })).toStrictEqual({ name: 'New' });
  });

  it('tells that a signing secret changed, not to what', () => {
    const signing_secrets = [
      { ...canary, scheme: 'v1a' as const },
      { ...canary, scheme: 'v1' as const, expires_at: at },
    ];
    expect(changesOfEvent({ type: 'SubscriptionSecretRotated', data: { signing_secrets } })).toEqual({
      signature: 'v1a',
      secret: '***',
      previous: [{ signature: 'v1', secret: '***', expires_at: at }],
    });
  });

  it('tells of an authentication all but its secret', () => {
    const authentication = { type: 'basic' as const, username: 'ann', password: canary };
    expect(changesOfEvent({ type: 'SubscriptionUpdated', data: { authentication } })).toEqual({
      authentication: { type: 'basic', username: 'ann', password: '***' },
    });
  });

  it.each<Pick<DomainEvent, 'type' | 'data'>>([
    { type: 'ApiKeyCreated', data: { id: 'key_1', name: 'ci', hash: canary.ciphertext, prefix: 'phk_ab', scopes: ['admin'] } },
    { type: 'PortalKeyCreated', data: { id: 'pky_1', public_key: 'x', private_key: canary } },
    { type: 'PortalKeyReencrypted', data: { private_key: canary } },
    { type: 'SubscriptionReencrypted', data: { signing_secrets: [{ ...canary, scheme: 'v1' }], authentication: { type: 'token', token: canary } } },
  ])('of $type holds no secret', (event) => {
    const shown = JSON.stringify(changesOfEvent(event));
    expect(shown).toContain('***');
    expect(shown).not.toMatch(/canary|Y2FuYXJ5/);
  });

  it('holds no secret, whatever the authentication', () => {
    fc.assert(
      fc.property(authentications, (authentication) => {
        const shown = JSON.stringify(changesOfEvent({ type: 'SubscriptionUpdated', data: { authentication } }));
        expect(shown).not.toMatch(/ciphertext|key_id/);
        expect(shown.includes('***')).toBe(authentication.type !== 'none');
      }),
    );
  });

  it('of a random life holds no secret', () => {
    fc.assert(
      fc.property(subscriptionCommands(), (commands) => {
        const history: SubscriptionEvent[] = [];
        for (const command of commands) {
          try {
            history.push(...subscription.decide(command, fold(subscription, history)));
          } catch (error) {
            if (!(error instanceof CommandRefused)) throw error;
          }
        }
        expect(JSON.stringify(history.map((event) => changesOfEvent(event)))).not.toMatch(/ciphertext|key_id|signing_secrets|_ms"/);
      }),
    );
  });

  it('refuses an event it does not know', () => {
    const later = { type: 'SubscriptionMoved', data: {} } as unknown as DomainEvent;
    expect(() => changesOfEvent(later)).toThrow('SubscriptionMoved');
  });
});
