import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import type { ApiKeyState, PortalKeyState } from '@posthorn/contracts';
import type { Caller } from './caller.js';
import type { RegistryStateFeed } from './registry-state-feed.js';

export type KnownKey = {
  readonly id: string;
  readonly caller: Caller;
  /** Infinity: never. */
  readonly expiresMs: number;
};

export const isExpired = ({ expiresMs }: KnownKey, nowMs: number): boolean => expiresMs <= nowMs;

const knownKey = ({ id, tenant, scopes, expires_at }: ApiKeyState): KnownKey => ({
  id,
  caller: { actor: id, tenant, scopes: new Set(scopes) },
  expiresMs: expires_at === undefined ? Infinity : Date.parse(expires_at),
});

/** The API keys and portal keys there are, folded from `registry.state`. */
export class Keys {
  readonly #byHash = new Map<string, KnownKey>();
  readonly #hashes = new Map<string, string>();
  readonly #portal = new Map<string, KeyObject>();

  constructor(feed: Pick<RegistryStateFeed, 'fold'>) {
    feed.fold('api_key', { changed: (state) => this.#add(state), removed: (id) => this.#remove(id) });
    feed.fold('portal_key', { changed: (state) => this.#addPortal(state), removed: (id) => void this.#portal.delete(id) });
  }

  /**
   * Looked up by the key's SHA-256, which is all that anybody but its holder ever had. A lookup takes a time that may depend on the
   * digest, never on how much of a key is right: who could make digests to order could also make the key.
   */
  withSecret(key: string): KnownKey | undefined {
    return this.#byHash.get(hash('sha256', key, 'hex'));
  }

  withId(id: string): KnownKey | undefined {
    return this.#byHash.get(this.#hashes.get(id) ?? '');
  }

  /** The public key that portal tokens signed with this one are verified by. */
  portalKey(id: string): KeyObject | undefined {
    return this.#portal.get(id);
  }

  #add(state: ApiKeyState): void {
    this.#byHash.set(state.hash, knownKey(state));
    this.#hashes.set(state.id, state.hash);
  }

  #remove(id: string): void {
    this.#byHash.delete(this.#hashes.get(id) ?? '');
    this.#hashes.delete(id);
  }

  #addPortal({ id, public_key }: PortalKeyState): void {
    this.#portal.set(id, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: public_key }, format: 'jwk' }));
  }
}
