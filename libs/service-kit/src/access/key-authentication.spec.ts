import { createHmac, generateKeyPairSync, hash, randomBytes, sign, type KeyObject } from 'node:crypto';
import type { AggregateState, ApiKeyState, Scope } from '@posthorn/contracts';
import type { FollowOptions } from '@posthorn/kafka';
import { Module } from '@nestjs/common';
import { describe, expect, it } from '@jest/globals';
import { createHttpApp } from '../http-app.js';
import { createLog } from '../log.js';
import { adminKeyOnly } from './admin-key.js';
import { authorizer } from './authorize.js';
import { keyAuthentication } from './key-authentication.js';
import { Keys } from './keys.js';
import { signPortalToken, type PortalGrant } from './portal-token.js';
import { RegistryStateFeed } from './registry-state-feed.js';

const ADMIN_KEY = 'the-admin-key-of-16-chars-or-more';
const NOW = Date.parse('2026-01-02T03:04:05.000Z');
const HOUR = 3_600_000;
const PORTAL_KEY_ID = `pky_${'0'.repeat(32)}`;

const newKey = (): string => `phk_${randomBytes(32).toString('base64url')}`;

const pair = () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const { x = '', d = '' } = privateKey.export({ format: 'jwk' });
  return { publicKey, privateKey, x, d };
};

/** Hands the feed a record, as Kafka does. */
const topicOf = (feed: RegistryStateFeed) => {
  const readers: FollowOptions['onRecord'][] = [];
  void feed.start(async (onRecord) => {
    readers.push(onRecord);
    return { caughtUp: Promise.resolve(), lag: 0, readToEnd: async () => undefined, close: async () => undefined };
  });
  return (kind: string, id: string, value: Buffer | null): void => {
    const headers = { schema: Buffer.from('1'), kind: Buffer.from(kind) };
    for (const read of readers) read({ key: Buffer.from(id), value, headers, partition: 0, offset: '0', timestampMs: 0 });
  };
};

/** The guard's knowledge, over states that the test publishes. */
const given = (options: { isCaughtUp?: boolean; readFresh?: () => Promise<void> } = {}) => {
  const feed = new RegistryStateFeed();
  const keys = new Keys(feed);
  const topic = topicOf(feed);
  const publish = (state: AggregateState): void => topic(state.kind, state.id, Buffer.from(JSON.stringify({ position: 1, version: 1, state })));
  const tombstone = (kind: AggregateState['kind'], id: string): void => topic(kind, id, null);
  const unread: AggregateState[] = [];
  const log = { readings: 0, used: [] as string[] };
  const clock = { ms: NOW };
  const authenticate = keyAuthentication({
    admin: adminKeyOnly(ADMIN_KEY),
    keys,
    feed: {
      isCaughtUp: options.isCaughtUp ?? true,
      readFresh:
        options.readFresh ??
        (async () => {
          log.readings++;
          for (const state of unread.splice(0)) publish(state);
        }),
    },
    usage: { used: (id) => void log.used.push(id) },
    now: () => clock.ms,
    freshWithinMs: 20,
  });
  const authorize = authorizer(authenticate);
  const ask = (key: string, need: { scope?: Scope; tenant?: string } = {}) =>
    authorize({ authorization: `Bearer ${key}` }, { scope: 'registry:read', ...need });
  const apiKey = (more: Partial<ApiKeyState> = {}) => {
    const key = newKey();
    const state: ApiKeyState = {
      kind: 'api_key',
      id: `key_${randomBytes(16).toString('hex')}`,
      name: 'of a spec',
      hash: hash('sha256', key, 'hex'),
      prefix: key.slice(0, 12),
      scopes: ['registry:read'],
      created_at: new Date(NOW).toISOString(),
      ...more,
    };
    return { key, id: state.id, state };
  };
  const portal = pair();
  publish({
    kind: 'portal_key',
    id: PORTAL_KEY_ID,
    public_key: portal.x,
    private_key: { key_id: 'k1', ciphertext: 'AAAA' },
    created_at: new Date(NOW).toISOString(),
  });
  const token = async (grant: Partial<PortalGrant> = {}): Promise<string> => {
    const signer = { id: PORTAL_KEY_ID, publicKey: portal.x, privateKey: portal.d };
    return (await signPortalToken(signer, { tenant: 'acme', scopes: ['registry:read'], keyId: 'admin', ...grant }, NOW)).token;
  };
  return { publish, tombstone, unread, log, clock, authenticate, ask, apiKey, portal, token };
};

const refused = (code: string, detail: RegExp = /./) =>
  expect.objectContaining({ name: 'Problem', code, message: expect.stringMatching(detail) });

@Module({})
class EmptyModule {}

describe('an API key', () => {
  it('has the rights that it was given', async () => {
    const { publish, ask, apiKey, log } = given();
    const { key, id, state } = apiKey({ tenant: 'acme' });
    publish(state);
    expect(await ask(key, { tenant: 'acme' })).toEqual({ actor: id, tenant: 'acme', scopes: new Set(['registry:read']) });
    await expect(ask(key, { tenant: 'other' })).rejects.toEqual(refused('not_found'));
    await expect(ask(key, { scope: 'audit:read' })).rejects.toEqual(refused('forbidden', /audit:read/));
    expect(log).toEqual({ readings: 0, used: [id, id, id] });
  });

  it('is no longer let in once it is revoked', async () => {
    const { publish, tombstone, ask, apiKey } = given();
    const [{ key, id, state }, other] = [apiKey(), apiKey()];
    publish(state);
    publish(other.state);
    await ask(key);
    tombstone('api_key', id);
    await expect(ask(key)).rejects.toEqual(refused('unauthenticated', /not valid/));
    await ask(other.key);
  });

  it('is let in until the millisecond at which it expires, and told so after', async () => {
    const { publish, ask, apiKey, clock, log } = given();
    const { key, state } = apiKey({ expires_at: new Date(NOW + 1_000).toISOString() });
    publish(state);
    clock.ms = NOW + 999;
    await ask(key);
    clock.ms = NOW + 1_000;
    await expect(ask(key)).rejects.toEqual(refused('unauthenticated', /expired at 2026-01-02T03:04:06/));
    expect(log.used).toHaveLength(1);
  });

  it('that was made a moment ago is found by reading what there is now', async () => {
    const { unread, ask, apiKey, log } = given();
    const { key, state } = apiKey();
    unread.push(state);
    await ask(key);
    await ask(key);
    expect(log.readings).toBe(1);
  });

  it('that nobody made is refused, and its use not told', async () => {
    const { ask, log } = given();
    await expect(ask(newKey())).rejects.toEqual(refused('unauthenticated'));
    expect(log).toEqual({ readings: 1, used: [] });
  });

  it.each(['phk_short', `phk_${'a'.repeat(44)}`, `phx_${'a'.repeat(43)}`, 'a.b', '..', 'x'.repeat(10_000)])(
    'that does not look like one costs no reading: %s',
    async (key) => {
      const { ask, log } = given();
      await expect(ask(key)).rejects.toEqual(refused('unauthenticated'));
      expect(log.readings).toBe(0);
    },
  );

  it('cannot be judged before everything was read once, the admin key can', async () => {
    const { publish, ask, apiKey, token } = given({ isCaughtUp: false });
    const { key, state } = apiKey();
    publish(state);
    await expect(ask(key)).rejects.toEqual(refused('unavailable'));
    await expect(ask(await token())).rejects.toEqual(refused('unavailable'));
    expect(await ask(ADMIN_KEY)).toEqual({ actor: 'admin', tenant: undefined, scopes: new Set(['admin']) });
  });

  it.each([
    ['fails', () => Promise.reject(new Error('no broker answers'))],
    ['hangs', () => new Promise<void>(() => undefined)],
  ])('that is not known while Kafka %s is neither let in nor called invalid', async (_how, readFresh) => {
    const { ask } = given({ readFresh });
    await expect(ask(newKey())).rejects.toEqual(refused('unavailable'));
  });
});

const encoded = (value: object | string): string => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** A token as anybody can write one. */
const written = (header: object, payload: object, signature: (input: string) => Buffer): string => {
  const input = `${encoded(header)}.${encoded(payload)}`;
  return `${input}.${signature(input).toString('base64url')}`;
};
const by =
  (key: KeyObject) =>
  (input: string): Buffer =>
    sign(null, Buffer.from(input), key);

const HEADER = { alg: 'EdDSA', typ: 'JWT', kid: PORTAL_KEY_ID };
const CLAIMS = {
  iss: 'posthorn',
  aud: 'posthorn',
  sub: 'acme',
  scope: 'registry:read',
  act: 'admin',
  jti: 'tok_1',
  iat: NOW / 1_000,
  exp: (NOW + HOUR) / 1_000,
};

describe('a portal token', () => {
  it('has the rights to its tenant that it was given, under the name of the key that made it', async () => {
    const { publish, ask, apiKey, token } = given();
    const { id, state } = apiKey({ scopes: ['admin'] });
    publish(state);
    const caller = await ask(await token({ keyId: id, scopes: ['registry:read', 'audit:read'] }), { tenant: 'acme' });
    expect(caller).toEqual({ actor: `portal:${id}`, tenant: 'acme', scopes: new Set(['registry:read', 'audit:read']) });
  });

  it('opens no other tenant, and nothing that it does not name', async () => {
    const { ask, token } = given();
    await expect(ask(await token(), { tenant: 'other' })).rejects.toEqual(refused('not_found'));
    await expect(ask(await token(), { tenant: 'acme', scope: 'registry:write' })).rejects.toEqual(refused('forbidden'));
  });

  it('is good for an hour', async () => {
    const { ask, token, clock } = given();
    const made = await token();
    clock.ms = NOW + HOUR;
    await ask(made);
    clock.ms = NOW + HOUR + 6_000;
    await expect(ask(made)).rejects.toEqual(refused('unauthenticated', /expired/));
  });

  it('does not outlive the key that made it', async () => {
    const { publish, tombstone, ask, apiKey, token, clock } = given();
    const revoked = apiKey();
    const expired = apiKey({ expires_at: new Date(NOW + 1_000).toISOString() });
    for (const { state } of [revoked, expired]) publish(state);
    const tokens = [await token({ keyId: revoked.id }), await token({ keyId: expired.id })];
    for (const made of tokens) await ask(made);
    tombstone('api_key', revoked.id);
    clock.ms = NOW + 1_000;
    for (const made of tokens) await expect(ask(made)).rejects.toEqual(refused('unauthenticated', /revoked|expired/));
  });

  it('is not taken for the use of a key', async () => {
    const { ask, token, log } = given();
    await ask(await token());
    expect(log.used).toEqual([]);
  });

  it('can be written by hand only with the private key', async () => {
    const { ask, portal } = given();
    expect(await ask(written(HEADER, CLAIMS, by(portal.privateKey)))).toMatchObject({ actor: 'portal:admin' });
  });

  it.each<[string, (own: KeyObject, publicX: string) => string]>([
    ['signed by another key', () => written(HEADER, CLAIMS, by(pair().privateKey))],
    ['without a signature', () => written({ ...HEADER, alg: 'none' }, CLAIMS, () => Buffer.alloc(0)).replace(/\.$/, '.AA')],
    ['with the algorithm none and a signature', (own) => written({ ...HEADER, alg: 'none' }, CLAIMS, by(own))],
    ['with the public key as a shared secret', (_own, x) => written({ ...HEADER, alg: 'HS256' }, CLAIMS, (input) => createHmac('sha256', Buffer.from(x, 'base64url')).update(input).digest())],
    ['that brings its own key along', () => {
      const { privateKey, x } = pair();
      return written({ alg: 'EdDSA', jwk: { kty: 'OKP', crv: 'Ed25519', x } }, CLAIMS, by(privateKey));
    }],
    ['of a key that nobody made', (own) => written({ ...HEADER, kid: `pky_${'1'.repeat(32)}` }, CLAIMS, by(own))],
    ['of a key with a strange name', (own) => written({ ...HEADER, kid: '__proto__' }, CLAIMS, by(own))],
    ['for somebody else', (own) => written(HEADER, { ...CLAIMS, aud: 'others' }, by(own))],
    ['of somebody else', (own) => written(HEADER, { ...CLAIMS, iss: 'others' }, by(own))],
    ['without an end', (own) => written(HEADER, { ...CLAIMS, exp: undefined }, by(own))],
    ['that would last longer than one may', (own) => written(HEADER, { ...CLAIMS, iat: (NOW - 2 * HOUR) / 1_000 }, by(own))],
    ['from the future', (own) => written(HEADER, { ...CLAIMS, iat: (NOW + HOUR) / 1_000, exp: (NOW + 2 * HOUR) / 1_000 }, by(own))],
    ['without a tenant', (own) => written(HEADER, { ...CLAIMS, sub: undefined }, by(own))],
    ['without its maker', (own) => written(HEADER, { ...CLAIMS, act: undefined }, by(own))],
    ['that is not even JSON', () => `${encoded('{')}.${encoded('[')}.AAAA`],
  ])('%s is refused', async (_what, forge) => {
    const { ask, portal } = given();
    await expect(ask(forge(portal.privateKey, portal.x))).rejects.toEqual(refused('unauthenticated', /portal token (is not valid|has expired)/));
  });

  it('grants nothing that a portal token may not hold', async () => {
    const { ask, portal } = given();
    const caller = await ask(written(HEADER, { ...CLAIMS, scope: 'registry:read admin events:write' }, by(portal.privateKey)));
    expect(caller.scopes).toEqual(new Set(['registry:read']));
  });
});

describe('keys', () => {
  it('come neither into logs nor into answers, nor do tokens and hashes', async () => {
    const { authenticate, apiKey, publish, token } = given();
    const known = apiKey({ expires_at: new Date(NOW - 1).toISOString() });
    publish(known.state);
    const texts: string[] = [];
    const app = await createHttpApp({
      module: { module: EmptyModule },
      log: createLog('dispatcher', 'trace', { write: (line) => void texts.push(line) }),
      authenticate,
      observe: () => undefined,
      fastify: (instance) => {
        instance.get('/v1/tenants/:tenant', { config: { scoped: { scope: 'admin' } } }, async () => ({}));
        instance.get('/v1/broken', { config: { scoped: { scope: 'registry:read' } } }, async ({ headers }) => {
          throw Object.assign(new Error('broken'), { config: { headers } });
        });
      },
    });
    const canaries = [ADMIN_KEY, known.key, newKey(), await token(), written(HEADER, CLAIMS, by(pair().privateKey))];
    for (const key of canaries) {
      for (const url of ['/v1/tenants/acme', '/v1/tenants/other', '/v1/broken', `/v1/tenants/acme?key=${key}`]) {
        texts.push((await app.inject({ url, headers: { authorization: `Bearer ${key}` } })).body);
      }
    }
    await app.close();
    expect(texts.length).toBeGreaterThan(40);
    const said = texts.join('\n');
    for (const canary of [...canaries, known.state.hash]) expect(said).not.toContain(canary);
  });
});
