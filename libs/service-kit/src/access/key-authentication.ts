import { ADMIN_ACTOR } from './admin-key.js';
import { keyRefused, type Authenticate } from './authorize.js';
import type { Caller } from './caller.js';
import { isExpired, type Keys, type KnownKey } from './keys.js';
import type { KeyUsage } from './key-usage.js';
import { verifyPortalToken } from './portal-token.js';
import type { RegistryStateFeed } from './registry-state-feed.js';
import { Problem } from '../problem.js';

export type KeyAuthenticationOptions = {
  /** Knows the admin key. */
  readonly admin: (key: string) => Caller | undefined;
  readonly keys: Keys;
  readonly feed: Pick<RegistryStateFeed, 'isCaughtUp' | 'readFresh'>;
  readonly usage: Pick<KeyUsage, 'used'>;
  readonly now?: () => number;
  readonly freshWithinMs?: number;
};

/** What `POST /v1/api-keys` gives out: 32 random bytes. */
const API_KEY = /^phk_[A-Za-z0-9_-]{43}$/;
const PORTAL_TOKEN = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;
const PORTAL_KEY_ID = /^pky_[0-9a-f]{32}$/;
const FRESH_WITHIN_MS = 2_000;

const cannotKnow = (cause?: unknown): Problem =>
  new Problem('unavailable', 'Whether the key is valid cannot be known now. Try again.', { cause });

const within = async (limitMs: number, reading: Promise<void>): Promise<void> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(cannotKnow()), limitMs);
  });
  try {
    await Promise.race([reading, late]);
  } catch (error) {
    throw error instanceof Problem ? error : cannotKnow(error);
  } finally {
    clearTimeout(timer);
  }
};

/**
 * Knows the admin key at once, API keys and portal tokens by what was folded from `registry.state`. What is not known there may just have
 * been made, so it is called invalid only after what the topic holds now was read; that costs a stranger a wait and us one of ten
 * readings a second, shared. What does not even look like a key costs nothing.
 */
export const keyAuthentication = (options: KeyAuthenticationOptions): Authenticate => {
  const { admin, keys, feed, usage, now = Date.now, freshWithinMs = FRESH_WITHIN_MS } = options;

  const found = async <T>(find: () => T | undefined): Promise<T | undefined> => {
    const known = find();
    if (known !== undefined) return known;
    await within(freshWithinMs, feed.readFresh());
    return find();
  };

  const valid = (key: KnownKey): KnownKey => {
    if (isExpired(key, now())) throw keyRefused(`The API key expired at ${new Date(key.expiresMs).toISOString()}.`);
    return key;
  };

  const byApiKey = async (text: string): Promise<Caller | undefined> => {
    const key = await found(() => keys.withSecret(text));
    if (key === undefined) return undefined;
    const { id, caller } = valid(key);
    usage.used(id);
    return caller;
  };

  const portalKey = async (id: string) => (PORTAL_KEY_ID.test(id) ? found(() => keys.portalKey(id)) : undefined);

  const byPortalToken = async (token: string): Promise<Caller> => {
    const verdict = await verifyPortalToken(token, portalKey, now());
    if (verdict.kind !== 'granted') throw keyRefused(verdict.kind === 'expired' ? 'The portal token has expired.' : 'The portal token is not valid.');
    const { tenant, scopes, keyId } = verdict.grant;
    if (keyId !== ADMIN_ACTOR) {
      const maker = await found(() => keys.withId(keyId));
      if (maker === undefined) throw keyRefused('The API key that made the portal token was revoked.');
      valid(maker);
    }
    return { actor: `portal:${keyId}`, tenant, scopes: new Set(scopes) };
  };

  return async (key) => {
    const caller = admin(key);
    if (caller !== undefined) return caller;
    const isApiKey = API_KEY.test(key);
    if (!isApiKey && !PORTAL_TOKEN.test(key)) return undefined;
    if (!feed.isCaughtUp) throw cannotKnow();
    return isApiKey ? byApiKey(key) : byPortalToken(key);
  };
};
