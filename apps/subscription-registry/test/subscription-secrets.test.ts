import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SubscriptionState } from '@posthorn/contracts';
import { publicKeyOf } from '@posthorn/egress';
import { createWorld, idOf, stateIn, type Answer, type Service, type World } from './world.js';

const subscriptions = '/tenants/default/subscriptions';
const wanted = { name: 'Billing', url: 'https://example.com/in', event_types: ['invoice.*'] };

/** A certificate of a client, signed by itself, valid until 2126, and its key; of no use outside these tests. */
const CLIENT = {
  certificate: `-----BEGIN CERTIFICATE-----
MIIBhjCCAS2gAwIBAgIUekiEOvhPiMcNOKpdvqPoO7O2/lcwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNcG9zdGhvcm4tdGVzdDAgFw0yNjExMjExNjEwMTVaGA8yMTI2
MTAyODE2MTAxNVowGDEWMBQGA1UEAwwNcG9zdGhvcm4tdGVzdDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABI0MptPwi53Z50667v7jiYq13o9u4HCqaaVEvasCrgsS
fdvaHnZ19FkktVcDoDdLmw0VANCYL443Z3JvJLi+9V2jUzBRMB0GA1UdDgQWBBSI
gUullK8WKNXgUukLl+zEUSvHrDAfBgNVHSMEGDAWgBSIgUullK8WKNXgUukLl+zE
USvHrDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIBiPKTjS0HxA
Q97TgDLox+OGfpAcLIB6Xp5dRUynVJMaAiA34ZmejL3Z3oz7Mwxm5x8P7I++NstQ
ZChvclSwCucRdA==
-----END CERTIFICATE-----
`,
  private_key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgd6Ig6UVl9TFrSkUX
BU/cRvZpfqqkh9ebPxPdBvHXouahRANCAASNDKbT8Iud2edOuu7+44mKtd6PbuBw
qmmlRL2rAq4LEn3b2h52dfRZJLVXA6A3S5sNFQDQmC+ON2dybyS4vvVd
-----END PRIVATE KEY-----
`,
};

let world: World;
let service: Service;

beforeAll(async () => {
  world = await createWorld();
  service = await world.boot();
}, 60_000);
afterAll(() => world.destroy(), 60_000);

const create = async (body: object = {}): Promise<string> => {
  const answer = await service.call('POST', subscriptions, { ...wanted, ...body });
  expect(answer).toMatchObject({ status: 201 });
  return `${subscriptions}/${idOf(answer)}`;
};
const stateOf = async (path: string): Promise<SubscriptionState> => {
  const { rows } = await world.pool.query<{ state: SubscriptionState }>('select state from registry.subscriptions where id = $1', [
    path.split('/').at(-1),
  ]);
  const [row] = rows;
  if (!row) throw new Error(`no row of ${path}`);
  return row.state;
};
const refusedAt = (answer: Answer): unknown => {
  expect(answer).toMatchObject({ status: 422 });
  return (answer.body['errors'] as readonly { path: string }[]).map(({ path }) => path);
};

describe('the signing secret', () => {
  it('can be brought along', async () => {
    const secret = `whsec_${randomBytes(24).toString('base64')}`;
    const path = await create({ secret });
    await expect(service.call('GET', `${path}/secret`)).resolves.toMatchObject({ body: { signature: 'v1', secret } });
    expect(refusedAt(await service.call('POST', subscriptions, { ...wanted, secret: 'whsec_short' }))).toEqual(['secret']);
  });

  it('of v1a is a private key that only we have; its public half is told', async () => {
    const path = await create({ signature: 'v1a' });
    await expect(service.call('GET', path)).resolves.toMatchObject({ body: { signature: 'v1a' } });
    const told = await service.call('GET', `${path}/secret`);
    expect(told.body).toEqual({ signature: 'v1a', public_key: expect.stringMatching(/^whpk_[A-Za-z0-9+/]{43}=$/), previous: [] });
    const [sealed] = (await stateOf(path)).signing_secrets;
    expect(publicKeyOf(service.config.POSTHORN_ENCRYPTION_KEYS.decrypt(sealed ?? { key_id: '', ciphertext: '' }))).toBe(told.body['public_key']);
  });

  it('is rotated, and the one before goes on until the overlap is over', async () => {
    const path = await create();
    const first = (await service.call('GET', `${path}/secret`)).body['secret'];
    const before = Date.now();
    const rotated = await service.call('POST', `${path}/rotate-secret`, { overlap: '2h' });
    expect(rotated).toMatchObject({ status: 200, body: { signature: 'v1', previous: [{ signature: 'v1', secret: first }] } });
    expect(rotated.body['secret']).not.toBe(first);
    const [{ expires_at }] = rotated.body['previous'] as [{ expires_at: string }];
    expect(Date.parse(expires_at) - before).toBeGreaterThanOrEqual(7_200_000);
    expect(Date.parse(expires_at) - Date.now()).toBeLessThanOrEqual(7_200_000);
    await expect(service.call('GET', `${path}/secret`)).resolves.toMatchObject({ body: rotated.body });

    const atOnce = await service.call('POST', `${path}/rotate-secret`, { overlap: '0s', signature: 'v1a' });
    expect(atOnce.body).toEqual({ signature: 'v1a', public_key: expect.any(String), previous: [] });
    await expect(service.call('POST', `${path}/rotate-secret`)).resolves.toMatchObject({ status: 200, body: { signature: 'v1a' } });
    expect((await stateOf(path)).signing_secrets).toHaveLength(2);
  });
});

describe('authentication', () => {
  it('keeps its secret by ***, as long as the type stays', async () => {
    const path = await create({ authentication: { type: 'basic', username: 'ann', password: 'opensesame' } });
    const before = (await stateOf(path)).authentication;
    const renamed = await service.call('PATCH', path, { authentication: { type: 'basic', username: 'bob', password: '***' } });
    expect(renamed.body['authentication']).toEqual({ type: 'basic', username: 'bob', password: '***' });
    expect((await stateOf(path)).authentication).toEqual({ ...before, username: 'bob' });
    const same = await service.call('PATCH', path, { authentication: { type: 'basic', username: 'bob', password: 'opensesame' } });
    expect(same.body['version']).toBe(renamed.body['version']);
    expect(refusedAt(await service.call('PATCH', path, { authentication: { type: 'bearer', token: '***' } }))).toEqual(['authentication.token']);
    expect(refusedAt(await service.call('POST', subscriptions, { ...wanted, authentication: { type: 'token', token: '***' } }))).toEqual([
      'authentication.token',
    ]);
  });

  it('refuses a token URL that may not be called, and PEM texts that are none', async () => {
    const oauth = { type: 'oauth2_client_credentials', token_url: 'https://10.0.0.1/token', client_id: 'c', client_secret: 's' };
    expect(refusedAt(await service.call('POST', subscriptions, { ...wanted, authentication: oauth }))).toEqual(['authentication.token_url']);
    const key = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
    const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    const mtls = { type: 'mtls', certificate: pem, private_key: key, ca: pem };
    expect(refusedAt(await service.call('POST', subscriptions, { ...wanted, authentication: mtls }))).toEqual([
      'authentication.certificate',
      'authentication.ca',
    ]);
  });

  it.each([
    ['of its kind', () => generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['on another curve', () => generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['of RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['of EdDSA', () => generateKeyPairSync('ed25519')],
  ])('refuses a key %s that does not belong to the certificate', async (_what, generate) => {
    const strange = generate().privateKey.export({ type: 'pkcs8', format: 'pem' });
    const mtls = { type: 'mtls', ...CLIENT, private_key: strange };
    const answer = await service.call('POST', subscriptions, { ...wanted, authentication: mtls });
    expect(answer).toMatchObject({
      status: 422,
      body: { errors: [{ path: 'authentication.private_key', message: 'does not belong to the certificate' }] },
    });
    const path = await create({ authentication: { type: 'mtls', ...CLIENT } });
    expect(refusedAt(await service.call('PATCH', path, { authentication: mtls }))).toEqual(['authentication.private_key']);
    await expect(service.call('PATCH', path, { authentication: { type: 'mtls', ...CLIENT, private_key: '***' } })).resolves.toMatchObject({ status: 200 });
  });
});

it('no secret is ever told again, nor readable in a topic or a table', async () => {
  const canary = 'canary0123456789';
  const path = await create({ authentication: { type: 'api_key', header: 'x-key', key: canary } });
  const signing = String((await service.call('GET', `${path}/secret`)).body['secret']).slice('whsec_'.length);
  await service.call('PATCH', path, { authentication: { type: 'bearer', token: `${canary}2` } }, {});
  await service.call('POST', `${path}/rotate-secret`, {}, { 'idempotency-key': canary.slice(6) });
  const shown = await Promise.all(
    [path, `${path}/history`, `${path}?at=${new Date().toISOString()}`, subscriptions].map((each) => service.call('GET', each)),
  );
  expect(shown.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  const { rows } = await world.pool.query(
    'select (select jsonb_agg(data) from registry.events) as events, (select jsonb_agg(state) from registry.subscriptions) as states',
  );
  const everything = JSON.stringify([shown.map(({ body }) => body), await world.readTopic('registry.log'), await world.readTopic('registry.state'), rows]);
  for (const secret of [canary, signing, 'whsec_', 'whsk_']) expect(everything).not.toContain(secret);
  const [created] = (await world.readTopic('registry.state')).filter(({ key }) => path.endsWith(key)).map(stateIn);
  expect(created?.state).toMatchObject({ authentication: { type: 'api_key', key: { key_id: 'k1' } } });
});
