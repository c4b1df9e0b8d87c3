import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import type { Encrypted } from '@posthorn/contracts';
import { z } from 'zod';

const KEY_BYTES = 32;
/** 96 bits, the size GCM is made for (NIST SP 800-38D, 5.2.1.1). Random: good for 2^32 secrets per key. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

export class SecretBoxError extends Error {
  override readonly name = 'SecretBoxError';

  constructor(
    readonly code: 'unknown_key' | 'not_authentic',
    message: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Encrypts with the first of its keys, decrypts with whichever the secret names: that is what makes rotation possible. */
export class SecretBox {
  readonly #keys: ReadonlyMap<string, KeyObject>;
  readonly #writingKeyId: string;

  /** @param keys 32 bytes each, by id, the writing one first */
  constructor(keys: readonly [first: readonly [id: string, key: Uint8Array], ...rest: (readonly [id: string, key: Uint8Array])[]]) {
    this.#writingKeyId = keys[0][0];
    this.#keys = new Map(keys.map(([id, key]) => [id, createSecretKey(key)]));
  }

  encrypt(plain: string): Encrypted {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv('aes-256-gcm', this.#key(this.#writingKeyId), nonce);
    const sealed = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return { key_id: this.#writingKeyId, ciphertext: sealed.toString('base64') };
  }

  /** @throws {SecretBoxError} when the key is not known, or the secret was changed or encrypted by another key of that id */
  decrypt({ key_id, ciphertext }: Encrypted): string {
    const key = this.#key(key_id);
    const sealed = Buffer.from(ciphertext, 'base64');
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      const plain = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES));
      return Buffer.concat([plain, decipher.final()]).toString('utf8');
    } catch (cause) {
      throw new SecretBoxError('not_authentic', `the secret was not encrypted with key ${key_id}, or was changed since`, { cause });
    }
  }

  /** Whether it is the key that encrypts now which this was encrypted with. */
  isCurrent({ key_id }: Pick<Encrypted, 'key_id'>): boolean {
    return key_id === this.#writingKeyId;
  }

  #key(id: string): KeyObject {
    const key = this.#keys.get(id);
    if (key === undefined) throw new SecretBoxError('unknown_key', `no encryption key has the id ${id}`);
    return key;
  }
}

const KEY = /^([A-Za-z0-9_-]{1,64}):([A-Za-z0-9+/]{43}=)$/;

/** `id:base64[,…]` → SecretBox. */
export const encryptionKeys = z.string().transform((text, context) => {
  const [first, ...rest] = text.split(',').map((entry): [string, Uint8Array] | undefined => {
    const [, id, key] = KEY.exec(entry.trim()) ?? [];
    return id === undefined || key === undefined ? undefined : [id, Buffer.from(key, 'base64')];
  });
  const others = rest.filter((entry) => entry !== undefined);
  if (first === undefined || others.length < rest.length) {
    context.addIssue(`id:base64 of ${KEY_BYTES} bytes, several separated by commas`);
    return z.NEVER;
  }
  if (new Set([first, ...others].map(([id]) => id)).size <= others.length) {
    context.addIssue('two keys have the same id');
    return z.NEVER;
  }
  return new SecretBox([first, ...others]);
});
