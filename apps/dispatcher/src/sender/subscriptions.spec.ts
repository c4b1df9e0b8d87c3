import { describe, expect, it } from '@jest/globals';
import type { SubscriptionState } from '@posthorn/contracts';
import { defaultPolicy, subscription } from '../spec-support/records.js';
import { seeded } from '../spec-support/seeded.js';
import { Subscriptions } from './subscriptions.js';

const oauth: SubscriptionState['authentication'] = {
  type: 'oauth2_client_credentials',
  token_url: 'https://example.com/token',
  client_id: 'me',
  client_secret: { key_id: 'a', ciphertext: 'c2VjcmV0' },
};

const world = () => {
  const decrypted: string[] = [];
  const subscriptions = new Subscriptions(({ ciphertext }) => {
    decrypted.push(ciphertext);
    return `whsec_${ciphertext}`;
  }, 12);
  return { subscriptions, decrypted };
};

describe("the sender's subscriptions", () => {
  it('have the terms that their states say', () => {
    const { subscriptions } = world();
    subscriptions.changed(
      subscription('a', ['*'], {
        tenant: 'acme',
        headers: { 'x-own': 'é' },
        payload: { format: 'raw' },
        policy: { ...defaultPolicy, timeout_ms: 3_000, spread: 3, retry_schedule_ms: [1, 2], success: { statuses: ['204'] } },
        authentication: { type: 'basic', username: 'me', password: { key_id: 'a', ciphertext: 'cGFzcw==' } },
        signing_secrets: [{ scheme: 'v1', key_id: 'a', ciphertext: 'c2VjcmV0' }],
      }),
      7,
    );
    expect(subscriptions.get('a')).toMatchObject({
      id: 'a',
      version: 7,
      tenant: 'acme',
      enabled: true,
      spread: 3,
      retryScheduleMs: [1, 2],
      attempt: {
        url: 'https://example.com/a',
        headers: { 'x-own': 'é' },
        timeoutMs: 3_000,
        success: { statuses: ['204'] },
        secrets: ['whsec_c2VjcmV0'],
        credentials: { authorization: `Basic ${Buffer.from('me:whsec_cGFzcw==').toString('base64')}` },
      },
    });
  });

  it('are decrypted when they are needed, and once', () => {
    const { subscriptions, decrypted } = world();
    subscriptions.changed(subscription('a', ['*'], { signing_secrets: [{ scheme: 'v1', key_id: 'a', ciphertext: 'c2VjcmV0' }] }), 1);
    const terms = subscriptions.get('a');
    expect(decrypted).toEqual([]);
    expect(terms?.attempt.secrets).toEqual(['whsec_c2VjcmV0']);
    expect(subscriptions.get('a')?.attempt.secrets).toEqual(['whsec_c2VjcmV0']);
    expect(decrypted).toEqual(['c2VjcmV0']);
  });

  it('have other terms after a change, and none once they are deleted', () => {
    const { subscriptions } = world();
    subscriptions.changed(subscription('a', ['*']), 1);
    expect(subscriptions.get('a')?.enabled).toBe(true);
    subscriptions.changed(subscription('a', ['*'], { enabled: false, authentication: oauth }), 1);
    expect(subscriptions.get('a')).toMatchObject({ enabled: false, attempt: { clientCredentials: {} } });
    subscriptions.changed(subscription('a', ['*'], { url: 'https://example.com/moved' }), 1);
    expect(subscriptions.get('a')?.attempt).toMatchObject({ url: 'https://example.com/moved', clientCredentials: undefined });
    subscriptions.removed('a');
    subscriptions.removed('a');
    expect(subscriptions.get('a')).toBeUndefined();
    subscriptions.changed(subscription('b', ['*']), 1);
    expect([subscriptions.get('a'), subscriptions.get('b')?.id]).toEqual([undefined, 'b']);
  });

  it('keep their access tokens while tens of thousands of others are sent to', () => {
    const { subscriptions } = world();
    subscriptions.changed(subscription('with token', ['*'], { authentication: oauth }), 1);
    const { clientCredentials } = subscriptions.get('with token')?.attempt ?? {};
    const state = subscription('', ['*']);
    for (let n = 0; n < 30_000; n += 1) {
      subscriptions.changed({ ...state, id: `s${n}` }, 1);
      subscriptions.get(`s${n}`);
    }
    expect(clientCredentials).toBeDefined();
    expect(subscriptions.get('with token')?.attempt.clientCredentials).toBe(clientCredentials);
  });

  it('are what their last states say, after any history', () => {
    const random = seeded(5);
    const { subscriptions } = world();
    const current = new Map<string, { readonly state: SubscriptionState; readonly version: number }>();
    for (let step = 0; step < 3_000; step += 1) {
      const id = `s${Math.floor(random() * 50)}`;
      if (random() < 0.2) {
        subscriptions.removed(id);
        current.delete(id);
      } else {
        const state = subscription(id, ['*'], {
          url: `https://example.com/${'x'.repeat(Math.floor(random() * 100))}`,
          tenant: `t${step % 7}`,
          policy: { ...defaultPolicy, timeout_ms: 1_000 + (step % 3) },
          authentication: random() < 0.3 ? oauth : { type: 'none' },
        });
        subscriptions.changed(state, step + 1);
        current.set(id, { state, version: step + 1 });
      }
      const asked = `s${Math.floor(random() * 50)}`;
      const { state, version } = current.get(asked) ?? {};
      const terms = subscriptions.get(asked);
      expect(terms && [terms.id, terms.version, terms.tenant, terms.attempt.url, terms.attempt.timeoutMs, terms.attempt.clientCredentials !== undefined]).toEqual(
        state && [asked, version, state.tenant, state.url, state.policy.timeout_ms, state.authentication.type !== 'none'],
      );
    }
  });
});
