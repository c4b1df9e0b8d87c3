import { hash, timingSafeEqual } from 'node:crypto';
import type { Authenticate } from './authorize.js';
import type { Caller } from './caller.js';

/** The actor of the key in POSTHORN_ADMIN_API_KEY. */
export const ADMIN_ACTOR = 'admin';

const ADMIN: Caller = { actor: ADMIN_ACTOR, tenant: undefined, scopes: new Set(['admin']) };

/**
 * Knows the key in POSTHORN_ADMIN_API_KEY and no other. Compares digests: equal in length whatever was sent, so that the time says
 * nothing about the key.
 */
export const adminKeyOnly = (adminKey: string | undefined): ((key: string) => Caller | undefined) & Authenticate => {
  if (adminKey === undefined) return () => undefined;
  const expected = hash('sha256', adminKey, 'buffer');
  return (key) => (timingSafeEqual(hash('sha256', key, 'buffer'), expected) ? ADMIN : undefined);
};
