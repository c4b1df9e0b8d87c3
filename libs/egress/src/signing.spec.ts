import { describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { EgressError } from './errors.js';
import { parseSecret, publicKeyOf, sign } from './signing.js';

const secretOf = (seed: number, bytes = 32) => `whsec_${Buffer.alloc(bytes, seed).toString('base64')}`;
const now = Math.floor(Date.now() / 1000);

const verifies = (secret: string, signature: string, body: Buffer, id = 'evt_1', timestamp = now): boolean => {
  try {
    new Webhook(secret).verify(body, {
      'webhook-id': id,
      'webhook-timestamp': String(timestamp),
      'webhook-signature': signature,
    });
    return true;
  } catch {
    return false;
  }
};

describe('signing', () => {
  it.each(['{}', '{"type":"x","data":{"emoji":"🦔","n":1e400}}', `{"long":"${'é'.repeat(5000)}"}`])(
    'is verified by the reference implementation: %#',
    (text) => {
      const body = Buffer.from(text);
      expect(verifies(secretOf(1), sign([secretOf(1)], 'evt_1', now, body), body)).toBe(true);
    },
  );

  it('gives the very signature of the reference implementation', () => {
    const body = Buffer.from('{"a":1}');
    expect(sign([secretOf(7, 24)], 'evt_ü', now, body)).toBe(
      new Webhook(secretOf(7, 24)).sign('evt_ü', new Date(now * 1000), body.toString()),
    );
  });

  it("gives the specification's own example", () => {
    expect(sign(['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'], 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1614265330, Buffer.from('{"test": 2432232314}'))).toBe(
      'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    );
  });

  it('covers id, time and body', () => {
    const body = Buffer.from('{"a":1}');
    const signature = sign([secretOf(1)], 'evt_1', now, body);
    expect(verifies(secretOf(1), signature, body, 'evt_2')).toBe(false);
    expect(verifies(secretOf(1), signature, body, 'evt_1', now + 1)).toBe(false);
    expect(verifies(secretOf(1), signature, Buffer.from('{"a":2}'))).toBe(false);
    expect(verifies(secretOf(2), signature, body)).toBe(false);
  });

  it('signs with every secret during a rotation, so that a receiver with either accepts', () => {
    const body = Buffer.from('{}');
    const signature = sign([secretOf(1), secretOf(2)], 'evt_1', now, body);
    expect(signature.split(' ')).toHaveLength(2);
    expect(verifies(secretOf(1), signature, body)).toBe(true);
    expect(verifies(secretOf(2), signature, body)).toBe(true);
    expect(verifies(secretOf(3), signature, body)).toBe(false);
  });

  it('signs a view of a larger buffer', () => {
    const body = Buffer.from('xx{"a":1}xx');
    const view = new Uint8Array(body.buffer, body.byteOffset + 2, 7);
    expect(verifies(secretOf(1), sign([secretOf(1)], 'evt_1', now, view), Buffer.from('{"a":1}'))).toBe(true);
  });

  it.each(['', 'whsec_', 'c2VjcmV0', 'whsec_!!!!', secretOf(1, 23), secretOf(1, 65)])('refuses the secret %j without quoting it', (secret) => {
    let message = '';
    try {
      parseSecret(secret);
    } catch (error) {
      if (error instanceof EgressError && error.code === 'invalid_secret') message = error.message;
    }
    expect(message).not.toBe('');
    const encoded = secret.slice('whsec_'.length);
    expect(encoded !== '' && message.includes(encoded)).toBe(false);
  });

  it('refuses to send unsigned', () => {
    expect(() => sign([], 'evt_1', now, Buffer.from('{}'))).toThrow(EgressError);
  });
});

/** RFC 8032, 7.1, test 1. */
const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
const publicKey = Buffer.from('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a', 'hex');
const privateSecret = (...bytes: Buffer[]): string => `whsk_${Buffer.concat(bytes).toString('base64')}`;

/** As a receiver would, from the public key as it is handed out and the specification's construction, with another interface to the algorithm. */
const verifiesV1a = async (whpk: string, signature: string, signed: string): Promise<boolean> => {
  const raw = Buffer.from(whpk.slice('whpk_'.length), 'base64');
  const key = await crypto.subtle.importKey('raw', raw, { name: 'Ed25519' }, false, ['verify']);
  const [scheme, encoded] = signature.split(',');
  return scheme === 'v1a' && crypto.subtle.verify({ name: 'Ed25519' }, key, Buffer.from(encoded ?? '', 'base64'), Buffer.from(signed));
};

describe('signing with Ed25519', () => {
  it('hands out the public key of the pair', () => {
    expect(publicKeyOf(privateSecret(seed))).toBe(`whpk_${publicKey.toString('base64')}`);
    expect(publicKeyOf(privateSecret(seed, publicKey))).toBe(`whpk_${publicKey.toString('base64')}`);
    expect(() => publicKeyOf(secretOf(1))).toThrow(EgressError);
  });

  it.each([
    ['a seed', privateSecret(seed)],
    ['a seed and the public key', privateSecret(seed, publicKey)],
  ])('by %s is verified by the public key', async (_, secret) => {
    const signature = sign([secret], 'evt_1', now, Buffer.from('{"a":1}'));
    expect(await verifiesV1a(publicKeyOf(secret), signature, `evt_1.${now}.{"a":1}`)).toBe(true);
    expect(await verifiesV1a(publicKeyOf(secret), signature, `evt_1.${now}.{"a":2}`)).toBe(false);
    expect(await verifiesV1a(publicKeyOf(privateSecret(Buffer.alloc(32, 1))), signature, `evt_1.${now}.{"a":1}`)).toBe(false);
  });

  it('stands beside the old scheme while a subscription goes over to it', async () => {
    const body = Buffer.from('{}');
    const [first = '', second = ''] = sign([privateSecret(seed), secretOf(1)], 'evt_1', now, body).split(' ');
    expect(await verifiesV1a(publicKeyOf(privateSecret(seed)), first, `evt_1.${now}.{}`)).toBe(true);
    expect(verifies(secretOf(1), second, body)).toBe(true);
  });

  it.each([
    ['too short', privateSecret(seed.subarray(1))],
    ['of another length', privateSecret(seed, seed.subarray(1))],
    ['with the public key of another', privateSecret(seed, seed)],
  ])('refuses a private key %s', (_, secret) => {
    expect(() => parseSecret(secret)).toThrow(EgressError);
  });
});
