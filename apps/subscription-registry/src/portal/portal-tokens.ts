import { generateKeyPairSync } from 'node:crypto';
import { newId, portalScope, type CreatePortalTokenBody, type PortalToken } from '@posthorn/contracts';
import { signPortalToken, type Caller, type SecretBox } from '@posthorn/service-kit';
import type { Aggregates } from '../aggregates.js';
import type { Requested } from '../requested.js';
import { portalKeyAggregate, type PortalKeyTable } from './portal-key-table.js';

export type PortalTokensParts = {
  readonly aggregates: Aggregates;
  readonly table: PortalKeyTable;
  /** Throws `not_found` for a tenant that there is not. */
  readonly requireTenant: (id: string) => Promise<unknown>;
  readonly secrets: SecretBox;
};

/**
 * Portal tokens, which the people of a tenant work with for an hour. They are signed, not stored: every service verifies them by the
 * public keys in `registry.state`. What ends one before its time is the end of the API key that made it.
 */
export class PortalTokens {
  readonly #parts: PortalTokensParts;

  constructor(parts: PortalTokensParts) {
    this.#parts = parts;
  }

  /** Makes the key that tokens are signed with, unless there is one. Two replicas that start at the same time make two: either is good. */
  async ensureKey(requested: Requested): Promise<void> {
    const { aggregates, secrets, table } = this.#parts;
    if (await table.newest()) return;
    const { x, d } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
    if (x === undefined || d === undefined) throw new TypeError('an Ed25519 key without its two parts');
    const id = newId('pky');
    const key = { id, public_key: x, private_key: secrets.encrypt(d) };
    const command = () => ({ kind: 'create', key, at: new Date().toISOString() }) as const;
    await aggregates.change(portalKeyAggregate, id, command, requested, { fresh: true, answer: () => undefined });
  }

  /** @throws {Problem} `not_found` */
  async create({ actor }: Pick<Caller, 'actor'>, tenant: string, body: CreatePortalTokenBody): Promise<PortalToken> {
    const { requireTenant, secrets, table } = this.#parts;
    await requireTenant(tenant);
    const key = await table.newest();
    if (key === undefined) throw new TypeError('there is no portal key, although one was made at the start');
    const scopes = body.scopes ?? portalScope.options;
    const signer = { id: key.id, publicKey: key.public_key, privateKey: secrets.decrypt(key.private_key) };
    const { token, expiresMs } = await signPortalToken(signer, { tenant, scopes, keyId: actor }, Date.now());
    return { token, tenant, scopes: [...scopes], expires_at: new Date(expiresMs).toISOString() };
  }
}
