import { describe, expect, it } from '@jest/globals';
import type { AuthenticationState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import { EgressError } from './errors.js';
import { attemptTermsOf } from './terms.js';
import { testCertificate } from './test-certificate.js';

const sealed = (plain: string): Encrypted => ({ key_id: 'a', ciphertext: plain });
const decrypt = ({ ciphertext }: Encrypted): string => ciphertext;

const state = (rest: Partial<SubscriptionState> = {}): SubscriptionState => ({
  kind: 'subscription',
  id: 'sub_a',
  tenant: 'default',
  name: 'a',
  type: 'rest',
  url: 'https://example.com/',
  event_types: ['*'],
  enabled: true,
  enabled_since: '2026-01-01T00:00:00.000Z',
  payload: { format: 'standard' },
  authentication: { type: 'none' },
  headers: {},
  policy: { timeout_ms: 15_000, max_concurrency: 10, ordering: 'none', disable_after_ms: 0 },
  metadata: {},
  signing_secrets: [{ scheme: 'v1', ...sealed('newest') }],
  created_at: '2026-01-01T00:00:00.000Z',
  updated_at: '2026-01-01T00:00:00.000Z',
  ...rest,
});

describe('the terms of an attempt', () => {
  it.each<[AuthenticationState, Record<string, string>]>([
    [{ type: 'none' }, {}],
    [{ type: 'api_key', header: 'X-API-Key', key: sealed('k') }, { 'X-API-Key': 'k' }],
    [{ type: 'token', token: sealed('t') }, { 'x-auth-token': 't' }],
    [{ type: 'basic', username: 'Aladdin', password: sealed('open sesame') }, { authorization: 'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==' }],
    [{ type: 'bearer', token: sealed('b') }, { authorization: 'Bearer b' }],
  ])('hold the credentials of %j', (authentication, credentials) => {
    expect(attemptTermsOf(state({ authentication }), decrypt).credentials).toEqual(credentials);
  });

  it('refuse to show a certificate where none can be shown, or one that cannot be used', () => {
    const authentication: AuthenticationState = { type: 'mtls', certificate: testCertificate.cert, private_key: sealed(testCertificate.key) };
    expect(attemptTermsOf(state({ authentication }), decrypt).identity).toBeDefined();
    expect(() => attemptTermsOf(state({ authentication, url: 'http://example.com/' }), decrypt).identity).toThrow(EgressError);
    expect(() => attemptTermsOf(state({ authentication: { ...authentication, private_key: sealed('none') } }), decrypt).identity).toThrow(EgressError);
  });

  it('let the authentication win over a header of the same name', () => {
    const authentication: AuthenticationState = { type: 'bearer', token: sealed('b') };
    const { headers } = attemptTermsOf(state({ authentication, headers: { Authorization: 'mine', 'X-Env': 'prod' } }), decrypt);
    expect(headers).toEqual({ 'X-Env': 'prod' });
  });

  it('sign with the old secret too until its time is over', () => {
    const until = '2026-01-02T00:00:00.000Z';
    const signing_secrets: SubscriptionState['signing_secrets'] = [
      { scheme: 'v1a', ...sealed('newest') },
      { scheme: 'v1', ...sealed('old'), expires_at: until },
    ];
    let nowMs = Date.parse(until) - 1;
    const terms = attemptTermsOf(state({ signing_secrets }), decrypt, () => nowMs);
    expect(terms.secrets).toEqual(['newest', 'old']);
    nowMs += 1;
    expect(terms.secrets).toEqual(['newest']);
  });

  it('decrypt nothing before it is asked for, and then once', () => {
    let times = 0;
    const counting = (secret: Encrypted): string => {
      times += 1;
      return decrypt(secret);
    };
    const terms = attemptTermsOf(state({ authentication: { type: 'token', token: sealed('t') } }), counting);
    expect(times).toBe(0);
    expect([terms.secrets, terms.secrets, terms.credentials, terms.credentials]).toHaveLength(4);
    expect(times).toBe(2);
  });

  it('make a secret that cannot be decrypted the failure of the attempt', () => {
    const terms = attemptTermsOf(state(), () => {
      throw new Error('unknown key');
    });
    expect(() => terms.secrets).toThrow(EgressError);
  });

  it('take over what the policy says', () => {
    const policy = { ...state().policy, timeout_ms: 3_000, success: { statuses: ['204'] } };
    expect(attemptTermsOf(state({ policy }), decrypt)).toMatchObject({ timeoutMs: 3_000, success: { statuses: ['204'] }, url: 'https://example.com/' });
  });
});
