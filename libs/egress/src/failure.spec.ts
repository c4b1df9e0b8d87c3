import { describe, expect, it } from '@jest/globals';
import { failureOf } from './failure.js';

const coded = (code: string) => Object.assign(new Error('10.1.2.3 secret detail'), { code });

describe('a failure', () => {
  it.each([
    ['ECONNREFUSED', 'connection_refused'],
    ['ENETUNREACH', 'connection_refused'],
    ['ETIMEDOUT', 'connect_timeout'],
    ['ECONNRESET', 'connection_reset'],
    ['EPIPE', 'connection_reset'],
    ['CERT_HAS_EXPIRED', 'tls_failed'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'tls_failed'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls_failed'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls_failed'],
    ['ERR_SSL_WRONG_VERSION_NUMBER', 'tls_failed'],
    ['EPROTO', 'tls_failed'],
    ['HPE_INVALID_CONSTANT', 'connection_reset'],
    ['UND_ERR_HEADERS_OVERFLOW', 'response_too_large'],
    ['SOMETHING_NEW', 'connection_reset'],
    ['toString', 'connection_reset'],
  ])('%s is %s, in words of our own', (code, expected) => {
    const failure = failureOf(coded(code));
    expect(failure.code).toBe(expected);
    expect(failure.message).toMatch(/^[A-Z].*\.$/);
    expect(failure.message).not.toContain('10.1.2.3');
  });

  it('of anything at all has a code', () => {
    expect(failureOf('what?')).toEqual({ code: 'connection_reset', message: 'The connection failed.' });
    expect(failureOf(new AggregateError([])).code).toBe('connection_reset');
  });
});
