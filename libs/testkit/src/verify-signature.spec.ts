import { describe, expect, it } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import { verifySignature } from './verify-signature.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const BODY = Buffer.from('{"type":"invoice.paid"}');
const NOW_S = 1_700_000_000;

/** Headers as the reference implementation of the specification makes them. */
const signed = ({ secret = SECRET, id = 'evt_1', atS = NOW_S, body = BODY } = {}) => ({
  'webhook-id': id,
  'webhook-timestamp': String(atS),
  'webhook-signature': new Webhook(secret).sign(id, new Date(atS * 1_000), body.toString()),
});

const verdict = (headers: Record<string, string | undefined>, body = BODY, secret = SECRET) => verifySignature(headers, body, secret, NOW_S * 1_000);

describe('verifySignature', () => {
  it('accepts what the reference implementation signs', () => {
    expect(verdict(signed())).toEqual({ valid: true });
  });

  it('accepts a signature among several, as during a rotation', () => {
    const headers = signed();
    expect(verdict({ ...headers, 'webhook-signature': `v1a,AAAA v1,AAAA ${headers['webhook-signature']}` })).toEqual({ valid: true });
  });

  it.each([
    ['another body', signed(), Buffer.from('{"type":"invoice.lost"}'), SECRET],
    ['another id', { ...signed(), 'webhook-id': 'evt_2' }, BODY, SECRET],
    ['another time', { ...signed(), 'webhook-timestamp': String(NOW_S + 1) }, BODY, SECRET],
    ['another secret', signed(), BODY, 'whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['a time long past', signed({ atS: NOW_S - 301 }), BODY, SECRET],
    ['a time that is none', { ...signed(), 'webhook-timestamp': 'noon' }, BODY, SECRET],
    ['no signature', { ...signed(), 'webhook-signature': undefined }, BODY, SECRET],
    ['an empty signature', { ...signed(), 'webhook-signature': 'v1,' }, BODY, SECRET],
    ['a secret without its prefix', signed(), BODY, SECRET.slice('whsec_'.length)],
  ])('refuses %s', (_, headers, body, secret) => {
    expect(verdict(headers, body, secret)).toEqual({ valid: false, reason: expect.any(String) });
  });
});
