import { isDeepStrictEqual } from 'node:util';
import type { AuthenticationState, Encrypted, SigningSecret } from '@posthorn/contracts';

/** The newest secret of a subscription: it signs until a rotation says otherwise. */
export type NewSecret = Readonly<Omit<SigningSecret, 'expires_at'>>;

/** What signs a request at a time: each secret is one more signature in its header. */
export const MAX_SIGNING_SECRETS = 5;

const isOver = (expiresAt: string | undefined, at: string): boolean =>
  expiresAt !== undefined && Date.parse(expiresAt) <= Date.parse(at);

/**
 * `newest` first, then what still signs beside it: the one before until `overlapUntil`, older ones as long as they were given.
 * Without an overlap the old ones go at once, all of them: a secret that leaked must not sign a moment longer.
 */
export const rotated = (
  [previous, ...older]: readonly SigningSecret[],
  newest: NewSecret,
  { at, overlapUntil }: { at: string; overlapUntil: string | undefined },
): readonly SigningSecret[] => {
  if (previous === undefined || overlapUntil === undefined || isOver(overlapUntil, at)) return [newest];
  const stillSigning = older.filter(({ expires_at }) => !isOver(expires_at, at));
  return [newest, { ...previous, expires_at: overlapUntil }, ...stillSigning].slice(0, MAX_SIGNING_SECRETS);
};

const HIDDEN: Encrypted = { key_id: '', ciphertext: '' };

/** `authentication` with `shown` in the place of what is encrypted: of its members, exactly the objects are. */
export const withoutSecrets = <Shown>(authentication: AuthenticationState, shown: Shown): Record<string, unknown> =>
  Object.fromEntries(Object.entries(authentication).map(([name, value]) => [name, typeof value === 'object' ? shown : value]));

/** Whether these are the same secrets but for how they are encrypted, as far as that can be told without the keys. */
export const sameSecrets = (present: readonly SigningSecret[], others: readonly SigningSecret[]): boolean =>
  isDeepStrictEqual(
    present.map((secret) => ({ ...secret, ...HIDDEN })),
    others.map((secret) => ({ ...secret, ...HIDDEN })),
  );

export const sameAuthentication = (present: AuthenticationState, other: AuthenticationState): boolean =>
  isDeepStrictEqual(withoutSecrets(present, HIDDEN), withoutSecrets(other, HIDDEN));
