import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { REDACTED, type AuthenticationBody, type AuthenticationState, type Encrypted } from '@posthorn/contracts';
import type { FieldError, SecretBox } from '@posthorn/service-kit';
import { invalid, refuseInvalid } from '../invalid.js';

/**
 * What a body says about authentication, its secret encrypted. `***` stands for the secret that is there; a secret that is
 * there already stays as it was encrypted, so that saying it again changes nothing.
 * @param present undefined when there is nothing yet
 * @throws {Problem} `invalid` when there is no such secret to keep, or the parts do not fit together
 */
export const authenticationState = (
  body: AuthenticationBody,
  present: AuthenticationState | undefined,
  secrets: SecretBox,
): AuthenticationState => {
  const seal = (member: string, given: string, kept: Encrypted | undefined): Encrypted => {
    if (given === REDACTED) {
      if (kept) return kept;
      throw invalid(`authentication.${member}`, `"${REDACTED}" keeps the secret that is there, and there is none of this type`);
    }
    return kept && secrets.decrypt(kept) === given ? kept : secrets.encrypt(given);
  };
  const { type } = body;
  switch (type) {
    case 'none':
      return { type };
    case 'api_key':
      return { type, header: body.header, key: seal('key', body.key, present?.type === type ? present.key : undefined) };
    case 'token':
      return { type, token: seal('token', body.token, present?.type === type ? present.token : undefined) };
    case 'bearer':
      return { type, token: seal('token', body.token, present?.type === type ? present.token : undefined) };
    case 'basic': {
      const password = seal('password', body.password, present?.type === type ? present.password : undefined);
      return { type, username: body.username, password };
    }
    case 'oauth2_client_credentials': {
      const kept = present?.type === type ? present.client_secret : undefined;
      return { ...body, client_secret: seal('client_secret', body.client_secret, kept) };
    }
    case 'mtls': {
      const private_key = seal('private_key', body.private_key, present?.type === type ? present.private_key : undefined);
      refuseInvalid(pemFaults({ ...body, private_key: secrets.decrypt(private_key) }));
      return { ...body, private_key };
    }
  }
};

const parsed = <T>(parse: () => T): T | undefined => {
  try {
    return parse();
  } catch {
    // What OpenSSL says of it helps nobody, and may quote it.
    return undefined;
  }
};

const certificateIn = (pem: string): X509Certificate | undefined => parsed(() => new X509Certificate(pem));
const privateKeyIn = (pem: string): KeyObject | undefined => parsed(() => createPrivateKey(pem));

type Pems = { readonly certificate: string; readonly private_key: string; readonly ca?: string | undefined };

const pemFaults = ({ certificate: certificatePem, private_key, ca }: Pems): readonly FieldError[] => {
  const certificate = certificateIn(certificatePem);
  const key = privateKeyIn(private_key);
  const faults: FieldError[] = [];
  if (!certificate) faults.push({ path: 'authentication.certificate', message: 'is not a certificate that can be read' });
  if (!key) faults.push({ path: 'authentication.private_key', message: 'is not a private key that can be read without a password' });
  if (certificate && key && !certificate.checkPrivateKey(key)) {
    faults.push({ path: 'authentication.private_key', message: 'does not belong to the certificate' });
  }
  if (ca !== undefined && !certificateIn(ca)) faults.push({ path: 'authentication.ca', message: 'is not a certificate that can be read' });
  return faults;
};
