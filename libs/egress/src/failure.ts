import type { AttemptErrorCode } from '@posthorn/contracts';

/** Why there is no usable response. The message is a sentence for the subscriber's owner: no secrets, no addresses of ours. */
export type HttpFailure = { readonly code: AttemptErrorCode; readonly message: string };

/** An error that already knows what it means for the attempt. */
export class AttemptFailed extends Error {
  override readonly name = 'AttemptFailed';

  constructor(
    readonly failure: HttpFailure,
    options?: ErrorOptions,
  ) {
    super(failure.message, options);
  }
}

const sentences = {
  UND_ERR_CONNECT_TIMEOUT: ['connect_timeout', 'The host did not accept a connection in time.'],
  ETIMEDOUT: ['connect_timeout', 'The host did not accept a connection in time.'],
  ECONNREFUSED: ['connection_refused', 'The host refused the connection: nothing listens on that port.'],
  EHOSTUNREACH: ['connection_refused', 'There is no route to the host.'],
  ENETUNREACH: ['connection_refused', "There is no route to the host's network."],
  EHOSTDOWN: ['connection_refused', 'The host is down.'],
  EADDRNOTAVAIL: ['connection_refused', 'No connection to the host could be opened from here: no local address or port is free.'],
  ECONNRESET: ['connection_reset', 'The connection was reset before the response was complete.'],
  EPIPE: ['connection_reset', 'The connection was closed while the request was being sent.'],
  UND_ERR_SOCKET: ['connection_reset', 'The connection was closed before the response was complete.'],
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: ['connection_reset', 'The response was shorter or longer than its content-length.'],
  UND_ERR_HEADERS_OVERFLOW: ['response_too_large', 'The response headers are larger than 16 KiB.'],
  UND_ERR_HEADERS_TIMEOUT: ['timeout', 'The response headers did not arrive in time.'],
  UND_ERR_BODY_TIMEOUT: ['timeout', 'The response body did not arrive in time.'],
  UND_ERR_INVALID_ARG: ['payload_failed', 'The request could not be built: a header has a name or value that HTTP does not allow.'],
  UND_ERR_DESTROYED: ['aborted', 'The attempt was aborted: Posthorn is shutting down.'],
  UND_ERR_CLOSED: ['aborted', 'The attempt was aborted: Posthorn is shutting down.'],
  UND_ERR_ABORTED: ['aborted', 'The attempt was aborted.'],
} as const satisfies Record<string, readonly [AttemptErrorCode, string]>;

const isKnown = (code: string): code is keyof typeof sentences => Object.hasOwn(sentences, code);

/** Node's codes for the handshake (`ERR_TLS_…`, `ERR_SSL_…`, `EPROTO`) and OpenSSL's for verification of the certificate. */
const TLS_CODE =
  /^(?:ERR_TLS_|ERR_SSL_|EPROTO$|CERT_|CRL_|(?:DEPTH_ZERO_)?SELF_SIGNED_|UNABLE_TO_(?:GET|VERIFY|DECRYPT|DECODE)_|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH_EXCEEDED)/;

const TLS_SENTENCES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'its chain ends in a root that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its issuer is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'the server does not send its intermediate certificates',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: "it is not made out to the URL's host",
};

/** What an error of the HTTP client, a socket or TLS means for the attempt. Unknown ones count as a lost connection and name their code. */
export const failureOf = (error: unknown): HttpFailure => {
  if (error instanceof AttemptFailed) return error.failure;
  const code = codeOf(error);
  if (isKnown(code)) return { code: sentences[code][0], message: sentences[code][1] };
  if (TLS_CODE.test(code)) {
    const reason = TLS_SENTENCES[code];
    return {
      code: 'tls_failed',
      message: reason === undefined ? `The TLS handshake failed (${code}).` : `The server's certificate was refused: ${reason}.`,
    };
  }
  if (code.startsWith('HPE_')) return { code: 'connection_reset', message: `The server's answer is not valid HTTP/1.1 (${code}).` };
  return { code: 'connection_reset', message: `The connection failed${code === '' ? '' : ` (${code})`}.` };
};

/** A system error's code; of several addresses' errors Node gives the first one's. Empty when there is none. */
export const codeOf = (error: unknown): string =>
  typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : '';

/** The system has not taken all of what was to be written, so that nobody can have received all of it. */
export const isUnsent = (error: object): boolean => 'syscall' in error && error.syscall === 'write' && UNSENT_CODES.has(codeOf(error));
const UNSENT_CODES: ReadonlySet<string> = new Set(['EPIPE', 'ECONNRESET']);

/** Neither the host nor the network is to blame: this process, or the machine, has as many files open as it may. */
export const isOutOfFiles = (error: unknown): boolean => OUT_OF_FILES_CODES.has(codeOf(error));
const OUT_OF_FILES_CODES: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE']);
