import { generateKeyPairSync, randomBytes } from 'node:crypto';
import type { SecretView, SignatureScheme, SubscriptionState } from '@posthorn/contracts';
import type { NewSecret } from '@posthorn/domain';
import { publicKeyOf } from '@posthorn/egress';
import type { SecretBox } from '@posthorn/service-kit';

/** What a subscriber verifies with, as the API tells it. */
export type ToldSecret = Pick<SecretView, 'signature' | 'secret' | 'public_key'>;

const SECRET_BYTES = 32;

/**
 * A new secret as Standard Webhooks spells them: `whsec_` and the base64 of 32 random bytes, or `whsk_` and that of the 32 bytes of an
 * Ed25519 private key (RFC 8032, 5.1.5).
 */
export const newSigningSecret = (scheme: SignatureScheme): string => {
  if (scheme === 'v1') return `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
  const { d = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  return `whsk_${Buffer.from(d, 'base64url').toString('base64')}`;
};

/** The shared secret itself; of a key pair only the public half, the private one is nobody's but ours. */
export const toldSecret = (scheme: SignatureScheme, plain: string): ToldSecret =>
  scheme === 'v1' ? { signature: scheme, secret: plain } : { signature: scheme, public_key: publicKeyOf(plain) };

export const encryptedSecret = (secrets: SecretBox, scheme: SignatureScheme, plain: string): NewSecret => ({
  ...secrets.encrypt(plain),
  scheme,
});

/** All that signs at `nowMs`, newest first. */
export const toldSecrets = (secrets: SecretBox, { id, signing_secrets }: SubscriptionState, nowMs: number): SecretView => {
  const [newest, ...others] = signing_secrets;
  if (!newest) throw new TypeError(`subscription ${id} has no secret`);
  const previous = others.flatMap(({ expires_at, scheme, ...sealed }) =>
    expires_at !== undefined && Date.parse(expires_at) > nowMs ? [{ ...toldSecret(scheme, secrets.decrypt(sealed)), expires_at }] : [],
  );
  return { ...toldSecret(newest.scheme, secrets.decrypt(newest)), previous };
};
