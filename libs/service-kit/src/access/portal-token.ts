import { createPrivateKey, randomUUID, type KeyObject } from 'node:crypto';
import { portalScope, type PortalScope } from '@posthorn/contracts';
import { errors, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';

/** Who makes portal tokens, and whom they are for: every installation has portal keys of its own. */
const PARTY = 'posthorn';
const ALGORITHM = 'EdDSA';
/** By which the clocks of two machines may differ. */
const CLOCK_TOLERANCE_S = 5;
const LIFETIME_S = 3_600;

/** A right to one tenant for an hour, signed by the registry and verified by every service without asking it. */
export type PortalGrant = {
  readonly tenant: string;
  readonly scopes: readonly PortalScope[];
  /** Id of the API key that it was made with, which it does not outlive. */
  readonly keyId: string;
};

const claims = z.object({ sub: z.string(), scope: z.string(), act: z.string(), jti: z.string() });

export type PortalSigner = {
  /** Id of the portal key. */
  readonly id: string;
  /** As in `PortalKeyState`, decrypted. */
  readonly publicKey: string;
  readonly privateKey: string;
};

/** @returns the token, and the end of its hour */
export const signPortalToken = async (
  { id, publicKey: x, privateKey: d }: PortalSigner,
  { tenant, scopes, keyId }: PortalGrant,
  nowMs: number,
): Promise<{ readonly token: string; readonly expiresMs: number }> => {
  const issuedAt = Math.floor(nowMs / 1_000);
  const expiresAt = issuedAt + LIFETIME_S;
  const token = await new SignJWT({ scope: scopes.join(' '), act: keyId })
    .setProtectedHeader({ alg: ALGORITHM, typ: 'JWT', kid: id })
    .setIssuer(PARTY)
    .setAudience(PARTY)
    .setSubject(tenant)
    .setJti(randomUUID())
    .setIssuedAt(issuedAt)
    .setExpirationTime(expiresAt)
    .sign(createPrivateKey({ key: { kty: 'OKP', crv: 'Ed25519', x, d }, format: 'jwk' }));
  return { token, expiresMs: expiresAt * 1_000 };
};

export type PortalVerdict = { readonly kind: 'granted'; readonly grant: PortalGrant } | { readonly kind: 'expired' } | { readonly kind: 'invalid' };

/** @param publicKey of the portal key with this id; what it throws goes through */
export const verifyPortalToken = async (
  token: string,
  publicKey: (id: string) => Promise<KeyObject | undefined>,
  nowMs: number,
): Promise<PortalVerdict> => {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = kid === undefined ? undefined : await publicKey(kid);
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      },
      {
        algorithms: [ALGORITHM],
        issuer: PARTY,
        audience: PARTY,
        requiredClaims: ['exp', 'iat'],
        clockTolerance: CLOCK_TOLERANCE_S,
        maxTokenAge: LIFETIME_S,
        currentDate: new Date(nowMs),
      },
    );
    const read = claims.safeParse(payload);
    if (!read.success) return { kind: 'invalid' };
    const { sub: tenant, scope, act: keyId } = read.data;
    // A scope of a later version is none of ours to grant.
    const scopes = scope.split(' ').flatMap((text) => portalScope.safeParse(text).data ?? []);
    return { kind: 'granted', grant: { tenant, scopes, keyId } };
  } catch (error) {
    if (error instanceof errors.JWTExpired) return { kind: 'expired' };
    if (error instanceof errors.JOSEError) return { kind: 'invalid' };
    throw error;
  }
};
