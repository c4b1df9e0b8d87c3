import { createHmac, timingSafeEqual } from 'node:crypto';

export type Verification = { readonly valid: true } | { readonly valid: false; readonly reason: string };

const TOLERANCE_S = 300;
const SECRET_PREFIX = 'whsec_';

const invalid = (reason: string): Verification => ({ valid: false, reason });

/**
 * Whether a request was signed with the secret, by Standard Webhooks (specification 1.0, "Signature scheme", v1): HMAC-SHA256 of
 * `id.timestamp.body` under the decoded secret. Written here a second time on purpose: the code that signs must not be the
 * judge of what it signed.
 */
export const verifySignature = (
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  body: Uint8Array,
  secret: string,
  nowMs: number = Date.now(),
): Verification => {
  const id = headers['webhook-id'];
  const timestamp = headers['webhook-timestamp'];
  const signatures = headers['webhook-signature'];
  if (typeof id !== 'string' || typeof timestamp !== 'string' || typeof signatures !== 'string') {
    return invalid('webhook-id, webhook-timestamp or webhook-signature is missing');
  }
  if (!secret.startsWith(SECRET_PREFIX)) return invalid(`the secret does not begin with ${SECRET_PREFIX}`);
  if (!(Math.abs(nowMs / 1_000 - Number(timestamp)) <= TOLERANCE_S)) return invalid(`webhook-timestamp ${timestamp} is too far from now`);
  const expected = createHmac('sha256', Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64'))
    .update(`${id}.${timestamp}.`)
    .update(body)
    .digest();
  const matches = signatures.split(' ').some((signature) => {
    const [version, value = ''] = signature.split(',');
    const given = Buffer.from(value, 'base64');
    return version === 'v1' && given.length === expected.length && timingSafeEqual(given, expected);
  });
  return matches ? { valid: true } : invalid('no v1 signature in webhook-signature matches');
};
