import { describe, expect, it } from '@jest/globals';
import type { DomainEventRecord } from '@posthorn/contracts';
import { rowsOfRegistryLog } from './registry-log.js';

const SECRET = { key_id: 'k1', ciphertext: 'c2VjcmV0' };

const record = (type: string, data: Record<string, unknown>): Buffer =>
  Buffer.from(
    JSON.stringify({
      stream: 'subscription/sub_1',
      version: 3,
      position: 17,
      type,
      data,
      actor: 'key_1',
      cause: 'req_1',
      at: '2026-11-21T10:00:00.000Z',
    } satisfies DomainEventRecord),
  );

const keptOf = (type: string, data: Record<string, unknown>): unknown => JSON.parse(rowsOfRegistryLog(record(type, data)).configuration[0]?.data ?? '');

describe('what is kept of the registry', () => {
  it('is who did what, where and when', () => {
    expect(rowsOfRegistryLog(record('SubscriptionDisabled', { reason: 'gone' })).configuration).toEqual([
      { stream: 'subscription/sub_1', version: 3, position: 17, type: 'SubscriptionDisabled', data: '{"reason":"gone"}', actor: 'key_1', at: '2026-11-21T10:00:00.000Z' },
    ]);
  });

  it('is of a subscription what decides who gets an event and where its delivery goes, and no address and no secret, however hidden', () => {
    const data = {
      id: 'sub_1',
      tenant: 'acme',
      name: 'billing',
      event_types: ['invoice.*'],
      filter: 'data.total > 1',
      enabled: true,
      type: 'rest',
      url: 'https://user:secret@example.com/',
      headers: { 'x-key': 'secret' },
      authentication: { type: 'bearer', token: SECRET },
      signing_secrets: [{ ...SECRET, scheme: 'v1' }],
      policy: { timeout_ms: 1, spread: 4 },
      metadata: { password: 'secret' },
    };
    expect(keptOf('SubscriptionCreated', data)).toEqual({
      id: 'sub_1',
      tenant: 'acme',
      name: 'billing',
      event_types: ['invoice.*'],
      filter: 'data.total > 1',
      enabled: true,
      policy: { spread: 4 },
    });
  });

  it('is of a change that something was removed, too', () => {
    expect(keptOf('SubscriptionUpdated', { filter: null, url: 'https://example.com/', policy: { spread: null } })).toEqual({ filter: null, policy: { spread: null } });
    expect(keptOf('SubscriptionUpdated', { headers: {}, policy: { timeout_ms: 5 } })).toEqual({});
  });

  it.each([
    ['SubscriptionSecretRotated', { signing_secrets: [{ ...SECRET, scheme: 'v1' }] }],
    ['SubscriptionReencrypted', { signing_secrets: [SECRET], authentication: { type: 'token', token: SECRET } }],
    ['ApiKeyCreated', { hash: 'secret', name: 'x' }],
    ['PortalKeyCreated', { private_key: SECRET }],
    ['OfALaterVersion', { policy: { spread: 1 }, enabled: true }],
  ])('is of %s nothing but that it happened', (type, data) => {
    expect(keptOf(type, data)).toEqual({});
  });
});
