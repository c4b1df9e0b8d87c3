import type { AuthenticationState, Encrypted, SubscriptionState } from '@posthorn/contracts';
import type { PortalKey, PortalKeyCommand, Subscription, SubscriptionCommand } from '@posthorn/domain';
import type { SecretBox } from '@posthorn/service-kit';

/** The secret itself when it is encrypted by the key that encrypts now. @throws {SecretBoxError} */
export const encryptedAnew = (box: SecretBox, secret: Encrypted): Encrypted =>
  box.isCurrent(secret) ? secret : box.encrypt(box.decrypt(secret));

const authenticationAnew = (authentication: AuthenticationState, anew: (secret: Encrypted) => Encrypted): AuthenticationState => {
  switch (authentication.type) {
    case 'none':
      return authentication;
    case 'api_key':
      return { ...authentication, key: anew(authentication.key) };
    case 'token':
    case 'bearer':
      return { ...authentication, token: anew(authentication.token) };
    case 'basic':
      return { ...authentication, password: anew(authentication.password) };
    case 'oauth2_client_credentials':
      return { ...authentication, client_secret: anew(authentication.client_secret) };
    case 'mtls':
      return { ...authentication, private_key: anew(authentication.private_key) };
  }
};

const secretsOf = ({ signing_secrets, authentication }: SubscriptionState): readonly Encrypted[] => {
  const secrets: Encrypted[] = [...signing_secrets];
  authenticationAnew(authentication, (secret) => {
    secrets.push(secret);
    return secret;
  });
  return secrets;
};

type ReencryptSubscription = Extract<SubscriptionCommand, { kind: 'reencrypt' }>;
type ReencryptPortalKey = Extract<PortalKeyCommand, { kind: 'reencrypt' }>;

/** Undefined when there is nothing left to encrypt anew. @throws {SecretBoxError} */
export const reencryptSubscription = (box: SecretBox, state: Subscription, at: string): ReencryptSubscription | undefined => {
  if (state.kind !== 'subscription' || secretsOf(state).every((secret) => box.isCurrent(secret))) return undefined;
  return {
    kind: 'reencrypt',
    signing_secrets: state.signing_secrets.map((secret) => ({ ...secret, ...encryptedAnew(box, secret) })),
    authentication: authenticationAnew(state.authentication, (secret) => encryptedAnew(box, secret)),
    at,
  };
};

/** Undefined when there is nothing left to encrypt anew. @throws {SecretBoxError} */
export const reencryptPortalKey = (box: SecretBox, state: PortalKey, at: string): ReencryptPortalKey | undefined => {
  if (state.kind !== 'portal_key' || box.isCurrent(state.private_key)) return undefined;
  return { kind: 'reencrypt', private_key: encryptedAnew(box, state.private_key), at };
};
