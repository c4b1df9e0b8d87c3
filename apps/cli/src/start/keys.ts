import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';

export type Keys = { readonly adminApiKey: string; readonly encryptionKeys: string };

/** For the eyes of its owner only, and never half written. */
export const writePrivately = (file: string, text: string): void => {
  mkdirSync(dirname(file), { recursive: true });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, text, { mode: 0o600 });
  chmodSync(draft, 0o600);
  renameSync(draft, file);
};

/** The keys of this installation: those of the environment, else those made at the first start. */
export const keysIn = (file: string, env: Readonly<Record<string, string | undefined>> = process.env): Keys => {
  if (!existsSync(file)) {
    const keys: Keys = {
      adminApiKey: `phk_${randomBytes(32).toString('base64url')}`,
      encryptionKeys: `local:${randomBytes(32).toString('base64')}`,
    };
    writePrivately(file, `${JSON.stringify(keys, null, 2)}\n`);
  }
  const { adminApiKey, encryptionKeys } = JSON.parse(readFileSync(file, 'utf8')) as Keys;
  return {
    adminApiKey: env['POSTHORN_ADMIN_API_KEY'] || adminApiKey,
    encryptionKeys: env['POSTHORN_ENCRYPTION_KEYS'] || encryptionKeys,
  };
};
