import type { AuthenticationState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import type { AttemptRequest } from './attempt.js';
import { ClientCredentials } from './client-credentials.js';
import { clientIdentity, type ClientIdentity } from './client-identity.js';
import { EgressError } from './errors.js';
import { recipeOf, type Recipe } from './recipe.js';

/** What sending to a subscription takes. Secrets are decrypted when they are first asked for, and kept. */
export type AttemptTerms = AttemptRequest['subscription'] & { readonly recipe: Recipe };

/** What of a subscription says how to send to it. */
type SendingState = Pick<SubscriptionState, 'url' | 'headers' | 'policy' | 'payload' | 'authentication' | 'signing_secrets'>;

/** @param decrypt what it throws becomes an `EgressError` of the getter that asked */
export const attemptTermsOf = (state: SendingState, decrypt: (secret: Encrypted) => string, nowMs: () => number = Date.now): AttemptTerms => {
  const { url, headers, policy, payload, authentication } = state;
  const open = opening(decrypt);
  const signing = signingSecrets(state, open, nowMs);
  let credentials: Readonly<Record<string, string>> | undefined;
  let identity: ClientIdentity | undefined;
  return {
    url,
    headers: withoutCredentials(headers, authentication),
    timeoutMs: policy.timeout_ms,
    success: policy.success,
    recipe: recipeOf(payload),
    clientCredentials: clientCredentialsOf(authentication, open, nowMs),
    get secrets() {
      return signing();
    },
    get credentials() {
      credentials ??= credentialsOf(authentication, open);
      return credentials;
    },
    get identity() {
      if (authentication.type === 'mtls') identity ??= identityOf(url, authentication, open);
      return identity;
    },
  };
};

const opening =
  (decrypt: (secret: Encrypted) => string) =>
  (secret: Encrypted): string => {
    try {
      return decrypt(secret);
    } catch (cause) {
      throw new EgressError('invalid_secret', 'A secret of this subscription cannot be decrypted.', { cause });
    }
  };

/** Newest first. During a rotation the old ones sign too, until their time is over. */
const signingSecrets = ({ signing_secrets }: SendingState, open: (secret: Encrypted) => string, nowMs: () => number): (() => readonly string[]) => {
  let newest: readonly string[] | undefined;
  if (signing_secrets.every(({ expires_at }) => expires_at === undefined)) return () => (newest ??= signing_secrets.map(open));
  let all: readonly { readonly secret: string; readonly untilMs: number }[] | undefined;
  return () => {
    all ??= signing_secrets.map((each) => ({ secret: open(each), untilMs: each.expires_at === undefined ? Infinity : Date.parse(each.expires_at) }));
    const now = nowMs();
    return all.filter(({ untilMs }) => untilMs > now).map(({ secret }) => secret);
  };
};

const NONE: Readonly<Record<string, string>> = {};

/** The headers that say who is sending. @throws {EgressError} */
const credentialsOf = (authentication: AuthenticationState, open: (secret: Encrypted) => string): Readonly<Record<string, string>> => {
  switch (authentication.type) {
    case 'api_key':
      return { [authentication.header]: open(authentication.key) };
    case 'token':
      return { 'x-auth-token': open(authentication.token) };
    case 'basic':
      return { authorization: `Basic ${Buffer.from(`${authentication.username}:${open(authentication.password)}`).toString('base64')}` };
    case 'bearer':
      return { authorization: `Bearer ${open(authentication.token)}` };
    case 'none':
    case 'oauth2_client_credentials':
    case 'mtls':
      return NONE;
  }
};

const clientCredentialsOf = (
  authentication: AuthenticationState,
  open: (secret: Encrypted) => string,
  nowMs: () => number,
): ClientCredentials | undefined => {
  if (authentication.type !== 'oauth2_client_credentials') return undefined;
  const { token_url: tokenUrl, client_id: clientId, client_secret, scope } = authentication;
  return new ClientCredentials({ tokenUrl, clientId, scope }, () => open(client_secret), nowMs);
};

/** @throws {EgressError} */
const identityOf = (url: string, { certificate, private_key, ca }: AuthenticationState & { type: 'mtls' }, open: (secret: Encrypted) => string): ClientIdentity => {
  if (!/^https:/i.test(url)) throw new EgressError('authentication_impossible', 'A client certificate can be shown over https only.');
  return clientIdentity(certificate, open(private_key), ca);
};

const credentialHeader = (authentication: AuthenticationState): string | undefined => {
  switch (authentication.type) {
    case 'api_key':
      return authentication.header.toLowerCase();
    case 'token':
      return 'x-auth-token';
    case 'basic':
    case 'bearer':
    case 'oauth2_client_credentials':
      return 'authorization';
    default:
      return undefined;
  }
};

/** A header of the subscription's own that the authentication sets gives way to it: two of a name would be a receiver's riddle. */
const withoutCredentials = (headers: Readonly<Record<string, string>>, authentication: AuthenticationState): Readonly<Record<string, string>> => {
  const taken = credentialHeader(authentication);
  if (taken === undefined) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== taken));
};
