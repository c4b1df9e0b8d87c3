import { createSecureContext, type SecureContext } from 'node:tls';
import { EgressError } from './errors.js';

/** What proves to a server who connects (mutual TLS), and which authority the server has to prove itself to, if not the usual ones. */
export type ClientIdentity = { readonly secureContext: SecureContext };

/** From PEM texts. @throws {EgressError} invalid_secret; the message quotes nothing of them */
export const clientIdentity = (certificate: string, privateKey: string, ca: string | undefined): ClientIdentity => {
  try {
    return { secureContext: createSecureContext({ cert: certificate, key: privateKey, ...(ca !== undefined && { ca }) }) };
  } catch (cause) {
    throw new EgressError('invalid_secret', 'The client certificate and its private key cannot be used.', { cause });
  }
};
